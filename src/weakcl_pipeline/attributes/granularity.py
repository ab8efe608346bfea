"""How fine the clusters should be, decided without a label.

The granularities of the paper's rule are nested: every cluster of top_50 lies inside one of top_30. So I(Z;T) can only
rise with k, whatever the labels are, and one would always take the finest; other rules are nested or nearly so. But
Cl-InfoNCE learns from a cluster only where an anchor meets another picture of it in its batch; an anchor without a
partner is trained as in SimCLR, and the finer the clusters, the more anchors have none. What an anchor learns by
meeting a partner is that both are in their cluster, which is -log2 of the cluster's share of the samples in bits: much
for a small cluster, nearly nothing for one that holds half of them. The criterion is the granularity at which anchors
learn the most,

    1/N sum_i [i has a partner in its batch] * log2(N / n_c(i)),

over an epoch of batches as training draws them. It rises with k while clusters get more telling, and falls once their
members no longer meet: with uniform batches when clusters get small, with cluster-aware ones when they get down to
single samples. It needs no label, and has no threshold to set.
"""

from collections.abc import Mapping
from math import lgamma

import numpy as np
import numpy.typing as npt


def expected_partner_share(clusters: npt.NDArray[np.int64], batch_size: int) -> float:
    """Share of anchors that have another sample of their cluster in a uniform batch, in expectation (exact).

    With N samples, n_c of them in the anchor's cluster, the B - 1 others of a batch that holds the anchor are drawn
    without replacement from N - 1, and miss the cluster with probability C(N - n_c, B - 1) / C(N - 1, B - 1).

    Args:
        clusters: (N,) cluster of each train sample; -1 = no cluster, an anchor that never has a partner.
        batch_size: B; a batch larger than the data set holds all of it.
    """
    total = len(clusters)
    others = min(batch_size, total) - 1
    _, sizes = np.unique(clusters[clusters >= 0], return_counts=True)
    ever = _log_choose(total - 1, others)
    with_partner = 0.0
    for size, repeats in zip(*np.unique(sizes, return_counts=True), strict=True):
        miss = float(np.exp(_log_choose(total - int(size), others) - ever))
        with_partner += int(size) * int(repeats) * (1.0 - miss)
    return with_partner / total


def bits_learned(clusters: npt.NDArray[np.signedinteger], has_partner: npt.NDArray[np.bool_]) -> float:
    """What an anchor learns from its cluster, in bits and on average (see the module).

    Args:
        clusters: (N,) cluster of each train sample; -1 = no cluster, from which nothing is learned.
        has_partner: (N,) whether the sample has another one of its cluster in its batch.
    """
    ids = np.maximum(clusters, -1) + 1
    sizes = np.bincount(ids).clip(min=1)
    telling = np.log2(len(clusters) / sizes)
    telling[0] = 0.0
    return float(telling[ids[has_partner]].sum() / len(clusters))


def most_telling(bits: Mapping[int, float]) -> int:
    """The granularity at which anchors learn the most; of equals the coarsest.

    Args:
        bits: Granularity k -> `bits_learned`.
    """
    return min(bits, key=lambda k: (-bits[k], k))


def _log_choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) if n >= k else -np.inf
