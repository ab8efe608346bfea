"""Auxiliary information: typed attributes, their binary form, clusters of them, and what these tell."""

from weakcl_pipeline.attributes.affinity import Affinity, AffinityConfig
from weakcl_pipeline.attributes.binarise import Indicator, binarise, fit_indicators, indicate
from weakcl_pipeline.attributes.casting import AttributeKind, cast_column, infer_kind
from weakcl_pipeline.attributes.clustering import (
    ClusteringConfig,
    FittedClustering,
    as_assignment,
    choose_attributes,
    choose_granularity,
    column_of,
    fit_clustering,
)
from weakcl_pipeline.attributes.columns import Columns, columns_of
from weakcl_pipeline.attributes.granularity import bits_learned, expected_partner_share, most_telling
from weakcl_pipeline.attributes.leaks import Leak, find_leaks, refuse_leaks
from weakcl_pipeline.attributes.measures import (
    conditional_entropy,
    count_entropy,
    entropy,
    mutual_information,
    shuffled_mutual_information,
)
from weakcl_pipeline.attributes.rules import CLUSTER_RULES, FittedRule, FittingData, Rule, rank_by_entropy
from weakcl_pipeline.attributes.schema import AttributeSpec, specs_of, type_attributes

__all__ = [
    "CLUSTER_RULES",
    "Affinity",
    "AffinityConfig",
    "AttributeKind",
    "AttributeSpec",
    "ClusteringConfig",
    "Columns",
    "FittedClustering",
    "FittedRule",
    "FittingData",
    "Indicator",
    "Leak",
    "Rule",
    "as_assignment",
    "binarise",
    "bits_learned",
    "cast_column",
    "choose_attributes",
    "choose_granularity",
    "column_of",
    "columns_of",
    "conditional_entropy",
    "count_entropy",
    "entropy",
    "expected_partner_share",
    "find_leaks",
    "fit_clustering",
    "fit_indicators",
    "indicate",
    "infer_kind",
    "most_telling",
    "mutual_information",
    "rank_by_entropy",
    "refuse_leaks",
    "shuffled_mutual_information",
    "specs_of",
    "type_attributes",
]
