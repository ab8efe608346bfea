"""A label to be predicted from frozen features, on the three splits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from weakcl_pipeline.errors import InputError
from weakcl_pipeline.sources import LABEL_PREFIX, SPLITS, label_columns

NO_LABELS = (
    "ingestion.labels: there is no label, so nothing can be trained on one, measured, compared or reported. Name a "
    "label column, or train and embed without any: `kedro run --to-nodes=self_supervised.embed,attribute.embed,"
    "iterative.embed`, with the environment and parameters of this run; attribute.embed needs side information."
)

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """The labelled samples of a split.

    Attributes:
        features: float32 (N, D).
        classes: Class of each sample, int64 (N,).
        rows: Row of each sample in the table of samples, int64 (N,).
    """

    features: Floats
    classes: Integers
    rows: Integers

    def subset(self, chosen: Integers) -> "Split":
        """Return the chosen samples, int64 (M,), in that order."""
        return Split(self.features[chosen], self.classes[chosen], self.rows[chosen])


@dataclass(frozen=True)
class Task:
    """A label on the three splits; samples without the label are left out.

    Attributes:
        label: Name of the label.
        names: Name of each class: those of the train split first, then those that occur elsewhere alone. The latter are
            never predicted, so their samples count as errors.
        known: Number of classes K of the train split.
        train: What probes are fitted on.
        val: What their hyperparameters are chosen on.
        test: What they are measured on.
    """

    label: str
    names: tuple[str, ...]
    known: int
    train: Split
    val: Split
    test: Split


def label_names(samples: pl.DataFrame, wanted: Sequence[str] | None = None) -> list[str]:
    """Return the labels to evaluate: those wanted, or all.

    Raises:
        InputError: If there are none, or a wanted one is missing.
    """
    found = list(label_columns(samples))
    if not found:
        raise InputError(NO_LABELS)
    if missing := [name for name in wanted or () if name not in found]:
        msg = f"evaluation.labels: no label {', '.join(map(repr, missing))}; there are: {', '.join(found)}"
        raise InputError(msg)
    return list(wanted) if wanted else found


def make_task(label: str, features: Floats, samples: pl.DataFrame) -> Task:
    """Cut features into the labelled parts of the splits.

    Args:
        label: Name of the label, without prefix.
        features: float32 (N, D), a row a sample.
        samples: N rows in the same order, with ``split`` and ``label_<label>``.

    Raises:
        InputError: If a split has no labelled sample, or the train split has only one class.
    """
    column = samples[LABEL_PREFIX + label].cast(pl.String)
    names = _class_names(column, samples["split"])
    _require_classes(label, names)
    order = {name: number for number, name in enumerate([*names["train"], *_others(names)])}
    ids = column.replace_strict(order, default=-1, return_dtype=pl.Int64).fill_null(-1).to_numpy()
    split_of = samples["split"].to_numpy()
    rows = {name: np.flatnonzero((split_of == name) & (ids >= 0)) for name in SPLITS}
    splits = {name: Split(features[chosen], ids[chosen], chosen) for name, chosen in rows.items()}
    return Task(label, tuple(order), len(names["train"]), **splits)


def _class_names(column: pl.Series, split: pl.Series) -> dict[str, list[str]]:
    return {name: column.filter(split == name).drop_nulls().unique().sort().to_list() for name in SPLITS}


def _others(names: Mapping[str, Sequence[str]]) -> list[str]:
    return sorted({*names["val"], *names["test"]} - {*names["train"]})


def _require_classes(label: str, names: Mapping[str, Sequence[str]]) -> None:
    for split in SPLITS:
        if not names[split]:
            msg = (
                f"samples.{LABEL_PREFIX}{label}: the {split} split has no labelled sample; label some, or leave it out"
            )
            raise InputError(msg)
    if len(names["train"]) == 1:
        only = names["train"][0]
        msg = f"samples.{LABEL_PREFIX}{label}: the train split has one class, {only!r}; there is nothing to tell apart"
        raise InputError(msg)
