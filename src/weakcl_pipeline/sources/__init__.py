"""Sources: one reader per kind of raw data set, from raw files to the raw table; and from there to samples.

To add a source, write a class in a file of its own and list it here.
"""

from weakcl_pipeline.sources.accept import accept
from weakcl_pipeline.sources.base import Source
from weakcl_pipeline.sources.collected import collected
from weakcl_pipeline.sources.cub_200_2011 import Cub200
from weakcl_pipeline.sources.folder import Folder
from weakcl_pipeline.sources.imagenet100 import ImageNet100
from weakcl_pipeline.sources.new_samples import accept_new, read_new_samples
from weakcl_pipeline.sources.pictures import pictures
from weakcl_pipeline.sources.released_clusters import ReleasedClusters
from weakcl_pipeline.sources.roles import LABEL_PREFIX, IngestionConfig, label_columns
from weakcl_pipeline.sources.samples import read_samples
from weakcl_pipeline.sources.splits import SPLITS, SplitConfig
from weakcl_pipeline.sources.table import Table
from weakcl_pipeline.sources.ut_zappos50k import UtZappos50K
from weakcl_pipeline.sources.wider_attribute import WiderAttribute

SOURCES: dict[str, type[Source]] = {
    "table": Table,
    "folder": Folder,
    "cub_200_2011": Cub200,
    "ut_zappos50k": UtZappos50K,
    "wider_attribute": WiderAttribute,
    "imagenet100": ImageNet100,
}

__all__ = [
    "LABEL_PREFIX",
    "SOURCES",
    "SPLITS",
    "Cub200",
    "Folder",
    "ImageNet100",
    "IngestionConfig",
    "ReleasedClusters",
    "Source",
    "SplitConfig",
    "Table",
    "UtZappos50K",
    "WiderAttribute",
    "accept",
    "accept_new",
    "collected",
    "label_columns",
    "pictures",
    "read_new_samples",
    "read_samples",
]
