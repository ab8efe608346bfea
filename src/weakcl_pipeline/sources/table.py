"""The generic source: one table whose rows are samples, its pictures inside it or in a folder."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from weakcl_pipeline.errors import InputError
from weakcl_pipeline.sources.base import Source


class Table(Source):
    """A table in a Parquet file."""

    def scan(self) -> pl.LazyFrame:
        """Return the table as it is."""
        (file,) = self.files()
        try:
            table = pl.scan_parquet(file)
            table.collect_schema()
        except (PolarsError, OSError) as error:
            raise InputError(f"{file}: not a table in Parquet: {error}") from error
        return table

    def files(self) -> Sequence[Path]:
        """Return the file."""
        if not self.path.is_file():
            raise InputError(f"raw_samples: there is no file {self.path}. Put it there, or correct the catalog.")
        return [self.path]
