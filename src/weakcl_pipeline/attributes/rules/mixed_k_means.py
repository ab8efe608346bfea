"""K-means of attributes of all kinds, missing ones among them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from pydantic import Field, PositiveFloat
from sklearn.cluster import KMeans
from torch import Tensor

from weakcl_pipeline.attributes.columns import Columns
from weakcl_pipeline.attributes.kmeans import nearest, number_of_clusters
from weakcl_pipeline.attributes.rules.base import FittedRule, FittingData, Ids, Rule, State
from weakcl_pipeline.attributes.rules.encoding import Encoding
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.seeding import derive_seed, numpy_generator

Floats = npt.NDArray[np.float64]

_STILL = 1e-4
"""A centroid that moves by less does not move: attributes have a variance of 1."""


@dataclass(frozen=True)
class FittedMixedKMeans(FittedRule):
    """Clusters that are the neighbourhoods of centroids among encoded attributes.

    Attributes:
        encoding: Where attributes lie as points.
        centroids: k -> float64 (clusters, F) in the order of ids.
    """

    encoding: Encoding
    centroids: Mapping[int, Floats]

    def assign(self, attributes: Columns) -> dict[int, Ids]:
        """Find each row's nearest centroid by the attributes that are known of it."""
        ids = {k: np.empty(attributes.height, dtype=np.int64) for k in self.centroids}
        for rows, points in self.encoding.blocks(attributes):
            for k, centroids in self.centroids.items():
                ids[k][rows] = nearest(points, centroids)
        return ids

    def to_state(self) -> State:
        """Return the encoding's state, and the centroids as tensors."""
        tensors, metadata = self.encoding.to_state()
        return tensors | {str(k): torch.from_numpy(found.copy()) for k, found in self.centroids.items()}, metadata

    @classmethod
    def from_state(cls, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> Self:
        """Return the rule that `to_state` described."""
        centroids = {int(name): tensor.numpy() for name, tensor in tensors.items() if name.isdigit()}
        return cls(Encoding.from_state(tensors, metadata), dict(sorted(centroids.items())))


class MixedKMeans(Rule):
    """K-means of all attributes that take part into k clusters, fitted on the train split.

    Attributes are points as `rules.encoding` says, so that each counts alike, whatever its kind. A missing cell
    contributes nothing, neither to the distance of a sample to a centroid nor to the centroid: this minimises the sum
    of squares over the cells that are known, by k-POD (Chi, Chi and Baraniuk, "k-POD: A Method for k-Means Clustering
    of Missing Data", The American Statistician 2016), which fills missing cells with those of the sample's centroid
    and runs k-means again, until no centroid moves. A sample of which nothing is known has no cluster.

    Attributes:
        weights: Column -> how much it counts; 1 where it is not named.
        starts: How often k-means starts anew, of which the best is taken.
        rounds: How often missing cells are filled, at most.
        fitted_on: Train samples that it is fitted on, at most; drawn at random.
    """

    name: Literal["mixed_k_means"] = "mixed_k_means"
    weights: dict[str, PositiveFloat] = Field(default_factory=dict)
    starts: int = Field(default=4, ge=1)
    rounds: int = Field(default=50, ge=1)
    fitted_on: int = Field(default=200_000, ge=1)
    fitted: ClassVar[type[FittedRule]] = FittedMixedKMeans
    granularity_is: ClassVar[str] = "k-means clusters"

    def fit(self, data: FittingData, granularities: Sequence[int]) -> FittedMixedKMeans:
        """Find the centroids of every granularity.

        Raises:
            InputError: A weight is of a column that does not take part, or there are fewer samples than clusters.
        """
        unknown = [name for name in self.weights if name not in data.specs]
        if unknown:
            raise InputError(
                f"clustering.rule.weights: {', '.join(unknown)} not among the attribute columns in use"
                f" ({', '.join(data.specs)}). Correct the name, or remove the weight."
            )
        encoding = Encoding.fit(data, self.weights)
        points = encoding.points(data.attributes.filter(self._drawn(data, encoding)))
        centroids = {}
        for k in sorted(set(granularities)):
            number_of_clusters(k, len(points), "clustering.granularities")
            centroids[k] = self._centroids(points, k, derive_seed(data.seed, "mixed k-means", k) % 2**32)
        return FittedMixedKMeans(encoding, centroids)

    def _drawn(self, data: FittingData, encoding: Encoding) -> pl.Series:
        """The rows to fit on, (N,) Boolean: train samples of which something is known, a part of them if too many."""
        rows = np.flatnonzero(data.train & encoding.known(data.attributes))
        if len(rows) > self.fitted_on:
            generator = numpy_generator(data.seed, "rows of mixed k-means")
            rows = rows[generator.choice(len(rows), self.fitted_on, replace=False)]
        return pl.zeros(len(data.train), pl.Boolean, eager=True).scatter(rows, True)

    def _centroids(self, points: Floats, k: int, seed: int) -> Floats:
        """Centroids of points with missing coordinates, those with the most samples first."""
        known = ~np.isnan(points)
        filled = np.where(known, points, 0.0)  # the mean
        centroids = KMeans(k, n_init=self.starts, random_state=seed).fit(filled).cluster_centers_
        for _ in range(0 if known.all() else self.rounds):
            before = centroids
            filled = np.where(known, points, before[nearest(points, before)])
            centroids = KMeans(k, init=before, n_init=1).fit(filled).cluster_centers_
            if np.abs(centroids - before).max() < _STILL:
                break
        ids = nearest(points, centroids)
        used, counts = np.unique(ids, return_counts=True)
        ordered: Floats = centroids[used[np.argsort(-counts, kind="stable")]]
        return ordered
