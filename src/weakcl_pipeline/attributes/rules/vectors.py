"""Clusters of vectors that came with the samples, such as embeddings of captions or tags."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from pydantic import Field
from torch import Tensor

from weakcl_pipeline.attributes.casting import AttributeKind
from weakcl_pipeline.attributes.columns import Columns
from weakcl_pipeline.attributes.kmeans import kmeans, nearest, normalise, number_of_clusters
from weakcl_pipeline.attributes.rules.base import FittedRule, FittingData, Ids, Rule, State
from weakcl_pipeline.attributes.rules.columns import only_column
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.seeding import derive_seed

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class FittedVectors(FittedRule):
    """Clusters that are the neighbourhoods of centroids.

    Attributes:
        column: The vectors.
        spherical: Whether closeness is the cosine.
        centroids: k -> float32 (clusters, D) in the order of ids.
    """

    column: str
    spherical: bool
    centroids: Mapping[int, Floats]

    def assign(self, attributes: Columns) -> dict[int, Ids]:
        """Find each row's nearest centroid.

        Raises:
            InputError: The vectors are of another length than those that the rule was fitted on.
        """
        points = _points(attributes[self.column], self.spherical)
        length = next(iter(self.centroids.values())).shape[1]
        if points.shape[1] != length:
            raise InputError(
                f"column '{self.column}' has vectors of length {points.shape[1]}, but the cluster rule was fitted on"
                f" vectors of length {length}. Make them by the same model."
            )
        return {k: nearest(points, centroids) for k, centroids in self.centroids.items()}

    def to_state(self) -> State:
        """Return the centroids as tensors."""
        tensors = {str(k): torch.from_numpy(centroids.copy()) for k, centroids in self.centroids.items()}
        return tensors, {"column": self.column, "spherical": self.spherical}

    @classmethod
    def from_state(cls, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> Self:
        """Return the rule that `to_state` described."""
        centroids = {int(k): tensor.numpy() for k, tensor in tensors.items()}
        return cls(metadata["column"], metadata["spherical"], dict(sorted(centroids.items())))


class Vectors(Rule):
    """K-means of a vector column into k clusters, fitted on the train split.

    A sample whose vector is missing has no cluster. Any other has that of the nearest centroid, later ones too.

    Attributes:
        column: The vectors; may be left out where there is only one such column.
        spherical: Whether closeness is the cosine, as is usual for embeddings of words, or the Euclidean distance.
        iterations: Of Lloyd's algorithm.
        starts: How often k-means starts anew, of which the best is taken.
    """

    name: Literal["vectors"] = "vectors"
    column: str | None = None
    spherical: bool = True
    iterations: int = Field(default=25, ge=1)
    starts: int = Field(default=4, ge=1)
    fitted: ClassVar[type[FittedRule]] = FittedVectors
    granularity_is: ClassVar[str] = "k-means clusters"

    def fit(self, data: FittingData, granularities: Sequence[int]) -> FittedVectors:
        """Find the centroids of every granularity.

        Raises:
            InputError: There is no such column, or several to choose from, or fewer vectors than clusters.
        """
        column = only_column(self.column, data.specs, AttributeKind.VECTOR, self.name)
        seen = data.attributes[column].filter(pl.Series(data.train)).drop_nulls()
        points = _points(seen, self.spherical)
        centroids = {
            k: kmeans(
                points,
                number_of_clusters(k, len(points), "clustering.granularities"),
                spherical=self.spherical,
                iterations=self.iterations,
                starts=self.starts,
                seed=derive_seed(data.seed, "clusters of vectors", k),
            ).centroids
            for k in sorted(set(granularities))
        }
        return FittedVectors(column, self.spherical, centroids)


def _points(vectors: pl.Series, spherical: bool) -> Floats:
    """The vectors as float32 (N, D), NaN where missing."""
    missing = vectors.is_null().to_numpy()
    points = np.full((len(vectors), vectors.dtype.shape[0]), np.nan, dtype=np.float32)  # type: ignore[attr-defined]
    points[~missing] = vectors.drop_nulls().to_numpy()
    return normalise(points) if spherical else points
