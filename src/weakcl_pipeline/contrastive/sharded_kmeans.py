"""K-means over points of which each worker of a group has a part."""

from itertools import cycle

import faiss
import numpy as np
import numpy.typing as npt
import torch

from weakcl_pipeline.attributes.kmeans import FAISS_SEEDS, KMeans, kmeans, name_by_size, normalise
from weakcl_pipeline.contrastive.group import Shard

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

_SPLIT_SEED = 1234  # faiss's
_SPLIT = 1 / 1024  # faiss's


def sharded_kmeans(shard: Shard, k: int, *, spherical: bool, iterations: int, seed: int) -> KMeans:
    """Cluster the points of all workers.

    A worker that is alone leaves it to faiss. Several compute Lloyd's iterations as faiss does, from the centroids that
    it would start with and with its care for clusters that run empty: each looks for the nearest centroid of its own
    points, then sums and sizes of the clusters are added up. So the clusters are those of one process up to the
    rounding of sums, and the same to the bit for the same number of workers.

    Args:
        shard: N points; every worker calls this with its own.
        k: Number of clusters, at most N.
        spherical: Normalise points and centroids, so that closeness is the cosine.
        iterations: Lloyd iterations.
        seed: Of the first centroids.

    Returns:
        The clusters of all N points, on every worker.
    """
    group = shard.group
    if group.size == 1:
        return kmeans(shard.own, k, spherical=spherical, iterations=iterations, seed=seed)
    points = normalise(shard.own) if spherical else np.ascontiguousarray(shard.own)
    centroids = _first_centroids(points, shard, k, seed % FAISS_SEEDS)
    for _ in range(iterations):
        closest, _ = _nearest(points, centroids, spherical)
        sums = torch.zeros(centroids.shape).index_add_(0, torch.from_numpy(closest), torch.from_numpy(points))
        counts = group.sum(torch.from_numpy(np.bincount(closest, minlength=k)))
        centroids = (group.sum(sums) / counts.clamp(min=1)[:, None]).numpy()
        _split_large(centroids, counts.numpy())
        centroids = normalise(centroids) if spherical else centroids
    closest, distances = _nearest(points, centroids, spherical)
    inertia = group.sum(torch.tensor(distances.sum(dtype=np.float64))).item() / shard.count
    return name_by_size(group.gather(torch.from_numpy(closest), shard.count).numpy(), inertia, centroids)


def _first_centroids(points: Floats, shard: Shard, k: int, seed: int) -> Floats:
    """Return the points, float32 (k, D), that faiss would start from if it had all of them."""
    order = np.empty(shard.count, dtype=np.int32)
    faiss.rand_perm(faiss.swig_ptr(order), shard.count, seed + 1)  # type: ignore[attr-defined]
    part = shard.group.part(shard.count)
    own = (order[:k] >= part.start) & (order[:k] < part.stop)
    first = torch.zeros(k, points.shape[1])
    first[torch.from_numpy(own)] = torch.from_numpy(points[order[:k][own] - part.start])
    centroids: Floats = shard.group.sum(first).numpy()  # the others have zeros there
    return centroids


def _nearest(points: Floats, centroids: Floats, spherical: bool) -> tuple[Rows, Floats]:
    """Return the nearest centroid of each point, int64 (n,), and the squared distance to it, float32 (n,)."""
    index = faiss.IndexFlatIP(points.shape[1]) if spherical else faiss.IndexFlatL2(points.shape[1])
    index.add(centroids)
    found, closest = index.search(points, 1)
    distances = 2 - 2 * found[:, 0] if spherical else found[:, 0]
    return closest[:, 0], distances.clip(min=0)


def _split_large(centroids: Floats, counts: Rows) -> None:
    """Give each cluster that ran empty half of another one, drawn by size; both change in place."""
    draw = faiss.RandomGenerator(_SPLIT_SEED)  # type: ignore[attr-defined]
    spare = counts.sum() - len(counts)
    apart = np.where(np.arange(centroids.shape[1]) % 2, -_SPLIT, _SPLIT).astype(np.float32)
    for empty in np.flatnonzero(counts == 0):
        large = next(c for c in cycle(range(len(counts))) if spare * draw.rand_float() < counts[c] - 1)
        centroids[empty] = centroids[large] * (1 + apart)
        centroids[large] *= 1 - apart
        counts[empty] = counts[large] // 2
        counts[large] -= counts[empty]
