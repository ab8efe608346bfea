"""Clusters at every configured granularity, one of them chosen for training; fitted once, and then for any table."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field, field_validator, model_validator
from torch import Tensor

from weakcl_pipeline.attributes.columns import Columns
from weakcl_pipeline.attributes.granularity import bits_learned, cluster_sizes, most_telling, thin_out
from weakcl_pipeline.attributes.rules import CLUSTER_RULES, AnyRule, FittedRule, FittingData, Ids, State, TopEntropy
from weakcl_pipeline.config import Config
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.seeding import numpy_generator

logger = logging.getLogger(__name__)

_COMPARED = 1 << 22
"""Granularities are compared by about so many train samples at most."""

Meets = Callable[[int, Ids], npt.NDArray[np.bool_]]
"""(granularity, (N,) clusters) -> (N,) whether a sample has a partner in an epoch of batches as training draws them."""


class ClusteringConfig(Config):
    """How samples are clustered by their attributes.

    Attributes:
        rule: A rule of `attributes.rules` with its parameters, or its name alone.
        attributes: The attribute columns that take part; None = all of them.
        granularities: Clusters are formed for each k; what it counts is the rule's, for the paper's rule the binary
            attributes that are combined. All are reported.
        granularity: The k that training uses; "auto" takes the one from which anchors learn the most in a batch
            (see `attributes.granularity`), as 4 million train samples say, if there are more. No label is looked at.
        shuffles: How many random pairings the shuffled mutual information is averaged over.
    """

    rule: AnyRule = TopEntropy()
    attributes: tuple[str, ...] | None = None
    granularities: tuple[int, ...] = (5, 10, 20, 50)
    granularity: Literal["auto"] | int = "auto"
    shuffles: int = Field(default=10, ge=1)

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


@dataclass(frozen=True)
class FittedClustering:
    """A fitted rule, and which of its granularities training uses.

    Attributes:
        name: Of the rule, in `CLUSTER_RULES`.
        rule: What the rule was fitted to.
        columns: The attribute columns that it looks at.
        chosen: The granularity that training uses.
    """

    name: str
    rule: FittedRule
    columns: tuple[str, ...]
    chosen: int

    def assign(self, attributes: Columns) -> pl.DataFrame:
        """Cluster the rows of any table; rows that the rule was fitted on get the clusters that they had.

        Args:
            attributes: Typed columns of N rows, of the same kinds as those that the rule was fitted on.

        Returns:
            N rows of Int32 columns `top_<k>` (null = no cluster) and `cluster`, a copy of the chosen one.

        Raises:
            InputError: A column that the rule looks at is missing.
        """
        missing = [name for name in self.columns if name not in attributes.columns]
        if missing:
            raise InputError(
                f"the cluster rule {self.name} was fitted on the attribute columns {', '.join(missing)}, which are"
                f" not in this table ({', '.join(attributes.columns)}). Add them, or fit the rule without them."
            )
        return self.named(self.rule.assign(attributes))

    def named(self, ids: dict[int, Ids]) -> pl.DataFrame:
        """Turn what the rule assigned, granularity -> (N,) ids, into the columns that `assign` returns.

        The ids are taken out of the dictionary one by one, so that those of many rows are not held twice.
        """
        columns = {column_of(k): _nullable(ids.pop(k)) for k in list(ids)}
        return pl.DataFrame(columns | {"cluster": columns[column_of(self.chosen)]})

    def to_state(self) -> State:
        """Return tensors and JSON-able metadata from which `from_state` makes the same again."""
        tensors, fitted = self.rule.to_state()
        metadata = {"rule": self.name, "columns": list(self.columns), "chosen": self.chosen, "fitted": fitted}
        return tensors, metadata

    @classmethod
    def from_state(cls, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> Self:
        """Return what `to_state` described."""
        name = metadata["rule"]
        rule = CLUSTER_RULES[name].fitted.from_state(tensors, metadata["fitted"])
        return cls(name, rule, tuple(metadata["columns"]), metadata["chosen"])


def fit_clustering(data: FittingData, config: ClusteringConfig, meets: Meets) -> tuple[FittedClustering, pl.DataFrame]:
    """Fit the rule at every granularity, and choose the granularity for training.

    Args:
        data: The attributes that take part, and the train split.
        config: The rule, the granularities and the criterion.
        meets: Which train samples have a partner, by which the granularity is chosen.

    Returns:
        What was fitted, and the clusters of the N rows that it assigns.

    Raises:
        InputError: The attributes or granularities cannot be used by the rule.
    """
    fitted, ids = config.rule.fit_assign(data, config.granularities)
    bits, found = {}, {}
    for k, of_rows in ids.items():
        sizes = cluster_sizes(_on_train(of_rows, data), int(of_rows.max(initial=-1)) + 1)
        compared = _compared(of_rows, sizes, data)
        bits[k] = bits_learned(compared, meets(k, compared), sizes)
        found[k] = int(np.count_nonzero(sizes[1:])), int(sizes[0])
    chosen = choose_granularity(bits, config)
    logger.info(
        "Clusters at %s; %s is used for training (an anchor learns %.2f bits of its cluster)",
        ", ".join(map(column_of, bits)), column_of(chosen), bits[chosen],
    )  # fmt: skip
    _warn_of_no_contrast(column_of(chosen), *found[chosen])
    clustering = FittedClustering(config.rule.name, fitted, tuple(data.specs), chosen)
    return clustering, clustering.named(ids)


def choose_granularity(bits: Mapping[int, float], config: ClusteringConfig) -> int:
    """The granularity that training uses: the configured one, or by the criterion where that is "auto".

    Args:
        bits: Granularity -> what an anchor learns of its cluster (`granularity.bits_learned`).
        config: The criterion.
    """
    if config.granularity == "auto":
        return most_telling(bits)
    return config.granularity


def _on_train(ids: Ids, data: FittingData) -> Iterator[Ids]:
    """The clusters of the train rows, in parts that take little memory."""
    for start in range(0, len(ids), _COMPARED):
        rows = slice(start, start + _COMPARED)
        yield ids[rows][data.train[rows]]


def _compared(ids: Ids, sizes: npt.NDArray[np.int64], data: FittingData) -> Ids:
    """The clusters by which a granularity is judged: of all train rows, or of as many as tell enough."""
    share = _COMPARED / max(1, sizes.sum())
    if share >= 1:
        return ids[data.train]
    return thin_out(_on_train(ids, data), sizes, share, numpy_generator(data.seed, "granularity"))


def _warn_of_no_contrast(column: str, clusters: int, without: int) -> None:
    """Tell where there are no positives of other samples, or no negatives."""
    if not clusters:
        logger.warning(
            "clustering: no sample of the train split has a cluster at %s, so there are no positives but a picture's"
            " own views; lower clustering.granularities, or take another clustering.rule", column,
        )  # fmt: skip
    elif clusters == 1 and not without:
        logger.warning(
            "clustering: all samples of the train split are in one cluster at %s, so there is nothing to tell them"
            " apart from; raise clustering.granularities, or take other clustering.attributes", column,
        )  # fmt: skip


def _nullable(ids: Ids) -> pl.Series:
    series = pl.Series(ids, dtype=pl.Int32)
    return series.set(series < 0, None)


def as_assignment(clusters: pl.Series) -> npt.NDArray[np.int64]:
    """A nullable cluster column as (N,) int64 with -1 = no cluster, the form that training works on."""
    return clusters.cast(pl.Int64).fill_null(-1).to_numpy()
