"""Clusters that somebody else made, and that came as columns of the table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import polars as pl
from torch import Tensor

from weakcl_pipeline.attributes.columns import Columns
from weakcl_pipeline.attributes.rules.base import FittedRule, FittingData, Ids, Rule, State
from weakcl_pipeline.attributes.rules.numbering import look_up, number_by_size
from weakcl_pipeline.errors import InputError

_PLACE = "{k}"


@dataclass(frozen=True)
class FittedGiven(FittedRule):
    """Clusters that are values of columns; a value that no fitted row had has no cluster.

    Attributes:
        columns: Granularity -> its column.
        values: Granularity -> the value of each cluster in the order of ids, as text.
    """

    columns: Mapping[int, str]
    values: Mapping[int, tuple[str, ...]]

    def assign(self, attributes: Columns) -> dict[int, Ids]:
        """Look up each row's values."""
        return {
            k: look_up(_keys(attributes[column]), pl.DataFrame({"value": self.values[k]}, schema={"value": pl.String}))
            for k, column in self.columns.items()
        }

    def to_state(self) -> State:
        """Return columns and values as JSON."""
        values = {str(k): list(values) for k, values in self.values.items()}
        return {}, {"columns": {str(k): column for k, column in self.columns.items()}, "values": values}

    @classmethod
    def from_state(cls, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> Self:
        """Return the rule that `to_state` described."""
        columns = {int(k): column for k, column in metadata["columns"].items()}
        return cls(columns, {int(k): tuple(values) for k, values in metadata["values"].items()})


class Given(Rule):
    """Clusters are the values of a column, one column per granularity; for instance those that the authors released.

    Whatever the values are called (ids from 1 on, with gaps, or words), clusters are numbered as those of any other
    rule. A missing value is no cluster.

    Attributes:
        column: The column's name, in which ``{k}`` stands for the granularity: ``label_gran_{k}`` as in the released
            tables (see `sources.released_clusters`).
    """

    name: Literal["given"] = "given"
    column: str
    fitted: ClassVar[type[FittedRule]] = FittedGiven
    granularity_is: ClassVar[str] = "given clusters"

    def fit(self, data: FittingData, granularities: Sequence[int]) -> FittedGiven:
        """Number the values of the column of every granularity.

        Raises:
            InputError: A column is missing or holds lists, or one column stands for several granularities.
        """
        if _PLACE not in self.column and len(granularities) > 1:
            raise InputError(
                f"clustering.granularities: {', '.join(map(str, granularities))} are all given by the one column"
                f" '{self.column}'. Keep one of them, or put {_PLACE} where the columns' names differ"
                f" (clustering.rule.column)."
            )
        columns = {k: self.column.replace(_PLACE, str(k)) for k in sorted(set(granularities))}
        for column in columns.values():
            if column not in data.specs or data.attributes[column].dtype.is_nested():
                raise InputError(
                    f"clustering.rule.column: the given clusters should be in '{column}', which is"
                    f" {'a list' if column in data.specs else 'no attribute that takes part in clustering'}."
                    f" There are: {', '.join(data.specs)}. Declare it with `kind: categorical` under"
                    f" ingestion.attributes, or correct the name or clustering.granularities."
                )
        values = {
            k: tuple(number_by_size(_keys(data.attributes[name]), data.train)["value"]) for k, name in columns.items()
        }
        return FittedGiven(columns, values)


def _keys(column: pl.Series) -> pl.DataFrame:
    return pl.DataFrame({"value": column.cast(pl.String)})
