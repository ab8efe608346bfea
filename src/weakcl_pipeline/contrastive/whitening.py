"""Whitening of points of which each worker of a group has a part."""

import torch
from torch import Tensor

from weakcl_pipeline.contrastive.group import Shard

_AT_ONCE = 2**16
"""Points of which there is a copy in float64 at a time."""
_NOTHING = 1e-12
"""A direction with less variance than this share of the largest has none but rounding."""


def whiten(shard: Shard, strength: float) -> Shard:
    """Even out how much points vary along their principal directions.

    What varies most in an encoder's features, such as the style of a drawing, decides alone which of them are near each
    other. DeepCluster (Caron et al., "Deep Clustering for Unsupervised Learning of Visual Features", ECCV 2018, section
    3.3) therefore whitens features before k-means: x to L^(-1/2) V^T (x - m), where m is their mean and V L V^T their
    covariance. Here the exponent is ``-strength / 2``, as full whitening makes as much of noise as of anything else.

    Args:
        shard: N points of D dimensions; every worker calls this with its own.
        strength: 1 gives all directions variance 1; 0 turns and moves the points only.

    Returns:
        The points in the coordinates of their principal directions; those without variance are 0.
    """
    mean = shard.group.sum(shard.own.sum(dim=0, dtype=torch.float64)) / shard.count
    variances, directions = torch.linalg.eigh(_covariance(shard, mean))
    scales = torch.where(variances > _NOTHING * variances[-1], variances ** (-strength / 2), 0)
    factors = directions * scales
    shard.group.agree([factors])  # other hardware may turn them otherwise
    return Shard((shard.own - mean.float()) @ factors.float(), shard.count, shard.group)


def _covariance(shard: Shard, mean: Tensor) -> Tensor:
    """Return the covariance of all workers' points, float64 (D, D)."""
    products = torch.zeros(len(mean), len(mean), dtype=torch.float64, device=mean.device)
    for block in torch.split(shard.own, _AT_ONCE):
        centred = block.double() - mean
        products.addmm_(centred.T, centred)
    return shard.group.sum(products) / shard.count
