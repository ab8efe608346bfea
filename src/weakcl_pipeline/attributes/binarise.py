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
from weakcl_pipeline.attributes.columns import Columns, in_parts, parts_of
from weakcl_pipeline.attributes.hierarchy import ancestors
from weakcl_pipeline.attributes.schema import AttributeSpec
from weakcl_pipeline.errors import InputError

_RELATIONS = {
    AttributeKind.BOOL: "",
    AttributeKind.CATEGORICAL: "=",
    AttributeKind.TAGS: "=",
    AttributeKind.HIERARCHY: ">=",
    AttributeKind.CONTINUOUS: ">",
}
_FEW = 16
"""So many categories are looked for one by one, which is faster than to join them to a column."""


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


class Counted(NamedTuple):
    """An indicator, and how often it holds in the train split."""

    indicator: Indicator
    yes: int
    """Train rows for which it holds."""
    known: int
    """Train rows of which it is known whether it holds."""


def count_indicators(attributes: Columns, specs: Mapping[str, AttributeSpec], train: pl.Series) -> list[Counted]:
    """Choose the indicators of the columns on the train split, and count their answers there.

    Args:
        attributes: Typed columns, N rows; they are read one at a time.
        specs: The columns to use -> their specification, with the kind set.
        train: (N,) Boolean, rows of the train split: `min_count` and quantiles look at no other.

    Returns:
        In the order of `specs`; within a column by name, thresholds by number.
    """
    found = []
    for name, spec in specs.items():
        known, counts = _counts(attributes, name, spec, train)
        found += [Counted(Indicator(name, _kind(spec), value), yes, known) for value, yes in counts]
    return found


def fit_indicators(attributes: Columns, specs: Mapping[str, AttributeSpec], train: pl.Series) -> tuple[Indicator, ...]:
    """Choose the indicators of the columns on the train split; arguments and order are those of `count_indicators`."""
    return tuple(counted.indicator for counted in count_indicators(attributes, specs, train))


def indicate(attributes: Columns, indicators: Sequence[Indicator]) -> pl.DataFrame:
    """Ask every row of a table for the indicators.

    Args:
        attributes: Typed columns, N rows, of the kinds that the indicators were fitted on; they are read one at a time.
        indicators: Any, in any order.

    Returns:
        N rows of nullable Boolean columns, named and ordered as the indicators; of a row nothing depends on another.

    Raises:
        InputError: Two indicators have one name, as `b=c` of the column `a` and `c` of the column `a=b`.
    """
    _check_names(indicators)
    asked = sorted(indicators, key=lambda indicator: indicator.column)
    answers: dict[str, pl.Series] = {}
    for column, group in groupby(asked, key=lambda indicator: indicator.column):
        of_column = list(group)
        if of_column[0].kind == AttributeKind.BOOL:
            answers[column] = attributes[column]
            continue
        parts = [pl.DataFrame(_answers(part, of_column)) for part in parts_of(attributes, column)]
        answers |= pl.concat(parts, rechunk=True).to_dict()
    return pl.DataFrame([answers[indicator.name] for indicator in indicators])


def _check_names(indicators: Sequence[Indicator]) -> None:
    by_name: dict[str, Indicator] = {}
    for indicator in indicators:
        other = by_name.setdefault(indicator.name, indicator)
        if other != indicator:
            raise InputError(
                f"the columns '{other.column}' and '{indicator.column}' both have a binary attribute called"
                f" '{indicator.name}'. Rename one of them."
            )


def binarise(attributes: Columns, specs: Mapping[str, AttributeSpec], train: pl.Series) -> pl.DataFrame:
    """Binary attributes of every sample, chosen and fitted on the train split: both steps in one.

    Args:
        attributes: As for `count_indicators`.
        specs: As for `count_indicators`.
        train: As for `count_indicators`.
    """
    return indicate(attributes, fit_indicators(attributes, specs, train))


def _counts(
    attributes: Columns, name: str, spec: AttributeSpec, train: pl.Series
) -> tuple[int, Iterable[tuple[str, int]]]:
    """Of how many train rows a column is known, what is asked of it, and of how many train rows that holds."""
    if spec.kind in (AttributeKind.BOOL, AttributeKind.CONTINUOUS, AttributeKind.VECTOR):
        column = attributes[name]
        known = int((column.is_not_null() & train).sum())
        if spec.kind == AttributeKind.BOOL:
            return known, [("", int((column & train).sum()))]
        return known, _thresholds(column.filter(train), spec) if spec.kind == AttributeKind.CONTINUOUS else []
    known, tables = 0, []
    for part, here in zip(parts_of(attributes, name), in_parts(train), strict=True):
        seen = part.filter(here)
        known += seen.count()
        tables.append(_long_table(seen, _kind(spec)).group_by("value").len())
    counts = pl.concat(tables).group_by("value").agg(pl.sum("len")).filter(pl.col("len") >= spec.min_count)
    return known, sorted((value, count) for value, count in counts.iter_rows() if value not in spec.exclude)


def _kind(spec: AttributeSpec) -> AttributeKind:
    if spec.kind is None:
        raise ValueError("the specification of an attribute that is used needs its kind")
    return spec.kind


def _thresholds(seen: pl.Series, spec: AttributeSpec) -> list[tuple[str, int]]:
    found = {seen.quantile(q, interpolation="lower") for q in spec.quantiles}
    counted = sorted((value, int((seen > value).sum())) for value in found if value is not None)
    return [(repr(value), above) for value, above in counted if above >= spec.min_count]


def _answers(column: pl.Series, indicators: Sequence[Indicator]) -> list[pl.Series]:
    """One Boolean column per indicator of one attribute."""
    kind = indicators[0].kind
    if kind == AttributeKind.CONTINUOUS:
        return [(column > float(indicator.value)).alias(indicator.name) for indicator in indicators]
    if kind == AttributeKind.CATEGORICAL and len(indicators) <= _FEW:
        return [(column == indicator.value).alias(indicator.name) for indicator in indicators]
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
        paths = table.group_by("value").agg(pl.col("row").alias("rows")).with_row_index("row")
        nodes = ancestors(paths.select("row", "value"))
        return nodes.join(paths.select("row", "rows"), on="row").explode("rows").select(row="rows", value="value")
    return (table.explode("value") if kind == AttributeKind.TAGS else table).drop_nulls("value")
