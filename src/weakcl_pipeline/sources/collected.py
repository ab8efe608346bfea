"""A raw table, read."""

import polars as pl
from polars.exceptions import PolarsError

from weakcl_pipeline.errors import InputError


def collected(raw: pl.LazyFrame, name: str) -> pl.DataFrame:
    """Return the rows of a raw table.

    Args:
        raw: As a source has it; what a damaged file lacks is often seen no sooner than here.
        name: Of the table, in the catalog.

    Raises:
        InputError: A file of the table is damaged.
    """
    try:
        return raw.collect()
    except (PolarsError, OSError) as error:
        raise InputError(
            f"{name}: a file of the table is damaged, and cannot be read to its end. Get or write it again; `--verbose`"
            " tells what the reader met."
        ) from error
