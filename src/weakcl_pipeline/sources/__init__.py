"""Sources: one reader per kind of raw data set, each from raw files to the sample table.

To add one, write a function of the same signature in a file of its own and list it here.
"""

from collections.abc import Callable

import polars as pl

from weakcl_pipeline.attributes.schema import Schema
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.sources.accept import accept
from weakcl_pipeline.sources.roles import SPLITS, IngestionConfig
from weakcl_pipeline.sources.table import read_table

Source = Callable[[pl.DataFrame, IngestionConfig], tuple[pl.DataFrame, Schema]]
"""(raw table, roles of its columns) -> (sample table, schema of the attributes)."""

SOURCES: dict[str, Source] = {
    "table": read_table,
}


def read_samples(raw: pl.DataFrame, config: IngestionConfig) -> tuple[pl.DataFrame, Schema]:
    """Read a raw table with the source that the parameters name.

    Raises:
        InputError: There is no such source, or the table cannot be used.
    """
    if config.source not in SOURCES:
        raise InputError(f"ingestion.source: there is no '{config.source}'; there are: {', '.join(SOURCES)}.")
    return SOURCES[config.source](raw, config)


__all__ = ["SOURCES", "SPLITS", "IngestionConfig", "Source", "accept", "read_samples", "read_table"]
