"""How fine the clusters should be, decided without a label.

The granularities of a rule are nested: every cluster of top_50 lies inside one of top_30. So I(Z;T) can only rise
with k, whatever the labels are, and one would always take the finest. But Cl-InfoNCE learns from a cluster only
where an anchor meets another picture of it in its batch; an anchor without a partner is trained as in SimCLR, and the
finer the clusters, the more anchors have none. What an anchor learns by meeting a partner is that both are in their
cluster, which is -log2 of the cluster's share of the samples in bits: much for a small cluster, nearly nothing for
one that holds half of them. The criterion is the granularity at which anchors learn the most in expectation,

    1/N sum_i P(i has a partner in a uniform batch) * log2(N / n_c(i)),

which rises with k while clusters get more telling, and falls once their members no longer meet. It needs the sizes of
the clusters and of the batch, and has no threshold to set.
"""

from collections.abc import Mapping
from math import lgamma

import numpy as np
import numpy.typing as npt


def expected_partner_share(clusters: npt.NDArray[np.int64], batch_size: int) -> float:
    """Share of anchors that have another sample of their cluster in a uniform batch, in expectation (exact).

    Args:
        clusters: (N,) cluster of each train sample; -1 = no cluster, an anchor that never has a partner.
        batch_size: B; a batch larger than the data set holds all of it.
    """
    sizes, meeting = _meeting_probability(clusters, batch_size)
    return float((sizes * meeting).sum()) / len(clusters)


def expected_bits(clusters: npt.NDArray[np.int64], batch_size: int) -> float:
    """What an anchor learns from its cluster in a uniform batch, in bits and in expectation (see the module).

    Args:
        clusters: (N,) cluster of each train sample; -1 = no cluster, from which nothing is learned.
        batch_size: B; a batch larger than the data set holds all of it.
    """
    sizes, meeting = _meeting_probability(clusters, batch_size)
    return float((sizes * meeting * np.log2(len(clusters) / sizes)).sum()) / len(clusters)


def most_telling(bits: Mapping[int, float]) -> int:
    """The granularity at which anchors learn the most; of equals the coarsest.

    Args:
        bits: Granularity k -> `expected_bits`.
    """
    return min(bits, key=lambda k: (-bits[k], k))


def _meeting_probability(
    clusters: npt.NDArray[np.int64], batch_size: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return each cluster's size and the probability that one of its samples has a partner in its batch.

    With N samples, n_c of them in the anchor's cluster, the B - 1 others of a batch that holds the anchor are drawn
    without replacement from N - 1, and miss the cluster with probability C(N - n_c, B - 1) / C(N - 1, B - 1).
    """
    total = len(clusters)
    others = min(batch_size, total) - 1
    _, sizes = np.unique(clusters[clusters >= 0], return_counts=True)
    distinct, which = np.unique(sizes, return_inverse=True)
    ever = _log_choose(total - 1, others)
    missing = [np.exp(_log_choose(total - int(size), others) - ever) for size in distinct]
    return sizes, 1.0 - np.array(missing, dtype=np.float64)[which]


def _log_choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) if n >= k else -np.inf
