"""Cluster rules, one per file: from the attributes to one cluster per sample, at several granularities.

To add a rule, write a subclass of `Rule` with a name of its own, and what it fits to, in a file, and list it in
`rules.simple`.
"""

from typing import Annotated

from pydantic import Field

from weakcl_pipeline.attributes.rules.base import FittedRule, FittingData, Ids, Rule, State
from weakcl_pipeline.attributes.rules.given import Given
from weakcl_pipeline.attributes.rules.hierarchy_level import HierarchyLevel
from weakcl_pipeline.attributes.rules.merge_small import MergeSmall
from weakcl_pipeline.attributes.rules.mixed_k_means import MixedKMeans
from weakcl_pipeline.attributes.rules.simple import BY_NAME, SIMPLE_RULES, Simple
from weakcl_pipeline.attributes.rules.top_entropy import TopEntropy, rank_by_entropy
from weakcl_pipeline.attributes.rules.top_entropy_present import TopEntropyPresent
from weakcl_pipeline.attributes.rules.vectors import Vectors

CLUSTER_RULES: dict[str, type[Rule]] = {**SIMPLE_RULES, "merge_small": MergeSmall}

AnyRule = Annotated[Simple | MergeSmall, Field(discriminator="name"), BY_NAME]
"""A rule as parameters give it: `{name: top_entropy, ...}`, or its name alone."""

__all__ = [
    "CLUSTER_RULES",
    "AnyRule",
    "FittedRule",
    "FittingData",
    "Given",
    "HierarchyLevel",
    "Ids",
    "MergeSmall",
    "MixedKMeans",
    "Rule",
    "State",
    "TopEntropy",
    "TopEntropyPresent",
    "Vectors",
    "rank_by_entropy",
]
