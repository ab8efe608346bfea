"""What a node's inputs were under other seeds, as one more input."""

from typing import Any, NoReturn

from kedro.io import AbstractDataset, DatasetError

Repeats = dict[str, dict[int, Any]]


class RepeatsDataset(AbstractDataset[NoReturn, Repeats]):
    """An input in whose place the lineage hook hands a node the repeats of its other inputs.

    Repeats are the versions of an artifact that were made by the same recipe (see
    :class:`~weakcl_pipeline.datasets.Provenance`) from other seeds; of each seed the newest counts. The node gets
    ``{name: {seed: data}}`` with the inputs that have repeats. Without the hook it gets an empty mapping.

    Args:
        metadata: For plug-ins such as Kedro-Viz.
    """

    def __init__(self, *, metadata: dict[str, Any] | None = None) -> None:
        self.metadata = metadata

    def load(self) -> Repeats:
        """Return that there are none."""
        return {}

    def save(self, data: NoReturn) -> None:
        """Refuse.

        Raises:
            DatasetError: Always.
        """
        raise DatasetError("The repeats of a node's inputs are handed to it, not made by it")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {}
