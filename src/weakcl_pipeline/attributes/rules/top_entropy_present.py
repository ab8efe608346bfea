"""The paper's rule for attributes whose absence says nothing, such as hashtags."""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Literal

import polars as pl

from weakcl_pipeline.attributes.rules.base import FittedRule, FittingData, Rule
from weakcl_pipeline.attributes.rules.top_entropy import FittedCombinations, TopEntropy


class TopEntropyPresent(Rule):
    """Clusters as those of `top_entropy`, but samples that have none of the top k attributes have no cluster.

    Under the paper's rule all samples without any of the k attributes are one cluster. For attributes that were
    looked at one by one, that is a similarity. Of hashtags it is not: a picture nobody called a `heart` or a
    `clock` may show anything, and the pictures that share only this are as a rule the largest cluster by far
    (63 % of the emoji at k = 20), in which unrelated pictures are made positives of each other. Here such a
    sample stands for itself, as does one for which an attribute is missing.
    """

    name: Literal["top_entropy_present"] = "top_entropy_present"
    fitted: ClassVar[type[FittedRule]] = FittedCombinations
    granularity_is: ClassVar[str] = TopEntropy.granularity_is
    on_binary: ClassVar[bool] = True

    def fit(self, data: FittingData, granularities: Sequence[int]) -> FittedCombinations:
        """Fit `top_entropy`, and dissolve the one cluster of each granularity whose samples have no attribute."""
        papers = TopEntropy().fit(data, granularities)
        present = {k: words.filter(pl.any_horizontal(pl.all() > 0)) for k, words in papers.combinations.items()}
        return replace(papers, combinations=present)
