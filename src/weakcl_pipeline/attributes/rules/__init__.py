"""Cluster rules: from binary attributes to one cluster per sample, at several granularities.

To add a rule, write a function of the same signature in a file of its own and list it here.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from weakcl_pipeline.attributes.rules.top_entropy import rank_by_entropy, top_entropy
from weakcl_pipeline.attributes.rules.top_entropy_present import top_entropy_present

ClusterRule = Callable[[pl.DataFrame, npt.NDArray[np.bool_], Sequence[int]], dict[int, npt.NDArray[np.int64]]]
"""(binary attributes of N rows, (N,) train mask, ks) -> k -> (N,) ids, -1 = no cluster."""

CLUSTER_RULES: dict[str, ClusterRule] = {
    "top_entropy": top_entropy,
    "top_entropy_present": top_entropy_present,
}

__all__ = ["CLUSTER_RULES", "ClusterRule", "rank_by_entropy", "top_entropy", "top_entropy_present"]
