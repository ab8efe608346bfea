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
    looked_at = samples.select("split", "group", *(LABEL_PREFIX + name for name in config.labels))
    known = looked_at.collect(engine="streaming")
    check_samples(known, config.labels, f"after {quarantine.height} rows went to quarantine")
    return Accepted(samples, attributes, quarantine, _summary(known, attributes, quarantine, schema, config))


def part(sample_table: pl.LazyFrame, image_rejects: pl.DataFrame) -> tuple[pl.LazyFrame, pl.DataFrame]:
    """Return the rows whose picture can be used, and `sample_id`, `stage` and `reason` of the others."""
    quarantine = image_rejects.select("sample_id", pl.lit("images").alias("stage"), "reason")
    return sample_table.filter(~pl.col("sample_id").is_in(quarantine["sample_id"].implode())), quarantine


def _summary(
    samples: pl.DataFrame,
    attributes: pl.LazyFrame,
    quarantine: pl.DataFrame,
    schema: Schema,
    config: IngestionConfig,
) -> dict[str, Any]:
    return {
        "rows": samples.height + quarantine.height,
        "accepted": samples.height,
        "quarantined": quarantine.height,
        "quarantine_reasons": _counts(quarantine["reason"]),
        "splits": {split: samples.filter(pl.col("split") == split).height for split in SPLITS},
        "groups": samples["group"].drop_nulls().n_unique(),
        "labels": {name: _counts(samples[LABEL_PREFIX + name].drop_nulls()) for name in config.labels},
        "unlabelled": {name: samples[LABEL_PREFIX + name].null_count() for name in config.labels},
        "attributes": {
            name: {"kind": entry["kind"], "inferred": entry["inferred"]} | _content(attributes.select(name))
            for name, entry in schema.items()
        },
    }


def _content(column: pl.LazyFrame) -> dict[str, int]:
    """Missing cells, and distinct values; for lists, distinct words."""
    holds_lists = column.collect_schema().dtypes()[0] == pl.List
    values = (column.explode(column.collect_schema().names()) if holds_lists else column).drop_nulls().unique()
    missing, distinct = pl.collect_all(
        [column.select(pl.all().null_count()), values.select(pl.len())], engine="streaming"
    )
    return {"missing": missing.item(), "distinct": distinct.item()}


def _counts(column: pl.Series) -> dict[str, int]:
    """Value -> count, the most frequent first, equal counts by value."""
    counted = column.value_counts().sort("count", column.name, descending=[True, False])
    return dict(counted.iter_rows())
