"""New samples, whose clusters and embeddings are asked for: a raw table without splits, labels and groups."""

import polars as pl

from weakcl_pipeline.attributes.schema import Schema, null_missing, specs_of, type_alike
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.sources.accept import part
from weakcl_pipeline.sources.checks import check_rows
from weakcl_pipeline.sources.collected import collected
from weakcl_pipeline.sources.roles import IngestionConfig
from weakcl_pipeline.sources.samples import checked_columns, looked_at, sample_ids

_NAME = "new_samples"


def read_new_samples(raw: pl.LazyFrame, config: IngestionConfig, schema: Schema) -> pl.DataFrame:
    """Type a raw table of new samples by the schema of the old ones; every row is kept, in its order.

    Args:
        raw: Has the columns of `raw_samples`; those of split, labels and group are not looked at and may be missing.
        config: Which column is what.
        schema: The kind of each attribute, as it was found for the old samples.

    Returns:
        `sample_id`, `image` (as `read_samples` gives it) and the typed attribute columns.

    Raises:
        InputError: A column is missing, ids repeat, or a cell does not fit its attribute's kind.
    """
    not_needed = {"split_column": None, "split": None, "labels": (), "group_column": None, "undeclared": "ignore"}
    roles = config.model_copy(update={**not_needed, "attributes": specs_of(schema)})
    columns = checked_columns(raw, roles, name=_NAME)
    table = collected(raw.select(looked_at(columns, roles, name=_NAME)), _NAME)
    check_rows(table, roles, name=_NAME)
    ids = sample_ids(table, config.id_column, name=_NAME)
    images = null_missing(table[config.image_column], [""])
    try:
        attributes = type_alike(table, schema, missing=config.missing)
    except InputError as error:
        raise InputError(f"{_NAME}: {error}") from error
    return pl.DataFrame([ids.alias("sample_id"), images.alias("image")]).hstack(attributes)


def accept_new(
    sample_table: pl.LazyFrame, image_rejects: pl.DataFrame, schema: Schema
) -> tuple[pl.DataFrame, pl.LazyFrame, pl.DataFrame]:
    """Part new samples into those with a usable picture and the others; none is lost.

    Args:
        sample_table: As `read_new_samples` yields it.
        image_rejects: `sample_id` and `reason` of the pictures that cannot be used.
        schema: Of the attribute columns.

    Returns:
        Samples (`sample_id`, `image`), their attributes, and the quarantine (`sample_id`, `stage`, `reason`).
    """
    kept, quarantine = part(sample_table, image_rejects)
    return kept.drop(list(schema)).collect(), kept.select("sample_id", *schema), quarantine
