"""How fine the clusters should be, decided without a label.

The granularities of a rule are nested: every cluster of top_50 lies inside one of top_30. So I(Z;T) can
only rise with k, whatever the labels are, and one would always take the finest. But Cl-InfoNCE learns from
a cluster only where an anchor meets another picture of it in the batch; an anchor without a partner is
trained as in SimCLR, and the finer the clusters, the more anchors have none. The criterion is therefore the
finest granularity at which at least a given share of the anchors has a partner in a batch drawn uniformly.
It needs cluster sizes and the batch size, nothing else.
"""

from collections.abc import Mapping
from math import lgamma

import numpy as np
import numpy.typing as npt


def expected_partner_share(clusters: npt.NDArray[np.int64], batch_size: int) -> float:
    """Share of anchors that have another sample of their cluster in a uniform batch, in expectation (exact).

    With N samples, n_c of them in the anchor's cluster, the B - 1 others of a batch that holds the anchor
    are drawn without replacement from N - 1, and miss the cluster with probability C(N - n_c, B - 1) / C(N
    - 1, B - 1).

    Args:
        clusters: (N,) cluster of each train sample; -1 = no cluster, an anchor that never has a partner.
        batch_size: B; a batch larger than the data set holds all of it.
    """
    total = len(clusters)
    others = min(batch_size, total) - 1
    if others < 1:
        return 0.0
    _, sizes = np.unique(clusters[clusters >= 0], return_counts=True)
    with_partner = 0.0
    for size, repeats in zip(*np.unique(sizes, return_counts=True), strict=True):
        miss = np.exp(_log_choose(total - int(size), others) - _log_choose(total - 1, others))
        with_partner += int(size) * int(repeats) * (1.0 - float(miss))
    return with_partner / total


def finest_with_partners(partner_shares: Mapping[int, float], min_partner_share: float) -> int:
    """The finest granularity whose anchors have partners often enough, or the coarsest if none has.

    Args:
        partner_shares: Granularity k -> share of anchors with a partner in a batch
            (`expected_partner_share`).
        min_partner_share: The least share, in [0, 1].
    """
    enough = [k for k, share in partner_shares.items() if share >= min_partner_share]
    return max(enough) if enough else min(partner_shares)


def _log_choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) if n >= k else -np.inf
