"""The second half of ingestion: rejected rows go to quarantine with their reason, the others go on."""

from typing import Any, NamedTuple

import polars as pl

from weakcl_pipeline.attributes.schema import Schema
from weakcl_pipeline.sources.checks import check_samples
from weakcl_pipeline.sources.roles import LABEL_PREFIX, IngestionConfig
from weakcl_pipeline.sources.splits import SPLITS


class Accepted(NamedTuple):
    """What ingestion yields beside the pictures."""

    samples: pl.LazyFrame
    """`sample_id`, `split`, `group`, `image`, `label_<name>` of the accepted rows, in their order."""
    attributes: pl.LazyFrame
    """`sample_id`, `split` and the typed attribute columns of the same rows."""
    quarantine: pl.DataFrame
    """`sample_id`, `stage`, `reason` of every rejected row."""
    summary: dict[str, Any]
    """Counts by split, label and reason, and what each attribute column holds."""


def accept(
    sample_table: pl.LazyFrame, image_rejects: pl.DataFrame, schema: Schema, config: IngestionConfig
) -> Accepted:
    """Part the sample table into accepted and rejected rows; none is lost.

    Args:
        sample_table: As a source yields it.
        image_rejects: `sample_id` and `reason` of the pictures that cannot be used.
        schema: Of the attribute columns.
        config: The roles of the columns.

    Raises:
        InputError: Without the rejected rows a split is empty, or a label cannot be evaluated.
    """
    kept, quarantine = part(sample_table, image_rejects)
    samples = kept.drop(list(schema))
    attributes = kept.select("sample_id", "split", *schema)
    sizes = dict(_counted(samples, "split").iter_rows())
    labels = {name: _counted(samples, LABEL_PREFIX + name, "split") for name in config.labels}
    named = {name: counts.rename({LABEL_PREFIX + name: "value"}) for name, counts in labels.items()}
    check_samples(sizes, named, f"after {quarantine.height} rows went to quarantine")
    summary = {
        "rows": sum(sizes.values()) + quarantine.height,
        "accepted": sum(sizes.values()),
        "quarantined": quarantine.height,
        "quarantine_reasons": _ordered(_counted(quarantine.lazy(), "reason")),
        "splits": {split: sizes.get(split, 0) for split in SPLITS},
        "groups": samples.select(pl.col("group").drop_nulls().n_unique()).collect(engine="streaming").item(),
        "labels": {name: _ordered(counts.drop_nulls("value")) for name, counts in named.items()},
        "unlabelled": {
            name: int(counts.filter(pl.col("value").is_null())["len"].sum()) for name, counts in named.items()
        },
        "attributes": {
            name: {"kind": entry["kind"], "inferred": entry["inferred"]} | _content(attributes.select(name))
            for name, entry in schema.items()
        },
    }
    return Accepted(samples, attributes, quarantine, summary)


def part(sample_table: pl.LazyFrame, image_rejects: pl.DataFrame) -> tuple[pl.LazyFrame, pl.DataFrame]:
    """Return the rows whose picture can be used, and `sample_id`, `stage` and `reason` of the others."""
    quarantine = image_rejects.select("sample_id", pl.lit("images").alias("stage"), "reason")
    return sample_table.filter(~pl.col("sample_id").is_in(quarantine["sample_id"].implode())), quarantine


def _content(column: pl.LazyFrame) -> dict[str, int]:
    """Missing cells, and distinct values; for lists, distinct words."""
    holds_lists = column.collect_schema().dtypes()[0] == pl.List
    values = (column.explode(column.collect_schema().names()) if holds_lists else column).drop_nulls().unique()
    missing, distinct = pl.collect_all(
        [column.select(pl.all().null_count()), values.select(pl.len())], engine="streaming"
    )
    return {"missing": missing.item(), "distinct": distinct.item()}


def _counted(table: pl.LazyFrame, *columns: str) -> pl.DataFrame:
    return table.group_by(columns).len().collect(engine="streaming")


def _ordered(counted: pl.DataFrame) -> dict[str, int]:
    """Value, the first column, -> count; the most frequent first, equal counts by value."""
    value = counted.columns[0]
    summed = counted.group_by(value).agg(pl.sum("len")).sort("len", value, descending=[True, False])
    return dict(summed.iter_rows())
