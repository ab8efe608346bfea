"""Arrow's own formats: IPC files (Feather) and IPC streams."""

from collections.abc import Iterator

import polars as pl
import pyarrow as pa
from polars.exceptions import PolarsError

from weakcl_pipeline.errors import InputError
from weakcl_pipeline.sources.formats.base import Format, lazy

_FILE_MARK = b"ARROW1"


class Arrow(Format):
    """An Arrow IPC file (Feather, version 2), which is mapped into memory, or an IPC stream."""

    def scan(self) -> pl.LazyFrame:
        """Return the table as it is."""
        try:
            with self.path.open("rb") as file:
                mark = file.read(len(_FILE_MARK))
            if mark != _FILE_MARK:
                return self._scan_stream()
            table = pl.scan_ipc(self.path)
            table.collect_schema()
        except (PolarsError, pa.ArrowInvalid, OSError) as error:
            trouble = f": {error}" if isinstance(error, OSError) and error.strerror else ", or cut off"
            raise InputError(
                f"{self.path}: not a table in Arrow (IPC file, IPC stream or Feather 2){trouble}. Get or write the file"
                " again."
            ) from error
        return table

    def _scan_stream(self) -> pl.LazyFrame:
        with pa.OSFile(self.path.as_posix()) as file, pa.ipc.open_stream(file) as reader:
            schema = pl.DataFrame(pl.from_arrow(reader.schema.empty_table())).schema
        return lazy(self._batches, schema)

    def _batches(self, wanted: list[str]) -> Iterator[pl.DataFrame]:
        rows = 0
        try:
            with pa.OSFile(self.path.as_posix()) as file, pa.ipc.open_stream(file) as reader:
                for batch in reader:
                    yield pl.DataFrame(pl.from_arrow(batch.select(wanted)))
                    rows += batch.num_rows
        except (pa.ArrowInvalid, OSError) as error:
            raise InputError(
                f"{self.path}, from row {rows} on (counted from 0): broken, or cut off. Get or write the file again."
            ) from error
