"""The paper's rule for attributes whose absence says nothing, such as hashtags."""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from weakcl_pipeline.attributes.rules.base import FittedRule, FittingData, Ids, Rule
from weakcl_pipeline.attributes.rules.top_entropy import FittedCombinations, TopEntropy


class TopEntropyPresent(Rule):
    """Clusters as those of `top_entropy`, but samples that have none of the top k attributes have no cluster.

    Under the paper's rule all samples without any of the k attributes are one cluster. For attributes that were
    looked at one by one, that is a similarity. Of hashtags it is not: a picture nobody called a `heart` or a
    `clock` may show anything, and the pictures that share only this are as a rule the largest cluster by far
    (63 % of the emoji at k = 20), in which unrelated pictures are made positives of each other. Here such a
    sample has no cluster, nor has one for which an attribute is missing.
    """

    name: Literal["top_entropy_present"] = "top_entropy_present"
    fitted: ClassVar[type[FittedRule]] = FittedCombinations
    granularity_is: ClassVar[str] = TopEntropy.granularity_is
    on_binary: ClassVar[bool] = True

    def fit(self, data: FittingData, granularities: Sequence[int]) -> FittedCombinations:
        """Fit `top_entropy`, and dissolve the one cluster of each granularity whose samples have no attribute."""
        return self.fit_assign(data, granularities)[0]

    def fit_assign(self, data: FittingData, granularities: Sequence[int]) -> tuple[FittedCombinations, dict[int, Ids]]:
        """Do the same, and give the samples of that cluster none."""
        papers, ids = TopEntropy().fit_assign(data, granularities)
        any_of = pl.any_horizontal(pl.all() > 0)
        kept = {k: words.select(any_of).to_series() for k, words in papers.combinations.items()}
        present = {k: words.filter(kept[k]) for k, words in papers.combinations.items()}
        clusters = {k: _kept(of_rows, kept[k].to_numpy()) for k, of_rows in ids.items()}
        return replace(papers, combinations=present), clusters


def _kept(ids: Ids, kept: npt.NDArray[np.bool_]) -> Ids:
    """Ids of the clusters for which ``kept``, (C,), is true, dense again; -1 in place of the others."""
    renamed = np.full(len(kept) + 1, -1, dtype=ids.dtype)  # the last is where no cluster, -1, finds none
    renamed[:-1][kept] = np.arange(kept.sum())
    return renamed[ids]
