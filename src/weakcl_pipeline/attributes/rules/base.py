"""What a cluster rule is: parameters that are fitted once, and what was fitted, which clusters any later table."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import polars as pl
from torch import Tensor

from weakcl_pipeline.attributes.binarise import Counted, count_indicators, indicate
from weakcl_pipeline.attributes.columns import Columns
from weakcl_pipeline.attributes.schema import AttributeSpec
from weakcl_pipeline.config import Config

Ids = npt.NDArray[np.signedinteger]
"""(N,) cluster of each row, -1 = none."""

State = tuple[dict[str, Tensor], dict[str, Any]]
"""Tensors and JSON-able metadata: what a fitted rule is stored as."""


@dataclass(frozen=True)
class FittingData:
    """What a rule is fitted on.

    Attributes:
        attributes: Typed columns, N rows of all splits.
        specs: The columns to use -> their specification, with the kind set.
        train: (N,) rows of the train split.
        seed: Of the run, for rules that draw.
    """

    attributes: Columns
    specs: Mapping[str, AttributeSpec]
    train: npt.NDArray[np.bool_]
    seed: int = 0

    @cached_property
    def counted(self) -> list[Counted]:
        """The indicators of the columns, with their answers on the train split."""
        return count_indicators(self.attributes, self.specs, pl.Series(self.train))

    @cached_property
    def binary(self) -> pl.DataFrame:
        """The answers of all N rows to these indicators, nullable Boolean columns."""
        return indicate(self.attributes, [counted.indicator for counted in self.counted])


class FittedRule(ABC):
    """A rule that has seen its data: it gives a row the same cluster in whatever table the row comes.

    Ids are dense, 0 for the cluster with the most train samples. They name what the rule was fitted on, all splits
    included, so that a table to which rows are added leaves the clusters of the old ones as they are.
    """

    @abstractmethod
    def assign(self, attributes: Columns) -> dict[int, Ids]:
        """Cluster the rows of a table.

        Args:
            attributes: Typed columns of the kinds that the rule was fitted on, any number of rows.

        Returns:
            Granularity -> (N,) ids, -1 = no cluster. Of a row nothing depends on another row.
        """

    @abstractmethod
    def to_state(self) -> State:
        """Return all that `from_state` needs."""

    @classmethod
    @abstractmethod
    def from_state(cls, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> Self:
        """Return the rule that `to_state` described."""


class Rule(Config, ABC):
    """The parameters of a cluster rule, of which `name` tells the rules apart.

    Attributes:
        fitted: The class of what `fit` returns.
        granularity_is: What a granularity k counts, for axes and messages.
        on_binary: Whether the rule sees no more of the attributes than their binary form.
    """

    fitted: ClassVar[type[FittedRule]]
    granularity_is: ClassVar[str]
    on_binary: ClassVar[bool] = False

    @abstractmethod
    def fit(self, data: FittingData, granularities: Sequence[int]) -> FittedRule:
        """Fit the rule on the train split, and name the clusters of all rows.

        Args:
            data: The attributes and the train split.
            granularities: From coarse to fine; what they count is the rule's.

        Raises:
            InputError: The attributes or granularities cannot be used by this rule; names the key.
        """

    def fit_assign(self, data: FittingData, granularities: Sequence[int]) -> tuple[FittedRule, dict[int, Ids]]:
        """Fit the rule, and cluster the rows that it is fitted on; arguments and errors are those of `fit`.

        Returns:
            What was fitted, and what it assigns to these rows.
        """
        fitted = self.fit(data, granularities)
        return fitted, fitted.assign(data.attributes)
