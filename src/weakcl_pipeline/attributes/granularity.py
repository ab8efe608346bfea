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

from collections.abc import Iterable, Mapping
from math import lgamma

import numpy as np
import numpy.typing as npt

_SMALL = 256
"""Samples of a cluster. More, drawn whole, would meet more often in uniform batches of fewer samples; fewer, of which a
tenth or less is drawn, would hardly keep a partner."""


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


def bits_learned(
    clusters: npt.NDArray[np.signedinteger],
    has_partner: npt.NDArray[np.bool_],
    sizes: npt.NDArray[np.int64] | None = None,
) -> float:
    """What an anchor learns from its cluster, in bits and on average (see the module).

    Args:
        clusters: (N,) cluster of each train sample; -1 = no cluster, from which nothing is learned.
        has_partner: (N,) whether the sample has another one of its cluster in its batch.
        sizes: Where these are some of the train samples, `cluster_sizes` of all.
    """
    sizes = cluster_sizes([clusters], int(clusters.max(initial=-1)) + 1) if sizes is None else sizes
    telling = np.log2(sizes.sum() / sizes.clip(min=1))
    telling[0] = 0.0
    return float(telling[np.maximum(clusters[has_partner], -1) + 1].sum() / len(clusters))


def cluster_sizes(parts: Iterable[npt.NDArray[np.signedinteger]], n_clusters: int) -> npt.NDArray[np.int64]:
    """Count the samples of each cluster: int64 (n_clusters + 1,), of which the first have none.

    Args:
        parts: The cluster of each sample, part by part; -1 = none.
        n_clusters: Above the highest cluster id.
    """
    sizes = np.zeros(n_clusters + 1, dtype=np.int64)
    for clusters in parts:
        sizes += np.bincount(np.maximum(clusters, -1) + 1, minlength=n_clusters + 1)
    return sizes


def thin_out(
    parts: Iterable[npt.NDArray[np.signedinteger]],
    sizes: npt.NDArray[np.int64],
    share: float,
    generator: np.random.Generator,
) -> npt.NDArray[np.signedinteger]:
    """Draw a share of many samples so that as many of those drawn have a partner in a batch as of all.

    Of a large cluster samples are drawn one by one. A small one is drawn whole or not at all: single samples of it
    would have lost their partners.

    Args:
        parts: The cluster of each sample, part by part; -1 = none.
        sizes: `cluster_sizes` of them.
        share: Of the samples.
        generator: Random numbers.

    Returns:
        The clusters of those drawn.
    """
    small = sizes < _SMALL
    small[0] = False
    whole = generator.random(len(sizes), dtype=np.float32) < share
    drawn = []
    for clusters in parts:
        of = np.maximum(clusters, -1) + 1
        one_by_one = generator.random(len(clusters), dtype=np.float32) < share
        drawn.append(clusters[np.where(small[of], whole[of], one_by_one)])
    return np.concatenate(drawn)


def most_telling(bits: Mapping[int, float]) -> int:
    """The granularity at which anchors learn the most; of equals the coarsest.

    Args:
        bits: Granularity k -> `bits_learned`.
    """
    return min(bits, key=lambda k: (-bits[k], k))


def _log_choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) if n >= k else -np.inf
