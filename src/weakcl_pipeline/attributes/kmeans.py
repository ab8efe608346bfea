"""K-means over embeddings, and over attributes that are vectors."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from weakcl_pipeline.attributes.lloyd import Lloyd, lloyd
from weakcl_pipeline.errors import InputError

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

_BLOCK = 1024
"""Rows at a time in `nearest`."""


@dataclass(frozen=True)
class KMeans:
    """A k-means clustering.

    Attributes:
        assignment: The cluster of each sample, int64 (N,); ids are dense and ordered by size, the largest first.
        inertia: Mean squared Euclidean distance of a sample to its centroid; spherical: mean of ``2 - 2 cos``.
        n_clusters: Clusters that have samples.
        centroids: Their centres in the order of ids, float32 (n_clusters, D); spherical: of length 1.
    """

    assignment: Rows
    inertia: float
    n_clusters: int
    centroids: Floats


def number_of_clusters(k: float, n_samples: int, key: str) -> int:
    """Return the number of clusters that a parameter stands for: a number, or, below 1, a fraction of the samples.

    Raises:
        InputError: If it is not between 1 and the number of samples; names the key.
    """
    n_clusters = round(k * n_samples) if k < 1 else round(k)
    if n_clusters < 1:
        msg = f"{key}: {k:g} of the {n_samples} samples of the train split makes no cluster. Raise it"
        raise InputError(msg)
    if n_clusters > n_samples:
        msg = (
            f"{key}: {k:g} makes {n_clusters} clusters, but the train split has {n_samples} samples. Lower it, or give"
            " a fraction of the samples, such as 0.1"
        )
        raise InputError(msg)
    return n_clusters


def kmeans(points: Floats, k: int, *, spherical: bool, iterations: int, seed: int, starts: int = 1) -> KMeans:
    """Cluster points by Lloyd's iterations, from k of them that are drawn at random.

    A cluster that runs empty in an iteration gets half of a large one. One that ends up empty all the same, because
    samples coincide, is left out of the ids.

    Args:
        points: float32 (N, D).
        k: Number of clusters, from 1 to N.
        spherical: Normalise points and centroids, so that closeness is the cosine.
        iterations: Lloyd iterations.
        seed: Of the first centroids.
        starts: How often to start anew; the best is taken.

    Raises:
        ValueError: If k is not between 1 and N, or a coordinate is not finite.
    """
    if not np.isfinite(points).all():
        msg = f"expected finite points, got NaN or infinity in {int((~np.isfinite(points)).any(axis=1).sum())} of them"
        raise ValueError(msg)
    own = torch.from_numpy(np.ascontiguousarray(points))
    own = F.normalize(own, dim=1) if spherical else own
    generator = np.random.default_rng(seed)
    found = (
        lloyd(own, own[draw_first(len(own), k, generator)], iterations, spherical=spherical, generator=generator)
        for _ in range(starts)
    )
    best = min(found, key=lambda one: one.inertia)
    return name_by_size(best, best.closest)


def draw_first(count: int, k: int, generator: np.random.Generator) -> Tensor:
    """Draw which k of so many points are the first centroids, int64 (k,).

    Raises:
        ValueError: If k is not between 1 and their number.
    """
    if not 1 <= k <= count:
        msg = f"expected between 1 cluster and {count}, the number of points, got {k}"
        raise ValueError(msg)
    return torch.from_numpy(generator.choice(count, k, replace=False))


def name_by_size(found: Lloyd, closest: Tensor) -> KMeans:
    """Number clusters by size, and leave out those without samples.

    Args:
        found: Centroids and inertia.
        closest: The centroid of each sample, int64 (N,).
    """
    used, ids, counts = np.unique(closest.cpu().numpy(), return_inverse=True, return_counts=True)
    by_size = np.argsort(-counts, kind="stable")
    names = np.argsort(by_size, kind="stable")
    centroids = found.centroids.cpu().numpy()[used[by_size]]
    return KMeans(names[ids].astype(np.int64), found.inertia, len(counts), centroids)


def normalise(points: Floats) -> Floats:
    """Scale each of the points (N, D) to length 1; zeros stay as they are."""
    scaled: Floats = points / np.linalg.norm(points, axis=1, keepdims=True).clip(min=1e-12)
    return scaled


def nearest(points: npt.NDArray[np.floating], centroids: npt.NDArray[np.floating]) -> Rows:
    """Find the nearest centroid of each point by the coordinates that are known of the point.

    Args:
        points: (N, D); NaN where a coordinate is unknown.
        centroids: (K, D), all known.

    Returns:
        int64 (N,), of equals the first; -1 for a point of which nothing is known. The answer for a point does not
        depend on the others: blocks have one shape, so that sums are made in one order.
    """
    centres = centroids.astype(np.float64).T
    ids = np.empty(len(points), dtype=np.int64)
    for start in range(0, len(points), _BLOCK):
        rows = np.full((_BLOCK, points.shape[1]), np.nan)
        block = points[start : start + _BLOCK]
        rows[: len(block)] = block
        known = ~np.isnan(rows)
        distances = known @ centres**2 - 2 * np.where(known, rows, 0) @ centres
        found = np.where(known.any(axis=1), distances.argmin(axis=1), -1)
        ids[start : start + len(block)] = found[: len(block)]
    return ids
