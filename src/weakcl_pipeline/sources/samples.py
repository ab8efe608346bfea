"""A raw table, whatever source it is from, to the sample table: every column in its role, typed and checked."""

import logging

import polars as pl

from weakcl_pipeline.attributes.casting import as_words
from weakcl_pipeline.attributes.leaks import find_leaks, refuse_leaks
from weakcl_pipeline.attributes.schema import Schema, null_missing, specs_of, type_attributes
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.sources.checks import (
    check_groups,
    check_ids,
    check_raw_table,
    check_samples,
    check_split_values,
)
from weakcl_pipeline.sources.roles import LABEL_PREFIX, IngestionConfig
from weakcl_pipeline.sources.splits import SplitConfig, make_splits

logger = logging.getLogger(__name__)


def read_samples(raw: pl.DataFrame, config: IngestionConfig) -> tuple[pl.DataFrame, Schema]:
    """Type a raw table by the roles of its columns; every row is kept, in its order.

    Args:
        raw: One row per sample, any columns.
        config: Which column is what.

    Returns:
        The sample table: `sample_id`, `split`, `group` (null where there is none), `image` (the path as
        given, or `<column>[<row>]` for a picture inside the table; null where there is none),
        `label_<name>` per label, then one typed column per attribute. And the schema of the attributes.

    Raises:
        InputError: The table cannot be used: a missing column, repeated ids, an unknown split, a group in
            several splits, an empty split, a label with one value or unknown in all of a split, a cell that does
            not fit its attribute's kind, or an attribute that gives a label away.
    """
    check_raw_table(raw, config, name="raw_samples")
    samples = _samples(raw, config)
    check_samples(samples, config.labels, "raw_samples")
    try:
        attributes, schema = type_attributes(
            raw,
            config.attributes,
            undeclared=config.undeclared,
            reserved={*config.role_columns(), *config.ignore},
            missing=config.missing,
        )
    except InputError as error:
        raise InputError(f"raw_samples: {error}") from error
    if schema:  # polars cannot filter a table without columns
        train = samples["split"] == "train"
        labels = samples.filter(train).select(pl.col(LABEL_PREFIX + name).alias(name) for name in config.labels)
        specs = specs_of(schema)
        leaks = find_leaks(attributes.filter(train), labels, specs, config.leak_tolerance)
        refuse_leaks(leaks, specs, config.leak_tolerance)
    clash = [name for name in attributes.columns if name in samples.columns]
    if clash:
        raise InputError(
            f"raw_samples: attribute column '{clash[0]}' has the name of a column of the sample table"
            f" ({', '.join(samples.columns)}). Rename it, or leave it out of the attributes."
        )
    return samples.hstack(attributes), schema


def _samples(raw: pl.DataFrame, config: IngestionConfig) -> pl.DataFrame:
    def texts(column: str) -> pl.Series:
        return null_missing(as_words(raw[column]), config.missing)

    ids = sample_ids(raw, config.id_column, name="raw_samples")
    groups = (
        pl.repeat(None, raw.height, dtype=pl.String, eager=True)
        if config.group_column is None
        else texts(config.group_column)
    )
    if config.split_column is None:
        made = config.split or SplitConfig()
        splits = make_splits(ids, groups, None if made.stratify is None else texts(made.stratify), made)
        logger.info("Splits are made: %s", made)
    else:
        raw_splits = texts(config.split_column)
        check_split_values(raw_splits, config)
        splits = raw_splits.replace_strict(config.split_values, return_dtype=pl.String)
    samples = pl.DataFrame(
        {
            "sample_id": ids,
            "split": splits,
            "group": groups,
            "image": image_references(null_missing(raw[config.image_column], [""])),
        }
        | {LABEL_PREFIX + name: texts(name) for name in config.labels}
    )
    check_groups(samples, config.group_column or "")
    return samples


def sample_ids(raw: pl.DataFrame, column: str | None, *, name: str) -> pl.Series:
    """The name of each row: what its id column holds, or `row_<number>` where there is none.

    Args:
        raw: N rows.
        column: The id column, if there is one.
        name: Of the raw table, for messages.

    Raises:
        InputError: An id is missing or repeated.
    """
    if column is None:
        return pl.select("row_" + pl.int_range(raw.height).cast(pl.String)).to_series()
    ids = null_missing(as_words(raw[column]), [""])
    check_ids(ids, column, name=name)
    return ids


def image_references(images: pl.Series) -> pl.Series:
    """Where the picture of each row is: the path as given, or `<column>[<row>]` for bytes in the table."""
    if images.dtype == pl.String:
        return images
    names = [f"{images.name}[{row}]" for row in range(len(images))]
    inside = pl.Series(names, dtype=pl.String)
    return inside.set(images.is_null(), None) if images.null_count() else inside
