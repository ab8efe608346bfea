"""All methods side by side, over all seeds, with what can be told apart and what cannot."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from weakcl_pipeline.errors import InputError
from weakcl_pipeline.evaluation.bootstrap import (
    BootstrapConfig,
    Doubles,
    Interval,
    interval,
    resampled_means,
    resampled_weights,
)
from weakcl_pipeline.evaluation.methods import LOWER, UPPER, in_order
from weakcl_pipeline.evaluation.references import MAJORITY_PROBE
from weakcl_pipeline.seeding import numpy_generator

_MEASURES = [f"{name}{end}" for name in ("difference", "gap_closed") for end in ("", "_low", "_high")]
_SCHEMA = pl.Schema(
    dict.fromkeys(["label", "probe", "method"], pl.String())
    | {"seeds": pl.List(pl.Int64()), "samples": pl.Int64(), "rank": pl.Int64()}
    | dict.fromkeys(["accuracy", "accuracy_low", "accuracy_high", "deviation", "balanced_accuracy"], pl.Float64())
    | dict.fromkeys([*_MEASURES, "seconds", "images_per_second"], pl.Float64())
)


@dataclass(frozen=True)
class Outcome:
    """What is known of a method, by the seed it was trained with.

    Attributes:
        predictions: Seed -> predictions of the test split.
        metrics: Seed -> metrics, of the same seeds.
        histories: Seed -> history of the training; empty for a method without training.
    """

    predictions: Mapping[int, pl.DataFrame]
    metrics: Mapping[int, Mapping[str, Any]]
    histories: Mapping[int, pl.DataFrame]


def compare(outcomes: Mapping[str, Outcome], samples: pl.DataFrame, config: BootstrapConfig, seed: int) -> pl.DataFrame:
    """Compare methods on the test split.

    All intervals come from the same resamples of the test samples (of whole split groups, where samples have a
    ``group``), so differences are paired. Where there are several seeds, seeds are resampled too, independently of the
    samples: the bootstrap of two crossed factors (Owen 2007, "The pigeonhole bootstrap"), which errs to the wide side.
    With a single seed the intervals cover the choice of the test samples alone. Methods are set against each other on
    the seeds that they share. The majority class, which no probe changes, is compared under every probe.

    Args:
        outcomes: Method -> what is known of it, of the same samples for all methods and seeds.
        samples: ``sample_id`` and ``group`` (null: the sample stands alone).
        config: The bootstrap.
        seed: Of the resamples.

    Returns:
        A row per label, probe and method: ``label``, ``probe``, ``method``, ``seeds``, ``samples`` (test samples),
        ``rank`` (1 is the most accurate), ``accuracy`` (the mean over the seeds), ``deviation`` (their standard
        deviation, null for a single one), ``balanced_accuracy``, ``difference`` (to self_supervised) and
        ``gap_closed``, the share of the gap from self_supervised to supervised that the method closes; accuracy,
        difference and share with ``_low`` and ``_high``. ``gap_closed`` is null where the gap is not positive or a
        reference is missing, and its interval is null where the gap's own interval reaches 0, since the ratio is then
        unbounded. ``seconds`` of a training and its ``images_per_second`` are means over the seeds, null for a method
        without training.

    Raises:
        InputError: If methods or seeds were evaluated on different samples.
    """
    units = _sampling_units(samples)
    rows: list[dict[str, Any]] = []
    for (label, probe), tables in _correctness(outcomes).items():
        rng = numpy_generator(seed, "bootstrap", label)  # by label alone, so that all probes share the resamples
        figures = _Figures.measure(tables, units, config, rng)
        rows += [
            {
                "label": label,
                "probe": probe,
                "method": method,
                "seeds": figures.seeds[method],
                "samples": len(tables[method]),
                "rank": figures.rank(method),
                "deviation": figures.deviation(method),
                "balanced_accuracy": _balanced_accuracy(outcomes[method].metrics, label, probe),
            }
            | _named("accuracy", interval(*figures.of(method)[0], config.confidence))
            | _named("difference", _difference(method, figures, config.confidence))
            | _named("gap_closed", _gap_closed(method, figures, config.confidence))
            | _cost(outcomes[method].histories.values())
            for method in tables
        ]
    return pl.DataFrame(rows, schema=_SCHEMA)


def _correctness(outcomes: Mapping[str, Outcome]) -> dict[tuple[str, str], dict[str, pl.DataFrame]]:
    """Return, for each label and probe, each method's table: ``sample_id``, and for each seed the share that is right.

    The share is that of the probe's repeats.
    """
    correct = (pl.col("predicted") == pl.col("true")).mean().alias("correct")
    keys = ["label", "probe", "sample_id"]
    parts = {
        name: {
            seed: frame.group_by(keys, maintain_order=True).agg(correct).partition_by("label", "probe", as_dict=True)
            for seed, frame in sorted(outcomes[name].predictions.items())
        }
        for name in in_order(outcomes)
    }
    found = dict.fromkeys(
        (str(label), str(probe)) for seeds in parts.values() for part in seeds.values() for label, probe in part
    )
    tables: dict[tuple[str, str], dict[str, pl.DataFrame]] = {}
    for label in dict.fromkeys(label for label, _ in found):
        probes = [probe for other, probe in found if other == label]
        for probe in [name for name in probes if name != MAJORITY_PROBE] or probes:
            columns = {
                (name, seed): part.get((label, probe), part.get((label, MAJORITY_PROBE)))
                for name, seeds in parts.items()
                for seed, part in seeds.items()
            }
            tables[label, probe] = _by_method(label, {k: part for k, part in columns.items() if part is not None})
    return tables


def _by_method(label: str, columns: Mapping[tuple[str, int], pl.DataFrame]) -> dict[str, pl.DataFrame]:
    (first, seed), *_ = columns
    ids = columns[first, seed].sort("sample_id")["sample_id"]
    tables: dict[str, pl.DataFrame] = {}
    for (name, seed), part in columns.items():
        column = part.sort("sample_id")
        if not column["sample_id"].equals(ids):
            msg = f"{name}.predictions: other test samples for {label!r} than {first} has; evaluate all methods anew"
            raise InputError(msg)
        tables[name] = tables.get(name, pl.DataFrame([ids])).with_columns(column["correct"].alias(str(seed)))
    return tables


def _sampling_units(samples: pl.DataFrame) -> pl.DataFrame:
    """Return ``sample_id`` and the ``unit`` that is drawn as a whole: the sample's group, or itself without one."""
    group, alone = pl.format("group {}", "group"), pl.format("sample {}", "sample_id")
    return samples.select("sample_id", pl.coalesce(group, alone).alias("unit"))


@dataclass(frozen=True)
class _Figures:
    """Accuracies under one probe.

    Attributes:
        seeds: Method -> its seeds.
        accuracies: Method -> its accuracy for each seed, float64 (S,).
        resampled: Method -> the same on each resample of the test samples, float64 (R, S).
        weights: Number of seeds -> the weight of each on each resample of the seeds, float64 (R, S).
    """

    seeds: Mapping[str, Sequence[int]]
    accuracies: Mapping[str, Doubles]
    resampled: Mapping[str, Doubles]
    weights: Mapping[int, Doubles]

    @classmethod
    def measure(
        cls,
        tables: Mapping[str, pl.DataFrame],
        units: pl.DataFrame,
        config: BootstrapConfig,
        rng: np.random.Generator,
    ) -> "_Figures":
        seeds = {name: [int(column) for column in table.columns[1:]] for name, table in tables.items()}
        values = {name: table.drop("sample_id").to_numpy() for name, table in tables.items()}
        (first, *_) = tables.values()
        unit = first.select("sample_id").join(units, on="sample_id", maintain_order="left")["unit"]
        groups = unit.rank("dense").cast(pl.Int64).to_numpy() - 1
        resampled = resampled_means(np.concatenate(list(values.values()), axis=1), groups, config.resamples, rng)
        ends = np.cumsum([len(own) for own in seeds.values()])
        most = max(len(own) for own in seeds.values())
        return cls(
            seeds=seeds,
            accuracies={name: value.mean(axis=0) for name, value in values.items()},
            resampled=dict(zip(values, np.split(resampled, ends[:-1], axis=1), strict=True)),
            weights={count: resampled_weights(count, config.resamples, rng) for count in range(1, most + 1)},
        )

    def of(self, *methods: str) -> list[tuple[float, Doubles]]:
        """Return each method's accuracy and its resamples, (R,), over the seeds that all of them have.

        Nothing is returned where a method is missing or there is no such seed.
        """
        if not set(methods) <= self.seeds.keys():
            return []
        shared = sorted(set.intersection(*(set(self.seeds[name]) for name in methods)))
        if not shared:
            return []
        found = []
        for name in methods:
            places = [self.seeds[name].index(seed) for seed in shared]
            drawn = (self.resampled[name][:, places] * self.weights[len(shared)]).sum(axis=1)
            found.append((float(self.accuracies[name][places].mean()), drawn))
        return found

    def rank(self, method: str) -> int:
        return 1 + sum(
            float(other.mean()) > float(self.accuracies[method].mean()) for other in self.accuracies.values()
        )

    def deviation(self, method: str) -> float | None:
        own = self.accuracies[method]
        return float(own.std(ddof=1)) if len(own) > 1 else None


def _difference(method: str, figures: _Figures, confidence: float) -> Interval | None:
    found = figures.of(method, LOWER)
    if not found:
        return None
    (value, resampled), (reference, resampled_reference) = found
    return interval(value - reference, resampled - resampled_reference, confidence)


def _gap_closed(method: str, figures: _Figures, confidence: float) -> Interval | tuple[float, None, None] | None:
    found = figures.of(method, LOWER, UPPER)
    if not found:
        return None
    (value, resampled), (lower, resampled_lower), (upper, resampled_upper) = found
    if upper <= lower:
        return None
    share = (value - lower) / (upper - lower)
    gap = resampled_upper - resampled_lower
    if interval(upper - lower, gap, confidence).low <= 0:
        return share, None, None
    positive = gap > 0  # the few resamples without a gap have no share
    return interval(share, (resampled - resampled_lower)[positive] / gap[positive], confidence)


def _named(name: str, found: tuple[float, float | None, float | None] | None) -> dict[str, float | None]:
    value, low, high = found or (None, None, None)
    return {name: value, f"{name}_low": low, f"{name}_high": high}


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
    if probe in ("linear", "knn"):
        return float(metrics["linear_probe" if probe == "linear" else "knn"]["balanced_accuracy"])
    return float(metrics["few_label"][probe.removeprefix("linear_")]["balanced_accuracy"])
