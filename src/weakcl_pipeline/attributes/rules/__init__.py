"""Cluster rules, one per file: from the attributes to one cluster per sample, at several granularities.

To add a rule, write a subclass of `Rule` with a name of its own, and what it fits to, in a file, and list it here.
"""

from typing import Annotated

from pydantic import BeforeValidator, Field

from weakcl_pipeline.attributes.rules.base import FittedRule, FittingData, Ids, Rule, State
from weakcl_pipeline.attributes.rules.top_entropy import TopEntropy, rank_by_entropy
from weakcl_pipeline.attributes.rules.top_entropy_present import TopEntropyPresent

CLUSTER_RULES: dict[str, type[Rule]] = {
    "top_entropy": TopEntropy,
    "top_entropy_present": TopEntropyPresent,
}

AnyRule = Annotated[
    TopEntropy | TopEntropyPresent,
    Field(discriminator="name"),
    BeforeValidator(lambda rule: {"name": rule} if isinstance(rule, str) else rule),
]
"""A rule as parameters give it: `{name: top_entropy, ...}`, or its name alone."""

__all__ = [
    "CLUSTER_RULES",
    "AnyRule",
    "FittedRule",
    "FittingData",
    "Ids",
    "Rule",
    "State",
    "TopEntropy",
    "TopEntropyPresent",
    "rank_by_entropy",
]
