"""Kedro datasets: how artifacts lie on the disk."""

from weakcl_pipeline.datasets.arrow import ArrowTableDataset
from weakcl_pipeline.datasets.atomic import AtomicDataset, CorruptArtifactError
from weakcl_pipeline.datasets.checkpoints import CheckpointsDataset
from weakcl_pipeline.datasets.handed import DifferencesDataset, HandedDataset, InputsLineageDataset, RepeatsDataset
from weakcl_pipeline.datasets.html import HtmlDataset
from weakcl_pipeline.datasets.lineage import Lineage, Provenance
from weakcl_pipeline.datasets.source import SourceDataset
from weakcl_pipeline.datasets.table import LazyTableDataset, TableDataset
from weakcl_pipeline.datasets.tensors import TensorsDataset

__all__ = [
    "ArrowTableDataset",
    "AtomicDataset",
    "CheckpointsDataset",
    "CorruptArtifactError",
    "DifferencesDataset",
    "HandedDataset",
    "HtmlDataset",
    "InputsLineageDataset",
    "LazyTableDataset",
    "Lineage",
    "Provenance",
    "RepeatsDataset",
    "SourceDataset",
    "TableDataset",
    "TensorsDataset",
]
