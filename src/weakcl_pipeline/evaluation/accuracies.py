"""Accuracies of methods on the test split: by seed, and on resamples of the test split and of the seeds."""

from collections.abc import Mapping, Sequence
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
    students_factor,
)
from weakcl_pipeline.evaluation.methods import in_order
from weakcl_pipeline.evaluation.probes import share_of
from weakcl_pipeline.evaluation.references import MAJORITY_PROBE
from weakcl_pipeline.evaluation.task import label_names
from weakcl_pipeline.seeding import numpy_generator

_EQUAL = 1e-12
"""Difference of two accuracies that rounding makes."""


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


def measure_accuracies(
    outcomes: Mapping[str, Outcome], samples: pl.DataFrame, config: BootstrapConfig, seed: int
) -> dict[tuple[str, str], "Accuracies"]:
    """Measure all methods by every probe on every label.

    All resamples are of the same test samples (of whole split groups, where samples have a ``group``), so differences
    are paired. Where there are several seeds, seeds are resampled too, independently of the samples: the bootstrap of
    two crossed factors (Owen 2007, "The pigeonhole bootstrap"), in which few seeds vary as much as seeds at large do
    (:func:`~weakcl_pipeline.evaluation.bootstrap.resampled_weights`). It errs to the wide side, but for two to four
    seeds that vary much more than the choice of test samples does, of which simulations found 88 to 93 % for 95 %. With
    a single seed the intervals cover the choice of the test samples alone. The majority class, which no probe changes,
    is measured under every probe.

    Args:
        outcomes: Method -> what is known of it, of the same samples for all methods and seeds.
        samples: ``sample_id``, ``group`` (null: the sample stands alone) and the labels, of which the supervised method
            is trained on the first.
        config: The bootstrap.
        seed: Of the resamples.

    Returns:
        (label, probe) -> the accuracies.

    Raises:
        InputError: If methods or seeds were evaluated on different samples.
    """
    units, trained_on = _sampling_units(samples), supervised_label(samples)
    return {
        # The generator comes from the label alone, so that all probes share the resamples.
        (label, probe): Accuracies.measure(
            tables,
            units,
            config,
            numpy_generator(seed, "bootstrap", label),
            supervised=label == trained_on and share_of(probe) is None,
        )
        for (label, probe), tables in _correctness(outcomes).items()
    }


def supervised_label(samples: pl.DataFrame) -> str:
    """Return the label whose classes the supervised method is trained on, whichever it is evaluated by."""
    return label_names(samples)[0]


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
class Estimate:
    """A figure with all that its interval takes.

    Attributes:
        value: The mean over the seeds.
        resampled: That mean on each resample, float64 (R,).
        by_seed: The figure for each seed, float64 (S,).
        groups: Number of groups of test samples.
        least: The least that it can be: 0 for an accuracy, -1 for a difference.
    """

    value: float
    resampled: Doubles
    by_seed: Doubles
    groups: int
    least: float = 0.0

    def __sub__(self, other: "Estimate") -> "Estimate":
        """Return the paired difference."""
        resampled, by_seed = self.resampled - other.resampled, self.by_seed - other.by_seed
        return Estimate(self.value - other.value, resampled, by_seed, self.groups, least=-1.0)

    def interval(self, confidence: float) -> Interval:
        """Return the figure with its interval; of a single group of test samples that is all it can be."""
        if self.groups == 1:
            return Interval(self.value, self.least, 1.0)
        found = interval(self.value, self.resampled, confidence)
        factor = students_factor(self.by_seed, self.resampled, self.groups, confidence)
        return found.widened(factor).within(self.least, 1.0)

    def over(self, whole: "Estimate", confidence: float) -> Interval:
        """Return the ratio to a figure that is above 0, with its interval; seeds vary it as they do its linear part."""
        share = self.value / whole.value
        positive = whole.resampled > 0  # the few resamples without a whole have no share
        found = interval(share, self.resampled[positive] / whole.resampled[positive], confidence)
        by_seed, resampled = self.by_seed - share * whole.by_seed, self.resampled - share * whole.resampled
        return found.widened(students_factor(by_seed, resampled, self.groups, confidence))


@dataclass(frozen=True)
class Accuracies:
    """Accuracies on one label by one probe.

    Methods are set against each other on the seeds that they share.

    Attributes:
        samples: Number of test samples.
        groups: Number of the groups that they are in; a sample that stands alone is one.
        seeds: Method -> its seeds.
        accuracies: Method -> its accuracy for each seed, float64 (S,).
        resampled: Method -> the same on each resample of the test samples, float64 (R, S).
        weights: Number of seeds -> the weight of each on each resample of the seeds, float64 (R, S).
        supervised: Whether the supervised method, trained on all its labels, says what is possible here: by a probe on
            all of them too.
    """

    samples: int
    groups: int
    seeds: Mapping[str, Sequence[int]]
    accuracies: Mapping[str, Doubles]
    resampled: Mapping[str, Doubles]
    weights: Mapping[int, Doubles]
    supervised: bool

    @classmethod
    def measure(
        cls,
        tables: Mapping[str, pl.DataFrame],
        units: pl.DataFrame,
        config: BootstrapConfig,
        rng: np.random.Generator,
        *,
        supervised: bool,
    ) -> "Accuracies":
        """Measure each method's table: ``sample_id``, and for each seed a column that says what is right."""
        seeds = {name: [int(column) for column in table.columns[1:]] for name, table in tables.items()}
        values = {name: table.drop("sample_id").to_numpy() for name, table in tables.items()}
        (first, *_) = tables.values()
        unit = first.select("sample_id").join(units, on="sample_id", maintain_order="left")["unit"]
        groups = unit.rank("dense").cast(pl.Int64).to_numpy() - 1
        resampled = resampled_means(np.concatenate(list(values.values()), axis=1), groups, config.resamples, rng)
        ends = np.cumsum([len(own) for own in seeds.values()])
        most = max(len(own) for own in seeds.values())
        return cls(
            samples=len(first),
            groups=int(groups.max()) + 1,
            seeds=seeds,
            accuracies={name: value.mean(axis=0) for name, value in values.items()},
            resampled=dict(zip(values, np.split(resampled, ends[:-1], axis=1), strict=True)),
            weights={count: resampled_weights(count, config.resamples, rng) for count in range(1, most + 1)},
            supervised=supervised,
        )

    def of(self, *methods: str) -> list[Estimate]:
        """Return each method's accuracy over the seeds that all of them have.

        Nothing is returned where a method is missing or there is no such seed.
        """
        shared = self.shared_seeds(*methods)
        if not shared:
            return []
        found = []
        for name in methods:
            places = [self.seeds[name].index(seed) for seed in shared]
            drawn = (self.resampled[name][:, places] * self.weights[len(shared)]).sum(axis=1)
            by_seed = self.accuracies[name][places]
            found.append(Estimate(float(by_seed.mean()), drawn, by_seed, self.groups))
        return found

    def shared_seeds(self, *methods: str) -> list[int]:
        """Return the seeds that all of the methods have; none where a method is missing."""
        return sorted(set.intersection(*(set(self.seeds.get(name, ())) for name in methods)))

    def rank(self, method: str) -> int | None:
        """Return 1 for the most accurate method over the seeds that all methods have; none where there is no such."""
        means = {name: found.value for name, found in zip(self.seeds, self.of(*self.seeds), strict=False)}
        return 1 + sum(mean - means[method] > _EQUAL for mean in means.values()) if means else None

    def deviation(self, method: str) -> float | None:
        """Return the standard deviation over the seeds; none for a single one."""
        own = self.accuracies[method]
        return float(own.std(ddof=1)) if len(own) > 1 else None

    def difference(self, method: str, reference: str, confidence: float) -> Interval | None:
        """Return how much more accurate a method is than another, in shares; none where they cannot be compared."""
        found = self.of(method, reference)
        return (found[0] - found[1]).interval(confidence) if found else None

    def gap_closed(self, method: str, lower: str, upper: str, confidence: float) -> Interval | None:
        """Return the share of the gap between two references that a method closes.

        Returns:
            None where a reference is missing or was trained on another label, where the probe has few labels, of which
            the supervised encoder has seen all, and where the gap may be chance, its interval reaching 0: a share of
            nothing says nothing.
        """
        found = self.of(method, lower, upper) if self.supervised else []
        if not found:
            return None
        value, low, high = found
        gap = high - low
        return (value - low).over(gap, confidence) if gap.interval(confidence).low > 0 else None
