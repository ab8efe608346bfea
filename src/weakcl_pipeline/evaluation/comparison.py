"""All methods side by side, with what can be told apart and what cannot."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from weakcl_pipeline.errors import InputError
from weakcl_pipeline.evaluation.bootstrap import BootstrapConfig, Doubles, Interval, interval, resampled_means
from weakcl_pipeline.evaluation.methods import LOWER, UPPER, in_order
from weakcl_pipeline.evaluation.references import MAJORITY_PROBE
from weakcl_pipeline.seeding import numpy_generator

_MEASURES = [f"{name}{end}" for name in ("difference", "gap_closed") for end in ("", "_low", "_high")]
_SCHEMA = pl.Schema(
    dict.fromkeys(["label", "probe", "method"], pl.String())
    | dict.fromkeys(["seed", "samples"], pl.Int64())
    | dict.fromkeys(["accuracy", "accuracy_low", "accuracy_high", "balanced_accuracy", *_MEASURES], pl.Float64())
)

Figures = dict[str, tuple[float, Doubles]]  # method -> accuracy on the test split, and on each resample


def compare(
    predictions: Mapping[str, pl.DataFrame],
    metrics: Mapping[str, Mapping[str, Any]],
    samples: pl.DataFrame,
    config: BootstrapConfig,
    seed: int,
) -> pl.DataFrame:
    """Compare methods on the test split.

    All intervals come from the same resamples of the test samples (of whole split groups, where samples have a
    ``group``), so differences are paired. They cover the choice of test samples, not that of the training's seed.
    The majority class, which no probe changes, is compared under every probe.

    Args:
        predictions: Method -> its predictions, of the same samples for all methods.
        metrics: Method -> its metrics.
        samples: ``sample_id`` and ``group`` (null: the sample stands alone).
        config: The bootstrap.
        seed: Of the resamples.

    Returns:
        A row per label, probe and method: ``label``, ``probe``, ``method``, ``seed``, ``samples`` (test samples),
        ``accuracy``, ``balanced_accuracy``, ``difference`` (to self_supervised) and ``gap_closed``, the share of the
        gap from self_supervised to supervised that the method closes; each but the balanced accuracy with ``_low`` and
        ``_high``. ``gap_closed`` is null where the gap is not positive or a reference is missing, and its interval is
        null where the gap's own interval reaches 0, since the ratio is then unbounded.

    Raises:
        InputError: If methods were evaluated on different samples.
    """
    units = _sampling_units(samples)
    rows: list[dict[str, Any]] = []
    for (label, probe), table in _correctness(predictions).items():
        rng = numpy_generator(seed, "bootstrap", label)  # by label alone, so that all probes share the resamples
        figures = _measure(table.join(units, on="sample_id"), config, rng)
        rows += [
            {
                "label": label,
                "probe": probe,
                "method": method,
                "seed": metrics[method]["seed"],
                "samples": len(table),
                "balanced_accuracy": _balanced_accuracy(metrics[method]["labels"][label], probe),
            }
            | _named("accuracy", interval(*figures[method], config.confidence))
            | _named("difference", _difference(method, figures, config.confidence))
            | _named("gap_closed", _gap_closed(method, figures, config.confidence))
            for method in figures
        ]
    return pl.DataFrame(rows, schema=_SCHEMA)


def _correctness(predictions: Mapping[str, pl.DataFrame]) -> dict[tuple[str, str], pl.DataFrame]:
    """Return, for each label and probe, ``sample_id`` and for each method the share of its repeats that are right."""
    methods = in_order(predictions)
    correct = (pl.col("predicted") == pl.col("true")).mean().alias("correct")
    keys = ["label", "probe", "sample_id"]
    shares = {name: predictions[name].group_by(keys, maintain_order=True).agg(correct) for name in methods}
    parts = {name: frame.partition_by(["label", "probe"], as_dict=True) for name, frame in shares.items()}
    found = dict.fromkeys((str(label), str(probe)) for name in methods for label, probe in parts[name])
    labels = list(dict.fromkeys(label for label, _ in found))
    tables = {}
    for label in labels:
        probes = [probe for other, probe in found if other == label]
        for probe in [name for name in probes if name != MAJORITY_PROBE] or probes:
            columns = {
                name: part.get((label, probe), part.get((label, MAJORITY_PROBE))) for name, part in parts.items()
            }
            tables[label, probe] = _side_by_side(label, {k: part for k, part in columns.items() if part is not None})
    return tables


def _side_by_side(label: str, columns: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    first, *others = columns
    table = columns[first].select("sample_id", pl.col("correct").alias(first)).sort("sample_id")
    for name in others:
        column = columns[name].select("sample_id", pl.col("correct").alias(name)).sort("sample_id")
        if not column["sample_id"].equals(table["sample_id"]):
            msg = f"{name}.predictions: other test samples for {label!r} than {first} has; evaluate all methods anew"
            raise InputError(msg)
        table = table.with_columns(column[name])
    return table


def _sampling_units(samples: pl.DataFrame) -> pl.DataFrame:
    """Return ``sample_id`` and the ``unit`` that is drawn as a whole: the sample's group, or itself without one."""
    group, alone = pl.format("group {}", "group"), pl.format("sample {}", "sample_id")
    return samples.select("sample_id", pl.coalesce(group, alone).alias("unit"))


def _measure(table: pl.DataFrame, config: BootstrapConfig, rng: np.random.Generator) -> Figures:
    methods = table.drop("sample_id", "unit").columns
    values = table.select(methods).to_numpy()
    units = table["unit"].rank("dense").cast(pl.Int64).to_numpy() - 1
    resampled = resampled_means(values, units, config.resamples, rng)
    return {name: (float(values[:, i].mean()), resampled[:, i]) for i, name in enumerate(methods)}


def _difference(method: str, figures: Figures, confidence: float) -> Interval | None:
    if LOWER not in figures:
        return None
    (value, resampled), (reference, resampled_reference) = figures[method], figures[LOWER]
    return interval(value - reference, resampled - resampled_reference, confidence)


def _gap_closed(method: str, figures: Figures, confidence: float) -> Interval | tuple[float, None, None] | None:
    gap = _difference(UPPER, figures, confidence) if UPPER in figures else None
    difference = _difference(method, figures, confidence)
    if gap is None or difference is None or gap.value <= 0:
        return None
    share = difference.value / gap.value
    if gap.low <= 0:
        return share, None, None
    lower, upper = figures[LOWER][1], figures[UPPER][1]
    positive = upper > lower  # the few resamples without a gap have no share
    shares = (figures[method][1] - lower)[positive] / (upper - lower)[positive]
    return interval(share, shares, confidence)


def _named(name: str, found: tuple[float, float | None, float | None] | None) -> dict[str, float | None]:
    value, low, high = found or (None, None, None)
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def _balanced_accuracy(metrics: Mapping[str, Any], probe: str) -> float:
    if MAJORITY_PROBE in metrics:
        return float(metrics[MAJORITY_PROBE]["balanced_accuracy"])
    if probe in ("linear", "knn"):
        return float(metrics["linear_probe" if probe == "linear" else "knn"]["balanced_accuracy"])
    return float(metrics["few_label"][probe.removeprefix("linear_")]["balanced_accuracy"])
