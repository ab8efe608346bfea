"""Sources: one reader per kind of raw data set, from raw files to the raw table; and from there to samples.

To add a source, write a class in a file of its own and list it here.
"""

from weakcl_pipeline.sources.accept import accept
from weakcl_pipeline.sources.base import Source
from weakcl_pipeline.sources.pictures import pictures
from weakcl_pipeline.sources.roles import LABEL_PREFIX, IngestionConfig
from weakcl_pipeline.sources.samples import read_samples
from weakcl_pipeline.sources.splits import SPLITS, SplitConfig
from weakcl_pipeline.sources.table import Table

SOURCES: dict[str, type[Source]] = {
    "table": Table,
}

__all__ = [
    "LABEL_PREFIX",
    "SOURCES",
    "SPLITS",
    "IngestionConfig",
    "Source",
    "SplitConfig",
    "Table",
    "accept",
    "pictures",
    "read_samples",
]
