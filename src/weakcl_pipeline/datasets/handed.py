"""Inputs that no node makes and no disk holds: the lineage hook hands them to the node that asks for them."""

from typing import Any, NoReturn

from kedro.io import AbstractDataset, DatasetError

InputsLineage = dict[str, dict[str, Any]]
Repeats = dict[str, dict[int, Any]]
Differences = dict[str, str]


class HandedDataset(AbstractDataset[NoReturn, dict[str, Any]]):
    """An input in whose place the lineage hook hands a node something; without the hook it is an empty mapping.

    Args:
        metadata: For plug-ins such as Kedro-Viz.
    """

    def __init__(self, *, metadata: dict[str, Any] | None = None) -> None:
        self.metadata = metadata

    def load(self) -> dict[str, Any]:
        """Return that nothing is known, for instance in a notebook."""
        return {}

    def save(self, data: NoReturn) -> None:
        """Refuse.

        Raises:
            DatasetError: Always.
        """
        raise DatasetError("This input is handed to a node, not made by one")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {}


class InputsLineageDataset(HandedDataset):
    """The versions of a node's other inputs and of their ancestors.

    The node gets ``{name: {"version": ..., "hash": ..., "repeats": [...]}}``, the hash None where it is not known.
    Repeats, each ``{"seed": ..., "version": ..., "hash": ...}``, are the versions from other seeds that went into the
    inputs, too.
    """


class DifferencesDataset(HandedDataset):
    """The parameters in which those of a node's other inputs differ that are to be compared.

    The node gets ``{parameter: values}``, the values in words, each with the artifacts that were made with it.
    """


class RepeatsDataset(HandedDataset):
    """A node's other inputs and their repeats, by seed.

    Repeats are the versions of an artifact that were made by the same recipe (see
    :class:`~weakcl_pipeline.datasets.Provenance`) from other seeds; of each seed the newest counts. The node gets
    ``{name: {seed: data}}`` with all inputs that were made with a seed, each under the seed it was made with, which
    need not be the run's.
    """
