"""A raw table, read."""

from collections.abc import Iterator
from contextlib import contextmanager

import polars as pl
from polars.exceptions import PanicException, PolarsError

from weakcl_pipeline.errors import InputError


@contextmanager
def undamaged(name: str) -> Iterator[None]:
    """Read a raw table in here; what a damaged file lacks is often seen no sooner than when its rows are read.

    Args:
        name: Of the table, in the catalog.

    Raises:
        InputError: A file of the table is damaged.
    """
    try:
        yield
    except (PolarsError, PanicException, OSError) as error:
        raise InputError(
            f"{name}: a file of the table is damaged, and cannot be read to its end. Get or write it again; `--verbose`"
            " tells what the reader met."
        ) from error


def collected(raw: pl.LazyFrame, name: str) -> pl.DataFrame:
    """Return the rows of a raw table.

    Args:
        raw: As a source has it.
        name: Of the table, in the catalog.

    Raises:
        InputError: A file of the table is damaged.
    """
    with undamaged(name):
        return raw.collect()
