"""The folder where a training keeps its checkpoints."""

from pathlib import Path
from typing import NoReturn

from kedro.io import DatasetError

from weakcl_pipeline.datasets.file import FileDataset


class CheckpointsDataset(FileDataset[NoReturn, Path]):
    """A folder that a node may write to while it runs, so that a killed run can go on.

    It is scratch space, not an artifact: it has no versions and takes no part in any lineage.

    Args:
        filepath: The folder.
        metadata: For plug-ins such as Kedro-Viz.
    """

    def load(self) -> Path:
        """Return the folder, created if need be."""
        self._filepath.mkdir(parents=True, exist_ok=True)
        return self._filepath

    def save(self, data: NoReturn) -> None:
        """Refuse.

        Raises:
            DatasetError: Always.
        """
        raise DatasetError(f"{self._filepath} holds checkpoints: a node writes into the folder, and returns nothing")

    def _exists(self) -> bool:
        return self._filepath.is_dir()
