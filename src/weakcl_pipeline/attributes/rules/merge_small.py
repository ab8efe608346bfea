"""The clusters of another rule, small ones merged with those that they are most like."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from torch import Tensor

from weakcl_pipeline.attributes.columns import Columns
from weakcl_pipeline.attributes.rules.base import FittedRule, FittingData, Ids, Rule, State
from weakcl_pipeline.attributes.rules.encoding import Encoding
from weakcl_pipeline.attributes.rules.simple import SIMPLE_RULES, SimpleRule
from weakcl_pipeline.attributes.rules.top_entropy import TopEntropy

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Blocks = Iterable[tuple[slice, Floats]]
"""Which rows, and their points, as `Encoding.blocks` returns them."""


@dataclass(frozen=True)
class FittedMergeSmall(FittedRule):
    """Clusters that are unions of the clusters of another fitted rule; what that one does not know has no cluster.

    Attributes:
        name: The other rule's.
        of: What it was fitted to.
        merged: Granularity -> the cluster of each of its clusters, (C,).
    """

    name: str
    of: FittedRule
    merged: Mapping[int, Ids]

    def assign(self, attributes: Columns) -> dict[int, Ids]:
        """Look up what the clusters of the other rule were merged into."""
        return {k: np.append(self.merged[k], -1)[ids] for k, ids in self.of.assign(attributes).items()}

    def to_state(self) -> State:
        """Return the other rule's state, and the unions as tensors."""
        tensors, fitted = self.of.to_state()
        own = {f"merged.{k}": torch.from_numpy(ids.copy()) for k, ids in self.merged.items()}
        return own | {f"of.{name}": tensor for name, tensor in tensors.items()}, {"of": self.name, "fitted": fitted}

    @classmethod
    def from_state(cls, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> Self:
        """Return the rule that `to_state` described."""
        name = metadata["of"]
        of = SIMPLE_RULES[name].fitted.from_state(_below("of.", tensors), metadata["fitted"])
        return cls(name, of, {int(k): ids.numpy() for k, ids in _below("merged.", tensors).items()})


class MergeSmall(Rule):
    """The clusters of another rule, merged until each has a minimum number of train samples.

    The smallest cluster joins the one that it is most like, again and again while it is too small. How unlike two
    clusters are is the squared distance of their means, with attributes as points as `rules.encoding` says: each counts
    alike, and one that is missing throughout one of the two is left out, of the distance and of what it is divided by
    (Gower). A cluster that has no attribute in common with any other stays as it is, as does a sample without cluster.
    Time grows with the square of the number of clusters: it is made for thousands, not for millions.

    Attributes:
        of: The other rule.
        min_size: Train samples that a cluster should have.
    """

    name: Literal["merge_small"] = "merge_small"
    of: SimpleRule = TopEntropy()
    min_size: int = Field(default=10, ge=2)
    fitted: ClassVar[type[FittedRule]] = FittedMergeSmall
    granularity_is: ClassVar[str] = "of the merged rule"

    def fit(self, data: FittingData, granularities: Sequence[int]) -> FittedMergeSmall:
        """Fit the other rule, and merge its clusters at every granularity.

        Raises:
            InputError: The other rule cannot be fitted.
        """
        of = self.of.fit(data, granularities)
        encoding = Encoding.fit(data)
        variance = _variance(encoding.blocks(data.attributes), data.train, len(encoding.centre))
        clusters = of.assign(data.attributes)
        merged = {
            k: _merge(ids, encoding.blocks(data.attributes), variance, data.train, self.min_size)
            for k, ids in clusters.items()
        }
        return FittedMergeSmall(self.of.name, of, merged)


def _variance(blocks: Blocks, train: Bools, width: int) -> Floats:
    """Variance of each coordinate on train, (F,), where points are centred."""
    squares, known = np.zeros(width), np.zeros(width)
    for rows, points in blocks:
        seen = points[train[rows]]
        squares += np.nansum(seen**2, axis=0)
        known += (~np.isnan(seen)).sum(axis=0)
    variance: Floats = squares / known.clip(min=1)
    return variance


def _merge(ids: Ids, blocks: Blocks, variance: Floats, train: Bools, min_size: int) -> Ids:
    """What each cluster is merged into, (C,); ids are dense and ordered by size on train.

    Args:
        ids: (N,) clusters, -1 = none.
        blocks: The points of all rows, (N, F), NaN = missing.
        variance: Of each coordinate on train, (F,).
        train: (N,) rows of the train split.
        min_size: Train samples that a cluster should have.
    """
    number = int(ids.max(initial=-1)) + 1
    sizes = np.bincount(ids[train & (ids >= 0)], minlength=number)
    # A cluster without a train sample is described by its others, and never describes another cluster.
    counted = (ids >= 0) & (train | np.append(sizes == 0, False)[ids])
    sums, known = _sums(np.where(counted, ids, -1), blocks, (number, len(variance)))
    means, has = sums / known.clip(min=1), known > 0
    into, present, fixed = np.arange(number), sizes > 0, np.zeros(number, dtype=np.bool_)
    small = [(size, -cluster) for cluster, size in enumerate(sizes.tolist()) if size < min_size]
    heapify(small)
    while small:
        size, cluster = heappop(small)
        cluster = -cluster
        if fixed[cluster] or size != sizes[cluster]:
            continue  # it has grown since, and is in the queue again if it is still too small
        fixed[cluster], present[cluster] = True, False
        others = np.flatnonzero(present)
        unlike = _unlikeness(means[others], means[cluster], has[others], has[cluster], variance)
        if not np.isfinite(unlike).any():
            present[cluster] = size > 0
            continue
        joined = into[cluster] = others[unlike.argmin()]
        if size:
            sums[joined] += sums[cluster]
            known[joined] += known[cluster]
            sizes[joined] += size
            means[joined], has[joined] = sums[joined] / known[joined].clip(min=1), known[joined] > 0
            if not fixed[joined] and sizes[joined] < min_size:
                heappush(small, (int(sizes[joined]), -int(joined)))
    while (into != into[into]).any():
        into = into[into]
    return _numbered(into, sizes)


def _sums(ids: Ids, blocks: Blocks, shape: tuple[int, int]) -> tuple[Floats, Floats]:
    """Sum of each coordinate over the members of each cluster that it is known of, and how many these are, (C, F)."""
    sums, known = np.zeros(shape), np.zeros(shape)
    for rows, points in blocks:
        members = ids[rows] >= 0
        np.add.at(sums, ids[rows][members], np.nan_to_num(points[members]))
        np.add.at(known, ids[rows][members], ~np.isnan(points[members]))
    return sums, known


def _unlikeness(means: Floats, mean: Floats, has: Bools, known: Bools, variance: Floats) -> Floats:
    """Squared distance of a mean, (F,), to those of others, (C, F), by what is known of both, by its variance; or inf.

    Args:
        means: Of the others.
        mean: Of the cluster.
        has: What is known of the others, (C, F).
        known: What is known of the cluster, (F,).
        variance: Of each coordinate, (F,).
    """
    common = has & known
    comparable = common @ variance
    difference = (means - mean) * common
    distance = np.einsum("cf,cf->c", difference, difference)
    unlike: Floats = np.divide(distance, comparable, out=np.full(len(means), np.inf), where=comparable > 0)
    return unlike


def _numbered(target: Ids, sizes: npt.NDArray[np.int64]) -> Ids:
    """Rename what clusters are merged into: the most train samples first, equal counts in the old order."""
    kept, dense = np.unique(target, return_inverse=True)
    rank = np.empty(len(kept), dtype=np.int64)
    rank[np.argsort(-sizes[kept], kind="stable")] = np.arange(len(kept))
    return rank[dense]


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
