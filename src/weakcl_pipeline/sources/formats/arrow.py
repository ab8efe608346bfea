"""Arrow's own formats: IPC files (Feather) and IPC streams."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property

import polars as pl
import pyarrow as pa
from polars.exceptions import PanicException, PolarsError

from weakcl_pipeline.errors import InputError
from weakcl_pipeline.sources.formats.base import Format, check_unique, lazy

_FILE_MARK = b"ARROW1"


class Arrow(Format):
    """An Arrow IPC file (Feather, version 2), or an IPC stream; batch by batch, mapped into memory.

    Each batch is validated before its values are used: of a damaged one, offsets would point anywhere.
    """

    def scan(self) -> pl.LazyFrame:
        """Return the table as it is."""
        try:
            with self._opened() as reader:
                fields = reader.schema
                _check_names(fields)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            trouble = f": {error}" if isinstance(error, OSError) and error.strerror else ", or cut off"
            raise InputError(
                f"{self.path}: not a table in Arrow (IPC file, IPC stream or Feather 2){trouble}. Get or write the file"
                " again."
            ) from error
        check_unique(fields.names, self.path)
        return lazy(self._batches, {field.name: self._type_of(field) for field in fields})

    def _type_of(self, field: pa.Field) -> pl.DataType:
        try:
            return pl.Series(pl.from_arrow(pa.schema([field]).empty_table()[0])).dtype
        except (pa.ArrowException, PolarsError, PanicException) as error:
            raise InputError(
                f"{self.path}: column '{field.name}' has the type {field.type}, which cannot be read. Write it as"
                " another type, or leave it out of the file."
            ) from error

    def _batches(self, wanted: list[str]) -> Iterator[pl.DataFrame]:
        rows = 0
        try:
            with self._opened() as reader:
                for batch in map(reader.get_batch, range(reader.num_record_batches)) if self._is_file else reader:
                    selected = batch.select(wanted)
                    selected.validate(full=True)
                    yield pl.DataFrame({name: pl.from_arrow(selected[name]) for name in wanted})
                    rows += batch.num_rows
        except (pa.ArrowException, PolarsError, PanicException, OSError) as error:
            raise InputError(
                f"{self.path}, from row {rows} on (counted from 0): broken, or cut off. Get or write the file again."
            ) from error

    @contextmanager
    def _opened(self) -> Iterator[pa.ipc.RecordBatchStreamReader | pa.ipc.RecordBatchFileReader]:
        open_ipc = pa.ipc.open_file if self._is_file else pa.ipc.open_stream
        with pa.memory_map(self.path.as_posix()) as source, open_ipc(source) as reader:
            yield reader

    @cached_property
    def _is_file(self) -> bool:
        with self.path.open("rb") as file:
            return file.read(len(_FILE_MARK)) == _FILE_MARK


def _check_names(fields: Iterable[pa.Field]) -> None:
    """Decode the names of all fields, at any depth; polars takes for granted that they are text.

    Raises:
        UnicodeDecodeError: One is not in UTF-8.
    """
    for field in fields:
        str(field.name)
        _check_names(field.type.field(place) for place in range(field.type.num_fields))
