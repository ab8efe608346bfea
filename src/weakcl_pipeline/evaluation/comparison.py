"""All methods side by side, over all seeds, with what can be told apart and what cannot."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import polars as pl

from weakcl_pipeline.evaluation.accuracies import Accuracies, Outcome
from weakcl_pipeline.evaluation.bootstrap import interval_columns, named_interval
from weakcl_pipeline.evaluation.methods import LOWER, UPPER
from weakcl_pipeline.evaluation.probes import by_probe
from weakcl_pipeline.evaluation.references import MAJORITY_PROBE

_SCHEMA = pl.Schema(
    dict.fromkeys(["label", "probe", "method"], pl.String())
    | dict.fromkeys(["seeds", "shared_seeds"], pl.List(pl.Int64()))
    | dict.fromkeys(["samples", "groups", "rank"], pl.Int64())
    | dict.fromkeys([*interval_columns("accuracy"), "deviation", "balanced_accuracy"], pl.Float64())
    | dict.fromkeys([*interval_columns("difference"), *interval_columns("gap_closed")], pl.Float64())
    | dict.fromkeys(["seconds", "images_per_second"], pl.Float64())
)


def compare(
    outcomes: Mapping[str, Outcome], accuracies: Mapping[tuple[str, str], Accuracies], confidence: float
) -> pl.DataFrame:
    """Compare methods on the test split.

    Intervals are those of :func:`~weakcl_pipeline.evaluation.accuracies.measure_accuracies`.

    Args:
        outcomes: Method -> what is known of it.
        accuracies: Of the same methods.
        confidence: Of the intervals.

    Returns:
        A row per label, probe and method: ``label``, ``probe``, ``method``, ``seeds``, ``shared_seeds`` (those of
        self_supervised too), ``samples`` (test samples), ``groups`` (that these are in; a sample that stands alone is
        one), ``rank`` (1 is the most accurate over the seeds that all methods have; null where there is no such seed),
        ``accuracy`` (the mean over the seeds), ``deviation`` (their standard deviation, null for a single one),
        ``balanced_accuracy``, ``difference`` (to self_supervised, over the shared seeds) and ``gap_closed``, the share
        of the gap from self_supervised to supervised that the method closes; accuracy, difference and share with
        ``_low`` and ``_high``. ``gap_closed`` is null where a reference is missing or was trained on another label, for
        probes on few labels, and where the gap's own interval reaches 0. ``seconds`` is the mean time of a training,
        ``images_per_second`` of all that the seeds took; both are null for a method without training.
    """
    rows = [
        {
            "label": label,
            "probe": probe,
            "method": method,
            "seeds": measured.seeds[method],
            "shared_seeds": measured.shared_seeds(method, LOWER),
            "samples": measured.samples,
            "groups": measured.groups,
            "rank": measured.rank(method),
            "deviation": measured.deviation(method),
            "balanced_accuracy": _balanced_accuracy(outcomes[method].metrics, label, probe),
        }
        | named_interval("accuracy", measured.of(method)[0].interval(confidence))
        | named_interval("difference", measured.difference(method, LOWER, confidence))
        | named_interval("gap_closed", measured.gap_closed(method, LOWER, UPPER, confidence))
        | _cost(outcomes[method].histories.values())
        for (label, probe), measured in accuracies.items()
        for method in measured.seeds
    ]
    return pl.DataFrame(rows, schema=_SCHEMA)


def _cost(histories: Collection[pl.DataFrame]) -> dict[str, float | None]:
    """Return the mean time of a training, and the images per second of all trainings."""
    if not histories:
        return {"seconds": None, "images_per_second": None}
    seconds = sum(float(history["seconds"].sum()) for history in histories)
    images = sum(float((history["seconds"] * history["images_per_second"]).sum()) for history in histories)
    return {"seconds": seconds / len(histories), "images_per_second": images / seconds}


def _balanced_accuracy(metrics: Mapping[int, Mapping[str, Any]], label: str, probe: str) -> float:
    return float(np.mean([_balanced_accuracy_of(found["labels"][label], probe) for found in metrics.values()]))


def _balanced_accuracy_of(metrics: Mapping[str, Any], probe: str) -> float:
    if MAJORITY_PROBE in metrics:
        return float(metrics[MAJORITY_PROBE]["balanced_accuracy"])
    return float(by_probe(metrics)[probe]["balanced_accuracy"])
