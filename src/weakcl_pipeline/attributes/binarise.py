"""Typed attributes to binary ones, the form that many cluster rules and objectives work on.

| kind | binary attributes | name |
| --- | --- | --- |
| bool | the column itself | `is_zwj` |
| categorical | one per value | `vendor=noto` |
| tags | one per tag | `tags=heart` |
| hierarchy | one per node: "is it or lies below it" | `path>=animal/bird` |
| continuous | one per train quantile: "is above it" | `age>31.5` |
| vector | none | |

Which indicators there are is decided once, on the train split (`fit_indicators`); those that fewer than `min_count`
train samples have are left out. From then on any table can be asked for them (`indicate`). Missing stays missing.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
import polars as pl

from weakcl_pipeline.attributes.casting import AttributeKind
from weakcl_pipeline.attributes.hierarchy import ancestors
from weakcl_pipeline.attributes.schema import AttributeSpec

_RELATIONS = {
    AttributeKind.BOOL: "",
    AttributeKind.CATEGORICAL: "=",
    AttributeKind.TAGS: "=",
    AttributeKind.HIERARCHY: ">=",
    AttributeKind.CONTINUOUS: ">",
}


class Indicator(NamedTuple):
    """A question with the answers yes, no and missing."""

    column: str
    """The attribute that is asked."""
    kind: AttributeKind
    """The attribute's kind, which says what is asked of it."""
    value: str
    """The tag, category or node, or the threshold as Python writes it; of a bool nothing."""

    @property
    def name(self) -> str:
        """The name of the binary attribute."""
        return f"{self.column}{_RELATIONS[self.kind]}{self.value}"


def fit_indicators(
    attributes: pl.DataFrame, specs: Mapping[str, AttributeSpec], train: pl.Series
) -> tuple[Indicator, ...]:
    """Choose the indicators of the columns on the train split.

    Args:
        attributes: Typed columns, N rows.
        specs: The columns to use -> their specification, with the kind set.
        train: (N,) Boolean, rows of the train split: `min_count` and quantiles look at no other.

    Returns:
        In the order of `specs`; within a column by name, thresholds by number.
    """
    seen = attributes.select(list(specs)).filter(train)
    return tuple(
        Indicator(name, _kind(spec), value) for name, spec in specs.items() for value in _values(seen[name], spec)
    )


def indicate(attributes: pl.DataFrame, indicators: Sequence[Indicator]) -> pl.DataFrame:
    """Ask every row of a table for the indicators.

    Args:
        attributes: Typed columns, N rows, of the kinds that the indicators were fitted on.
        indicators: Any, in any order.

    Returns:
        N rows of nullable Boolean columns, named and ordered as the indicators; of a row nothing depends on another.
    """
    asked = sorted(indicators, key=lambda indicator: indicator.column)
    answers = {
        answer.name: answer
        for column, of_column in groupby(asked, key=lambda indicator: indicator.column)
        for answer in _answers(attributes[column], list(of_column))
    }
    return pl.DataFrame([answers[indicator.name] for indicator in indicators])


def binarise(attributes: pl.DataFrame, specs: Mapping[str, AttributeSpec], train: pl.Series) -> pl.DataFrame:
    """Binary attributes of every sample, chosen and fitted on the train split: both steps in one.

    Args:
        attributes: As for `fit_indicators`.
        specs: As for `fit_indicators`.
        train: As for `fit_indicators`.
    """
    return indicate(attributes, fit_indicators(attributes, specs, train))


def _values(seen: pl.Series, spec: AttributeSpec) -> Iterable[str]:
    """What is asked of one column, from its train rows."""
    if spec.kind == AttributeKind.BOOL:
        return [""]
    if spec.kind == AttributeKind.VECTOR:
        return []
    if spec.kind == AttributeKind.CONTINUOUS:
        return [repr(threshold) for threshold in _thresholds(seen, spec)]
    counts = _long_table(seen, _kind(spec)).group_by("value").len()
    frequent = counts.filter(pl.col("len") >= spec.min_count)["value"]
    return sorted(set(frequent) - set(spec.exclude))


def _kind(spec: AttributeSpec) -> AttributeKind:
    if spec.kind is None:
        raise ValueError("the specification of an attribute that is used needs its kind")
    return spec.kind


def _thresholds(seen: pl.Series, spec: AttributeSpec) -> list[float]:
    found = {seen.quantile(q, interpolation="lower") for q in spec.quantiles}
    return sorted(value for value in found if value is not None and (seen > value).sum() >= spec.min_count)


def _answers(column: pl.Series, indicators: Sequence[Indicator]) -> list[pl.Series]:
    """One Boolean column per indicator of one attribute."""
    kind = indicators[0].kind
    if kind == AttributeKind.BOOL:
        return [column]
    if kind == AttributeKind.CONTINUOUS:
        return [(column > float(indicator.value)).alias(indicator.name) for indicator in indicators]
    wanted = pl.DataFrame({"value": [indicator.value for indicator in indicators]}, schema={"value": pl.String})
    grouped = _long_table(column, kind).join(wanted, on="value").group_by("value").agg("row")
    rows = dict(zip(grouped["value"], grouped["row"], strict=True))
    missing = column.is_null()
    answers = []
    for indicator in indicators:
        has = np.zeros(len(column), dtype=np.bool_)
        if indicator.value in rows:
            has[rows[indicator.value].to_numpy()] = True
        answer = pl.Series(indicator.name, has)
        answers.append(answer.set(missing, None) if missing.any() else answer)
    return answers


def _long_table(column: pl.Series, kind: AttributeKind) -> pl.DataFrame:
    """(row, value) for every tag, category or node that holds for a row, each pair at most once."""
    table = pl.DataFrame({"row": pl.int_range(len(column), eager=True), "value": column}).drop_nulls("value")
    if kind == AttributeKind.HIERARCHY:
        return ancestors(table)
    return (table.explode("value") if kind == AttributeKind.TAGS else table).drop_nulls("value")
