"""Clusters at every configured granularity, one of them chosen for training."""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field, field_validator, model_validator

from weakcl_pipeline.attributes.granularity import bits_learned, most_telling
from weakcl_pipeline.attributes.rules import CLUSTER_RULES
from weakcl_pipeline.config import Config
from weakcl_pipeline.errors import InputError

logger = logging.getLogger(__name__)

Meets = Callable[[int, npt.NDArray[np.int64]], npt.NDArray[np.bool_]]
"""(granularity, (N,) clusters) -> (N,) whether a sample has a partner in an epoch of batches as training draws them."""


class ClusteringConfig(Config):
    """How samples are clustered by their attributes.

    Attributes:
        rule: A name in `CLUSTER_RULES`.
        attributes: The attribute columns that take part; None = all of them.
        granularities: For each k, clusters are formed from the k best binary attributes. All are reported.
        granularity: The k that training uses; "auto" takes the one from which anchors learn the most in a batch
            (see `attributes.granularity`). No label is looked at.
        shuffles: How many random pairings the shuffled mutual information is averaged over.
    """

    rule: str = "top_entropy"
    attributes: tuple[str, ...] | None = None
    granularities: tuple[int, ...] = (5, 10, 20, 50)
    granularity: Literal["auto"] | int = "auto"
    shuffles: int = Field(default=10, ge=1)

    @field_validator("rule")
    @classmethod
    def _known_rule(cls, rule: str) -> str:
        if rule not in CLUSTER_RULES:
            raise ValueError(f"unknown rule '{rule}'; there are: {', '.join(CLUSTER_RULES)}")
        return rule

    @field_validator("granularities")
    @classmethod
    def _positive_and_sorted(cls, granularities: tuple[int, ...]) -> tuple[int, ...]:
        if not granularities or min(granularities) < 1:
            raise ValueError("granularities must be one or more whole numbers of at least 1")
        return tuple(sorted(set(granularities)))

    @model_validator(mode="after")
    def _granularity_is_computed(self) -> Self:
        if self.granularity != "auto" and self.granularity not in self.granularities:
            raise ValueError(f"granularity {self.granularity} is not one of granularities {self.granularities}")
        return self


def column_of(granularity: int) -> str:
    """Name of the column of `clusters` that holds this granularity."""
    return f"top_{granularity}"


def choose_attributes(available: Iterable[str], config: ClusteringConfig) -> list[str]:
    """The attribute columns that take part in clustering.

    Raises:
        InputError: There is no attribute, or none is chosen, or `clustering.attributes` names another column.
    """
    known = list(available)
    if not known:
        raise InputError(
            "ingestion.attributes: there is no attribute, so there is nothing to cluster by. Declare some, or set"
            " ingestion.undeclared to `infer`, and run ingestion again. Without side information,"
            " `kedro run --pipelines=pictures` trains and compares what needs pictures alone."
        )
    chosen = known if config.attributes is None else list(config.attributes)
    missing = [name for name in chosen if name not in known]
    if missing:
        raise InputError(
            f"clustering.attributes: {', '.join(missing)} not among the attribute columns"
            f" ({', '.join(known)}). Declare it under ingestion.attributes and run"
            f" ingestion again, or correct the name."
        )
    if not chosen:
        raise InputError(f"clustering.attributes: none is chosen to cluster by; there are: {', '.join(known)}.")
    return chosen


def form_clusters(
    binary: pl.DataFrame, train: npt.NDArray[np.bool_], config: ClusteringConfig, meets: Meets
) -> tuple[pl.DataFrame, int]:
    """Cluster every sample at every granularity, and choose the granularity for training.

    Args:
        binary: Nullable Boolean columns, N rows.
        train: (N,) rows of the train split, which the rule is fitted on.
        config: The rule, the granularities and the criterion.
        meets: Which train samples have a partner, by which the granularity is chosen.

    Returns:
        N rows of Int32 columns `top_<k>` (null = no cluster) and `cluster`, a copy of the chosen one; the
        chosen k.

    Raises:
        InputError: A granularity asks for more attributes than there are.
    """
    most = max(config.granularities)
    if most > binary.width:
        raise InputError(
            f"clustering.granularities: {most} asks for the {most} best binary attributes, but there are only"
            f" {binary.width}. Lower it, lower min_count in ingestion.attributes, or let more attributes"
            f" take part (clustering.attributes)."
        )
    by_granularity = CLUSTER_RULES[config.rule](binary, train, config.granularities)
    bits = {k: bits_learned(ids[train], meets(k, ids[train])) for k, ids in by_granularity.items()}
    chosen = choose_granularity(bits, config)
    logger.info(
        "Clusters at %s; %s is used for training (an anchor learns %.2f bits of its cluster)",
        ", ".join(map(column_of, by_granularity)), column_of(chosen), bits[chosen],
    )  # fmt: skip
    columns = {column_of(k): _nullable(ids) for k, ids in by_granularity.items()}
    return pl.DataFrame(columns | {"cluster": columns[column_of(chosen)]}), chosen


def choose_granularity(bits: Mapping[int, float], config: ClusteringConfig) -> int:
    """The granularity that training uses: the configured one, or by the criterion where that is "auto".

    Args:
        bits: Granularity -> what an anchor learns of its cluster (`granularity.bits_learned`).
        config: The criterion.
    """
    if config.granularity == "auto":
        return most_telling(bits)
    return config.granularity


def _nullable(ids: npt.NDArray[np.int64]) -> pl.Series:
    series = pl.Series(ids, dtype=pl.Int32)
    return series.set(series < 0, None)


def as_assignment(clusters: pl.Series) -> npt.NDArray[np.int64]:
    """A nullable cluster column as (N,) int64 with -1 = no cluster, the form that training works on."""
    return clusters.cast(pl.Int64).fill_null(-1).to_numpy()
