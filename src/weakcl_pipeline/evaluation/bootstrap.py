"""Paired bootstrap intervals over test samples."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy import stats

from weakcl_pipeline.config import Config

Doubles = npt.NDArray[np.float64]

_CHUNK_COUNTS = 1 << 23  # counts drawn at a time: 64 MiB


class BootstrapConfig(Config):
    """How the intervals of the comparison are found.

    Attributes:
        resamples: Bootstrap resamples of the test split.
        confidence: Of the intervals, which are percentile intervals, wider where there are few seeds or few groups of
            test samples (:func:`students_factor`).
    """

    resamples: int = Field(default=2000, ge=100)
    confidence: float = Field(default=0.95, gt=0, lt=1)


class Interval(NamedTuple):
    """A figure on the whole test split with the ends of its interval."""

    value: float
    low: float
    high: float

    def widened(self, factor: float) -> "Interval":
        """Return the interval whose ends are further from the figure by a factor."""
        ends = (self.value + factor * (end - self.value) for end in (self.low, self.high))
        return Interval(self.value, *ends)

    def within(self, least: float, most: float) -> "Interval":
        """Return the interval without what the figure cannot be."""
        return Interval(self.value, max(self.low, least), min(self.high, most))


def resampled_means(
    values: npt.NDArray[np.floating], groups: npt.NDArray[np.int64], resamples: int, rng: np.random.Generator
) -> Doubles:
    """Compute the means of columns over bootstrap resamples of whole groups, the same resamples for every column.

    Whole groups are drawn because the members of a group, for instance several drawings of one thing, are not
    independent: drawing them one by one would make the intervals too narrow. Means of resamples of G groups vary by
    (G - 1) / G of what means of G groups vary by, so they are moved away from the mean by the root of G / (G - 1).

    Args:
        values: A column for each method, (N, M).
        groups: Group of each sample, int64 (N,), dense from 0. Samples that stand alone are groups of one.
        resamples: Number of resamples R.
        rng: Where the draws come from.

    Returns:
        float64 (R, M).
    """
    count = int(groups.max()) + 1
    sums = np.zeros((count, values.shape[1]))
    np.add.at(sums, groups, values)
    sizes = np.bincount(groups, minlength=count).astype(np.float64)
    parts = [(drawn @ sums) / (drawn @ sizes)[:, None] for drawn in _draws(count, resamples, rng)]
    whole: Doubles = values.mean(axis=0)
    return whole + (np.concatenate(parts) - whole) * _spread(count)


def resampled_weights(count: int, resamples: int, rng: np.random.Generator) -> Doubles:
    """Return how much each of a few items counts in each bootstrap resample, float64 (R, count), rows summing to 1.

    For the same reason as above they are further from 1 / S than the shares that were drawn, and may be negative.
    """
    drawn = np.concatenate(list(_draws(count, resamples, rng))) / count
    return 1 / count + (drawn - 1 / count) * _spread(count)


def _spread(count: int) -> float:
    """Return by how much means of a few items vary more than means of resamples of them; one does not vary at all."""
    return math.sqrt(count / (count - 1)) if count > 1 else 1.0


def _draws(count: int, resamples: int, rng: np.random.Generator) -> Iterator[Doubles]:
    """Yield how often each group is drawn in each resample, float64 (r, count), with rows that sum to count."""
    step = max(1, _CHUNK_COUNTS // count)
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        yield rng.multinomial(count, np.full(count, 1 / count), size=size).astype(np.float64)


def interval(value: float, resampled: Doubles, confidence: float) -> Interval:
    """Return a figure with its percentile interval, given its values on the resamples, float64 (R,)."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return Interval(float(value), float(low), float(high))


def students_factor(of_seeds: Doubles, resampled: Doubles, groups: int, confidence: float) -> float:
    """Return by how much an interval has to be wider than percentiles, as few items tell little of how much they vary.

    That is the quantile of Student's t over that of the normal distribution, with the degrees of freedom of Welch and
    Satterthwaite ("An Approximate Distribution of Estimates of Variance Components", Biometrics Bulletin 1946): as many
    as there are seeds, but one, where seeds are all that varies, as many as there are groups of test samples, but one,
    where these are, and in between by the part that each has in the variance.

    Args:
        of_seeds: A figure by each seed, float64 (S,), of which the mean is taken.
        resampled: That mean on resamples of all that varies, seeds included, float64 (R,).
        groups: Number of groups of test samples, more than one.
        confidence: Of the interval.
    """
    count, total = len(of_seeds), float(np.var(resampled))
    between = float(np.var(of_seeds, ddof=1)) / count if count > 1 else 0.0
    of_seeds_part = min(1.0, between / total) if total else 0.0
    parts = [(of_seeds_part, count - 1), (1 - of_seeds_part, groups - 1)]
    freedom = 1 / sum(part**2 / degrees for part, degrees in parts if part)
    upper = (1 + confidence) / 2
    return float(stats.t.ppf(upper, freedom) / stats.norm.ppf(upper))


def p_value(found: Interval, confidence: float) -> float:
    """Return how probable a figure that is at least so far from 0 is by chance, given nothing but its interval.

    That is by the normal distribution whose interval ends where this one does on the side of 0: the value is less than
    1 - confidence where the interval excludes 0. Tails of Student's t, by which few seeds widen an interval, are
    heavier, so values far below that are somewhat too small then.
    """
    end = found.low if found.value > 0 else found.high
    if found.value == end:  # an interval that is a point
        return float(found.value == 0)
    distance = found.value / (found.value - end)  # in halves of the interval
    return float(2 * stats.norm.sf(distance * stats.norm.ppf((1 + confidence) / 2)))


def as_percent(confidence: float) -> str:
    """Return a confidence in full, for instance ``99.9%``."""
    return f"{100 * confidence:g}%"


def interval_columns(name: str) -> list[str]:
    """Return the columns of a table that hold an interval: ``<name>``, ``<name>_low`` and ``<name>_high``."""
    return [name, f"{name}_low", f"{name}_high"]


def named_interval(name: str, found: Interval | None) -> dict[str, float | None]:
    """Return an interval as a part of a table's row."""
    return dict(zip(interval_columns(name), found or (None, None, None), strict=True))


def read_interval(row: Mapping[str, Any], name: str) -> Interval:
    """Return the interval in a table's row, which is there."""
    return Interval(*(row[column] for column in interval_columns(name)))
