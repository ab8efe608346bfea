"""K-means over embeddings."""

from dataclasses import dataclass

import faiss
import numpy as np
import numpy.typing as npt

from weakcl_pipeline.errors import InputError

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class KMeans:
    """A k-means clustering.

    Attributes:
        assignment: The cluster of each sample, int64 (N,); ids are dense and ordered by size, the largest first.
        inertia: Mean squared Euclidean distance of a sample to its centroid; spherical: mean of ``2 - 2 cos``.
        n_clusters: Clusters that have samples.
    """

    assignment: Rows
    inertia: float
    n_clusters: int


def number_of_clusters(k: float, n_samples: int, key: str) -> int:
    """Return the number of clusters that a parameter stands for: a number, or, below 1, a fraction of the samples.

    Raises:
        InputError: If it is not between 1 and the number of samples; names the key.
    """
    n_clusters = round(k * n_samples) if k < 1 else round(k)
    if not 1 <= n_clusters <= n_samples:
        msg = f"{key}: {k:g} makes {n_clusters} clusters, but the train split has {n_samples} samples"
        raise InputError(msg)
    return n_clusters


def kmeans(embeddings: npt.NDArray[np.float32], k: int, *, spherical: bool, iterations: int, seed: int) -> KMeans:
    """Cluster embeddings with faiss.

    Faiss gives a cluster that runs empty in an iteration half of a large one. A cluster that ends up empty all the
    same, because samples coincide, is left out of the ids.

    Args:
        embeddings: float32 (N, D).
        k: Number of clusters, at most N.
        spherical: Normalise embeddings and centroids, so that closeness is the cosine.
        iterations: Lloyd iterations.
        seed: Of the first centroids.
    """
    points = np.ascontiguousarray(embeddings, dtype=np.float32)
    if spherical:
        points = points / np.linalg.norm(points, axis=1, keepdims=True).clip(min=1e-12)
    engine = faiss.Kmeans(
        points.shape[1],
        k,
        niter=iterations,
        spherical=spherical,
        seed=seed % 2**31,
        min_points_per_centroid=1,
        max_points_per_centroid=len(points),
    )
    engine.train(points)
    distances, nearest = engine.assign(points)
    _, ids, counts = np.unique(nearest, return_inverse=True, return_counts=True)
    by_size = np.argsort(np.argsort(-counts, kind="stable"), kind="stable")
    inertia = 2 - 2 * distances if spherical else distances
    return KMeans(by_size[ids].astype(np.int64), float(inertia.clip(min=0).mean()), len(counts))
