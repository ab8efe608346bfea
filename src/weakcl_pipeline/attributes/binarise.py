"""Typed attributes to binary ones, the form that cluster rules work on.

| kind | binary attributes | name |
| --- | --- | --- |
| bool | the column itself | `is_zwj` |
| categorical | one per value | `vendor=noto` |
| tags | one per tag | `tags=heart` |
| hierarchy | one per node: "is it or lies below it" | `path>=animal/bird` |
| continuous | one per train quantile: "is above it" | `age>31.5` |

Indicators that fewer than `min_count` train samples have are left out. Missing stays missing.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import polars as pl

from weakcl_pipeline.attributes.casting import AttributeKind
from weakcl_pipeline.attributes.hierarchy import ancestors
from weakcl_pipeline.attributes.schema import AttributeSpec


def binarise(attributes: pl.DataFrame, specs: Mapping[str, AttributeSpec], train: pl.Series) -> pl.DataFrame:
    """Binary attributes of every sample, chosen and fitted on the train split.

    Args:
        attributes: Typed columns, N rows.
        specs: The columns to use -> their specification, with the kind set.
        train: (N,) Boolean, rows of the train split: `min_count` and quantiles look at no other.

    Returns:
        N rows of nullable Boolean columns: in the order of `specs`, and by name within a column.
    """
    columns: list[pl.Series] = []
    for name, spec in specs.items():
        column = attributes[name]
        if spec.kind == AttributeKind.BOOL:
            columns.append(column)
        else:
            columns += _indicators(_long_table(column, spec, train), column, spec, train)
    return pl.DataFrame(columns)


def _indicators(long: pl.DataFrame, column: pl.Series, spec: AttributeSpec, train: pl.Series) -> Iterator[pl.Series]:
    """One Boolean column per indicator of a long table (row, indicator), each pair at most once."""
    frequent = (
        long.filter(train.gather(long["row"]))
        .group_by("indicator")
        .len()
        .filter(pl.col("len") >= spec.min_count)
        .select("indicator")
    )
    missing = column.is_null()
    grouped = long.join(frequent, on="indicator").group_by("indicator").agg("row").sort("indicator")
    for indicator, rows in zip(grouped["indicator"], grouped["row"], strict=True):
        has = np.zeros(len(column), dtype=np.bool_)
        has[rows.to_numpy()] = True
        series = pl.Series(indicator, has)
        yield series.set(missing, None) if missing.any() else series


def _long_table(column: pl.Series, spec: AttributeSpec, train: pl.Series) -> pl.DataFrame:
    """(row, indicator) for every indicator that holds for a row."""
    name = column.name
    table = pl.DataFrame({"row": pl.int_range(len(column), eager=True), "value": column})
    table = table.filter(pl.col("value").is_not_null())
    if spec.kind == AttributeKind.CONTINUOUS:
        return _above_quantiles(table, name, spec, train)
    if spec.kind == AttributeKind.HIERARCHY:
        table, relation = ancestors(table), ">="
    else:
        table, relation = (table.explode("value") if spec.kind == AttributeKind.TAGS else table), "="
    wanted = pl.col("value").is_not_null() & ~pl.col("value").is_in(list(spec.exclude))
    return table.filter(wanted).select("row", (pl.lit(f"{name}{relation}") + pl.col("value")).alias("indicator"))


def _above_quantiles(table: pl.DataFrame, name: str, spec: AttributeSpec, train: pl.Series) -> pl.DataFrame:
    fitted_on = table["value"].filter(train.gather(table["row"]))
    found = [fitted_on.quantile(q, interpolation="lower") for q in spec.quantiles]
    thresholds = {value for value in found if value is not None}
    parts = [
        table.filter(pl.col("value") > threshold).select("row", pl.lit(f"{name}>{threshold!r}").alias("indicator"))
        for threshold in sorted(thresholds)
    ]
    return pl.concat(parts) if parts else table.select("row", pl.lit("").alias("indicator")).clear()
