"""Parquet: one file, or a folder of files, partitioned or not."""

import os
from collections.abc import Mapping
from glob import glob
from pathlib import Path

import polars as pl
from polars.exceptions import PanicException, PolarsError

from weakcl_pipeline.errors import InputError
from weakcl_pipeline.sources.formats.base import Format

_MARK = b"PAR1"
"""At both ends of a file."""


class Parquet(Format):
    """A Parquet file, or all those below a folder; folders named `column=value` are a column (Hive's way)."""

    def scan(self) -> pl.LazyFrame:
        """Return the table as it is."""
        files = [*self.files().values()]
        first, *others = files
        expected = _schema_of(first)
        for file in others:
            _check_alike(file, _schema_of(file), first, expected)
        try:
            table = pl.scan_parquet(files, glob=False, hive_partitioning=self.path.is_dir())
            table.collect_schema()
        except (PolarsError, PanicException, OSError) as error:
            raise _no_parquet(self.path, error) from error
        return table

    def files(self) -> Mapping[str, Path]:
        """Return the file, or those below the folder in the order of their names."""
        if not self.path.is_dir():
            return super().files()
        # Path.rglob would pass over folders that are links, in which partitions may lie.
        names = sorted(glob("**/*.parquet", root_dir=self.path, recursive=True, include_hidden=True))  # noqa: PTH207
        files = {name: self.path / name for name in names if (self.path / name).is_file()}
        if not files:
            raise InputError(f"{self.path}: there is no file *.parquet in this folder. Correct `path` in the catalog.")
        return files


def _schema_of(file: Path) -> dict[str, pl.DataType]:
    try:
        return dict(pl.scan_parquet(file, glob=False).collect_schema())  # read_parquet_schema takes [1] for a pattern
    except (PolarsError, PanicException, OSError) as error:
        raise _no_parquet(file, error) from error


def _no_parquet(path: Path, error: BaseException) -> InputError:
    """Return the error for what cannot be read: in our words where it is no Parquet at all, or cut off."""
    trouble = str(error)
    if isinstance(error, PanicException):  # of what it does not expect, among them some types
        trouble = "its columns cannot be read, or have types that cannot"
    elif path.is_file() and isinstance(error, PolarsError):
        with path.open("rb") as file:
            start = file.read(len(_MARK))
            file.seek(-len(start), os.SEEK_END)
            end = file.read()
        if start != _MARK:
            trouble = "it does not begin as such a file does"
        elif end != _MARK:
            trouble = "it has no end, as if its download had broken off"
    return InputError(f"{path}: not a table in Parquet: {trouble}. Get or write the file again.")


def _check_alike(file: Path, schema: dict[str, pl.DataType], first: Path, expected: dict[str, pl.DataType]) -> None:
    for column in expected | schema:
        found, wanted = schema.get(column, "missing"), expected.get(column, "missing")
        if found != wanted:
            raise InputError(
                f"{file}: column '{column}' is {found}, but {wanted} in {first}. All files of a table must have the"
                " same columns; write them alike."
            )
