"""The hook that removes the checkpoints of a training or packing once its results are safe."""

import logging
import shutil
import threading
from typing import Any

import polars as pl
import pyarrow as pa
from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog
from kedro.pipeline.node import Node

from weakcl_pipeline.datasets import CheckpointsDataset

logger = logging.getLogger(__name__)


class CheckpointsHook:
    """Removes ``<checkpoints>/<run key>`` when all outputs of the node that trained there have been saved.

    A node keeps them there if a `CheckpointsDataset` is among its inputs and one of its outputs names the directories
    as ``checkpoint``: a pair in its second part, a mapping, a table in a column, or an Arrow table in its metadata.
    Until the last output is saved a killed run needs them.
    """

    def __init__(self) -> None:
        self._running = threading.local()

    @hook_impl
    def before_node_run(self, node: Node, catalog: DataCatalog, inputs: dict[str, Any]) -> None:
        """Note where the node keeps its checkpoints."""
        self._running.folders = [
            inputs[name] for name in node.inputs if isinstance(catalog.get(name), CheckpointsDataset)
        ]
        self._running.unsaved = set(node.outputs)
        self._running.keys = []

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Remove the checkpoints with the node's last output."""
        running = self._running
        running.unsaved.discard(dataset_name)
        running.keys += _checkpoint_of(data)
        if running.unsaved:
            return
        for directory in (path for folder in running.folders for path in folder.iterdir()):
            if directory.name in running.keys:
                shutil.rmtree(directory, ignore_errors=True)
                logger.debug("Removed the checkpoints in %s", directory)


def _checkpoint_of(data: Any) -> list[str]:
    match data:
        case (_, {"checkpoint": str(key)}):
            return [key]
        case pl.DataFrame() if "checkpoint" in data.columns:
            return data["checkpoint"].unique().to_list()
        case pa.Table() if b"checkpoint" in (data.schema.metadata or {}):
            return [data.schema.metadata[b"checkpoint"].decode()]
    return []
