"""The lineage of a node's inputs, as one more input."""

from typing import Any, NoReturn

from kedro.io import AbstractDataset, DatasetError

InputsLineage = dict[str, dict[str, str | None]]


class InputsLineageDataset(AbstractDataset[NoReturn, InputsLineage]):
    """An input in whose place the lineage hook hands a node the versions of its other inputs and their ancestors.

    The node gets ``{name: {"version": ..., "hash": ...}}``, the hash None where it is not known. Without the hook, for
    instance in a notebook, it gets an empty mapping.

    Args:
        metadata: For plug-ins such as Kedro-Viz.
    """

    def __init__(self, *, metadata: dict[str, Any] | None = None) -> None:
        self.metadata = metadata

    def load(self) -> InputsLineage:
        """Return that nothing is known."""
        return {}

    def save(self, data: NoReturn) -> None:
        """Refuse.

        Raises:
            DatasetError: Always.
        """
        raise DatasetError("The lineage of a node's inputs is handed to it, not made by it")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {}
