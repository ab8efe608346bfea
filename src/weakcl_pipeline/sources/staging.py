"""Tables on their way from one form to another, on the disk, so that memory holds a few columns at a time."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
from polars.exceptions import PolarsError

from weakcl_pipeline.attributes.columns import LazyColumns
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.files import TemporaryFolder, is_full
from weakcl_pipeline.sources.collected import undamaged
from weakcl_pipeline.sources.formats.base import lazy

_ROWS = 1 << 17
"""Rows that are written, and read, at once."""


class Staging:
    """A table that is written column by column, and then read row by row.

    It lies in a temporary folder of its own, which is removed once neither this object nor a frame that `scan` returned
    is there any more.
    """

    def __init__(self) -> None:
        self._folder = TemporaryFolder()
        self._files: dict[str, Path] = {}
        self._schema: dict[str, pl.DataType] = {}

    def spool(self, frame: pl.LazyFrame) -> LazyColumns:
        """Write a table that can be read from the front only, in one pass, and return its columns.

        They can be read as long as this object is there, and are no part of its table.

        Raises:
            InputError: There is no room for them.
        """
        file = self._folder.path / "spool.parquet"
        with _room():
            frame.sink_parquet(file, compression="lz4", row_group_size=_ROWS, statistics=False, engine="streaming")
        return _Spooled(pl.scan_parquet(file))

    def add(self, columns: pl.DataFrame) -> None:
        """Write further columns, as many rows as those before.

        Raises:
            InputError: There is no room for them.
        """
        file = self._folder.path / f"{len(self._files)}.parquet"
        with _room():
            columns.write_parquet(file, compression="lz4", row_group_size=_ROWS, statistics=False)
        self._files |= dict.fromkeys(columns.columns, file)
        self._schema |= columns.schema

    def scan(self) -> pl.LazyFrame:
        """Return all columns in the order in which they were added."""
        return lazy(self._batches, self._schema)

    def _batches(self, wanted: list[str]) -> Iterator[pl.DataFrame]:
        by_file: dict[Path, list[str]] = {}
        for name in wanted or list(self._files)[:1]:
            by_file.setdefault(self._files[name], []).append(name)
        parts = {pq.ParquetFile(file): names for file, names in by_file.items()}
        for group in range(next(iter(parts)).num_row_groups):
            tables = (file.read_row_group(group, names, use_threads=False) for file, names in parts.items())
            columns = [pl.DataFrame(pl.from_arrow(table)) for table in tables]
            yield pl.concat(columns, how="horizontal").select(wanted)


class _Spooled(LazyColumns):
    """Columns of a spool; what is no text in a damaged Parquet file goes through it unseen and is found here."""

    def __getitem__(self, name: str, /) -> pl.Series:
        with undamaged(f"column '{name}'"):
            return super().__getitem__(name)


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
