"""K-means over points of which each worker of a group has a part."""

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from weakcl_pipeline.attributes.kmeans import KMeans, draw_first, name_by_size
from weakcl_pipeline.attributes.lloyd import lloyd
from weakcl_pipeline.contrastive.group import Shard


def sharded_kmeans(shard: Shard, k: int, *, spherical: bool, iterations: int, seed: int) -> KMeans:
    """Cluster the points of all workers.

    Each worker looks for the nearest centroids of its own points, on the device where they are; then sums and sizes of
    the clusters are added up. So the clusters are those of one process, by ``attributes.kmeans``, up to the rounding of
    sums, and on CPUs the same to the bit for the same number of workers.

    Args:
        shard: N points; every worker calls this with its own.
        k: Number of clusters, at most N.
        spherical: Normalise points and centroids, so that closeness is the cosine.
        iterations: Lloyd iterations.
        seed: Of the first centroids.

    Returns:
        The clusters of all N points, on every worker.
    """
    points = F.normalize(shard.own, dim=1) if spherical else shard.own
    generator = np.random.default_rng(seed)
    first = _points_of_all(points, shard, draw_first(shard.count, k, generator))
    found = lloyd(points, first, iterations, spherical=spherical, generator=generator, add=shard.group.sum)
    return name_by_size(found, shard.group.gather(found.closest, shard.count))


def _points_of_all(points: Tensor, shard: Shard, rows: Tensor) -> Tensor:
    """Return points by their rows among those of all workers, float32 (k, D), on every worker."""
    part = shard.group.part(shard.count)
    own = (rows >= part.start) & (rows < part.stop)
    found = points.new_zeros(len(rows), points.shape[1])
    found[own.to(points.device)] = points[(rows[own] - part.start).to(points.device)]
    return shard.group.sum(found)  # the others have zeros there
