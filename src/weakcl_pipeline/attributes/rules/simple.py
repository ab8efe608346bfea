"""The rules that cluster by themselves, as opposed to those that change the clusters of another."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from weakcl_pipeline.attributes.rules.base import Rule
from weakcl_pipeline.attributes.rules.given import Given
from weakcl_pipeline.attributes.rules.hierarchy_level import HierarchyLevel
from weakcl_pipeline.attributes.rules.mixed_k_means import MixedKMeans
from weakcl_pipeline.attributes.rules.top_entropy import TopEntropy
from weakcl_pipeline.attributes.rules.top_entropy_present import TopEntropyPresent
from weakcl_pipeline.attributes.rules.vectors import Vectors

SIMPLE_RULES: dict[str, type[Rule]] = {
    "top_entropy": TopEntropy,
    "top_entropy_present": TopEntropyPresent,
    "hierarchy_level": HierarchyLevel,
    "mixed_k_means": MixedKMeans,
    "vectors": Vectors,
    "given": Given,
}

Simple = TopEntropy | TopEntropyPresent | HierarchyLevel | MixedKMeans | Vectors | Given


def _named(rule: Any) -> Any:
    return {"name": rule} if isinstance(rule, str) else rule


BY_NAME = BeforeValidator(_named)
"""Lets a rule be given by its name alone."""

SimpleRule = Annotated[Simple, Field(discriminator="name"), BY_NAME]
