"""The cluster rule of the Cl-InfoNCE paper: combinations of the binary attributes with the highest entropy.

Tsai et al., "Learning Weakly-Supervised Contrastive Representations" (ICLR 2022, arXiv:2202.06670). The
tables that were released with it (`rank_H`, `label_gran_k`) are nested and hold at most 2^k clusters, as
this rule gives.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from weakcl_pipeline.attributes.measures import count_entropy

_BITS_BEFORE_COMPRESSION = 31
"""Ids stay below 2^31 after compression (one per row at most), so that 31 more bits fit into an int64."""


def rank_by_entropy(binary: pl.DataFrame, train: npt.NDArray[np.bool_]) -> list[tuple[str, float]]:
    """Binary attributes from the most to the least informative, with their scores in bits.

    The score is the entropy of the observed cells times the share of cells that are observed: a bit that is
    known of half the samples can tell at most half a bit per sample. Equal scores are ordered by name.

    Args:
        binary: Boolean columns of N rows; null = not observed.
        train: (N,) rows of the train split; no other row has a say.
    """
    seen = binary.filter(pl.Series(train))
    observed = seen.select(pl.all().count()).row(0)
    ones = seen.select(pl.all().sum()).row(0)
    scores = [
        # The rarer side first: an attribute and its negation then score the same to the last bit.
        (name, count_entropy([one, total - one]) * total / max(1, seen.height))
        for name, one, total in zip(binary.columns, ones, observed, strict=True)
    ]
    return sorted(scores, key=lambda item: (-item[1], item[0]))


def top_entropy(
    binary: pl.DataFrame, train: npt.NDArray[np.bool_], granularities: Sequence[int]
) -> dict[int, npt.NDArray[np.int64]]:
    """Cluster by the distinct combinations of the top k attributes, for every k in one pass.

    Ids are dense, 0 for the cluster with the most train samples, and depend on nothing but the combinations
    and their train counts: equal counts are ordered by combination (false before true, the highest-ranked
    attribute first). The rule is fitted on the train split. A combination that only validation or test
    samples have gets an id after those of the train split, again ordered by combination. A sample for which
    one of the k attributes is missing has no cluster, since any value put in its place would claim a
    similarity that nobody observed.

    Args:
        binary: Boolean columns of N rows; null = not observed.
        train: (N,) rows of the train split.
        granularities: Values of k, each between 1 and the number of columns.

    Returns:
        k -> (N,) cluster ids, -1 = no cluster.
    """
    order = [name for name, _ in rank_by_entropy(binary, train)]
    ids = np.zeros(binary.height, dtype=np.int64)
    known = np.ones(binary.height, dtype=np.bool_)
    clusters, done = {}, 0
    for k in sorted(set(granularities)):
        for start in range(done, k, _BITS_BEFORE_COMPRESSION):
            for name in order[start : min(k, start + _BITS_BEFORE_COMPRESSION)]:
                known &= binary[name].is_not_null().to_numpy()
                ids = 2 * ids + binary[name].fill_null(value=False).to_numpy()
            ids = np.unique(ids, return_inverse=True)[1]  # dense again, in the order of the combinations
        clusters[k] = np.where(known, _order_by_size(ids, train & known, known), -1)
        done = k
    return clusters


def _order_by_size(
    ids: npt.NDArray[np.int64], train: npt.NDArray[np.bool_], known: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    """Rename dense ids: most train samples first, equal counts in the old order, unused ids last."""
    number = int(ids.max(initial=-1)) + 1
    on_train = np.bincount(ids[train], minlength=number)
    unused = np.bincount(ids[known], minlength=number) == 0
    new_of_old = np.empty(number, dtype=np.int64)
    new_of_old[np.lexsort((np.arange(number), -on_train, unused))] = np.arange(number)
    return new_of_old[ids]
