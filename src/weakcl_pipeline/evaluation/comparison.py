"""All methods side by side, over all seeds, with what can be told apart and what cannot."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import polars as pl

from weakcl_pipeline.evaluation.accuracies import Accuracies, Outcome
from weakcl_pipeline.evaluation.augmented_probe import AUGMENTED_PROBE
from weakcl_pipeline.evaluation.bootstrap import named_interval
from weakcl_pipeline.evaluation.few_label import share_of
from weakcl_pipeline.evaluation.methods import LOWER, UPPER
from weakcl_pipeline.evaluation.references import MAJORITY_PROBE

_METRICS_OF = {"linear": "linear_probe", "knn": "knn", AUGMENTED_PROBE: "augmented_probe"}  # few_label is nested
_MEASURES = [f"{name}{end}" for name in ("difference", "gap_closed") for end in ("", "_low", "_high")]
_SCHEMA = pl.Schema(
    dict.fromkeys(["label", "probe", "method"], pl.String())
    | {"seeds": pl.List(pl.Int64()), "samples": pl.Int64(), "rank": pl.Int64()}
    | dict.fromkeys(["accuracy", "accuracy_low", "accuracy_high", "deviation", "balanced_accuracy"], pl.Float64())
    | dict.fromkeys([*_MEASURES, "seconds", "images_per_second"], pl.Float64())
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
        A row per label, probe and method: ``label``, ``probe``, ``method``, ``seeds``, ``samples`` (test samples),
        ``rank`` (1 is the most accurate), ``accuracy`` (the mean over the seeds), ``deviation`` (their standard
        deviation, null for a single one), ``balanced_accuracy``, ``difference`` (to self_supervised) and
        ``gap_closed``, the share of the gap from self_supervised to supervised that the method closes; accuracy,
        difference and share with ``_low`` and ``_high``. ``gap_closed`` is null where a reference is missing or was
        trained on another label, and where the gap's own interval reaches 0. ``seconds`` of a training and its
        ``images_per_second`` are means over the seeds, null for a method without training.
    """
    rows = [
        {
            "label": label,
            "probe": probe,
            "method": method,
            "seeds": measured.seeds[method],
            "samples": measured.samples,
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
    """Return the mean time of a training, and the mean of its images per second."""
    seconds = [float(history["seconds"].sum()) for history in histories]
    if not seconds:
        return {"seconds": None, "images_per_second": None}
    images = [float((history["seconds"] * history["images_per_second"]).sum()) for history in histories]
    rates = [count / time for count, time in zip(images, seconds, strict=True)]
    return {"seconds": float(np.mean(seconds)), "images_per_second": float(np.mean(rates))}


def _balanced_accuracy(metrics: Mapping[int, Mapping[str, Any]], label: str, probe: str) -> float:
    return float(np.mean([_balanced_accuracy_of(found["labels"][label], probe) for found in metrics.values()]))


def _balanced_accuracy_of(metrics: Mapping[str, Any], probe: str) -> float:
    if MAJORITY_PROBE in metrics:
        return float(metrics[MAJORITY_PROBE]["balanced_accuracy"])
    if probe in _METRICS_OF:
        return float(metrics[_METRICS_OF[probe]]["balanced_accuracy"])
    return float(metrics["few_label"][share_of(probe)]["balanced_accuracy"])
