"""Tables on their way from one form to another, on the disk, so that memory holds a few columns at a time."""

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
from polars.exceptions import PolarsError

from weakcl_pipeline.attributes.coded import Coded
from weakcl_pipeline.attributes.columns import LazyColumns, in_parts
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.files import TemporaryFolder, is_full
from weakcl_pipeline.sources.collected import undamaged
from weakcl_pipeline.sources.formats.base import lazy

_ROWS = 1 << 17
"""Rows that are written, and read, at once."""
_FEW = 1 << 16
"""So many values have places that fit into 16 bits."""


class Staging:
    """A table that is written column by column, and then read row by row.

    It lies in a temporary folder of its own, which is removed once neither this object nor a frame that `scan` returned
    is there any more.
    """

    def __init__(self) -> None:
        self._folder = TemporaryFolder()
        self._files: dict[str, Path] = {}
        self._schema: dict[str, pl.DataType] = {}
        self._values: dict[str, pl.Series] = {}

    @property
    def columns(self) -> list[str]:
        """Names of the columns that were added so far."""
        return list(self._schema)

    def spool(self, frame: pl.LazyFrame) -> LazyColumns:
        """Write a table that can be read from the front only, in one pass, and return its columns.

        They can be read as long as this object is there, and are no part of its table.

        Raises:
            InputError: There is no room for them.
        """
        file = self._folder.path / "spool.parquet"
        with _room():
            frame.sink_parquet(file, compression="lz4", row_group_size=_ROWS, statistics=False, engine="streaming")
        return _Spooled(pl.scan_parquet(file, glob=False))

    def add(self, name: str, parts: Iterable[pl.Series]) -> None:
        """Write a further column in the parts that `in_parts` makes of it, or of other columns of this table.

        Raises:
            InputError: There is no room for it.
        """
        file = self._folder.path / f"{len(self._schema)}.parquet"
        dtype: pl.DataType = pl.Null()
        with _room(), ExitStack() as stack:
            writer: pq.ParquetWriter | None = None
            for part in parts:
                table = part.alias(name).to_frame().to_arrow(compat_level=pl.CompatLevel.oldest())
                dtype = part.dtype
                writer = writer or stack.enter_context(pq.ParquetWriter(file, table.schema, compression="lz4"))
                writer.write_table(table, row_group_size=_ROWS)
        self._files[name] = file
        self._schema[name] = dtype

    def add_coded(self, cells: Coded) -> None:
        """Write a further column, of which memory keeps the values if they are few.

        Raises:
            InputError: There is no room for it.
        """
        if cells.places is None or len(cells.values) > _FEW:
            self.add(cells.name, in_parts(cells.column()))
            return
        self.add(cells.name, (part.cast(pl.UInt16) for part in in_parts(cells.places)))
        self._schema[cells.name] = cells.values.dtype
        self._values[cells.name] = cells.values

    def scan(self) -> pl.LazyFrame:
        """Return all columns in the order in which they were added."""
        return lazy(self._batches, self._schema)

    def _batches(self, wanted: list[str]) -> Iterator[pl.DataFrame]:
        names = wanted or list(self._files)[:1]
        parts = [pq.ParquetFile(self._files[name]) for name in names]
        for group in range(parts[0].num_row_groups):
            tables = (part.read_row_group(group, use_threads=False) for part in parts)
            columns = (pl.DataFrame(pl.from_arrow(table)).to_series() for table in tables)
            yield pl.DataFrame([self._decoded(column) for column in columns]).select(wanted)

    def _decoded(self, column: pl.Series) -> pl.Series:
        values = self._values.get(column.name)
        return column if values is None else values.gather(column)


class _Spooled(LazyColumns):
    """Columns of a spool; what is no text in a damaged Parquet file goes through it unseen and is found here."""

    def _collected(self, column: pl.LazyFrame) -> pl.Series:
        with undamaged(f"column '{column.collect_schema().names()[0]}'"):
            return super()._collected(column)


@contextmanager
def _room() -> Iterator[None]:
    """Write to the disk in here.

    Raises:
        InputError: The disk is full.
    """
    try:
        yield
    except (PolarsError, OSError) as error:
        if not is_full(error):
            raise
        raise InputError(
            f"no room for a temporary copy of the table in {tempfile.gettempdir()}. Free some, or set the environment"
            " variable TMPDIR to a folder with more room."
        ) from error
