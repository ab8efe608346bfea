"""A raw table, whatever source it is from, to the sample table: every column in its role, typed and checked."""

import logging

import polars as pl

from weakcl_pipeline.attributes.casting import as_words
from weakcl_pipeline.attributes.columns import Columns
from weakcl_pipeline.attributes.leaks import find_leaks, refuse_leaks
from weakcl_pipeline.attributes.schema import AttributeSpec, Schema, null_missing, specs_of, type_attributes
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.sources.checks import (
    check_columns,
    check_groups,
    check_ids,
    check_rows,
    check_samples,
    check_split_values,
)
from weakcl_pipeline.sources.collected import undamaged
from weakcl_pipeline.sources.roles import LABEL_PREFIX, IngestionConfig
from weakcl_pipeline.sources.splits import SplitConfig, make_splits
from weakcl_pipeline.sources.staging import Staging

logger = logging.getLogger(__name__)

_NAME = "raw_samples"


def read_samples(raw: pl.LazyFrame, config: IngestionConfig) -> tuple[pl.LazyFrame, Schema]:
    """Type a raw table by the roles of its columns; every row is kept, in its order.

    The raw table is read once, from the front, and typed column by column, so that memory holds a few columns and not
    the table.

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
    columns = checked_columns(raw, config, name=_NAME)
    staging = Staging()
    with undamaged(_NAME):
        table = staging.spool(raw.select(looked_at(columns, config)))
    check_rows(table, config, name=_NAME)
    samples = _samples(table, config)
    check_samples(samples, config.labels, _NAME)
    staging.add(samples)
    train = samples["split"] == "train"
    labels = samples.filter(train).select(pl.col(LABEL_PREFIX + name).alias(name) for name in config.labels)
    taken = samples.columns
    del samples  # the largest columns
    leaks = []

    def keep(column: pl.Series, spec: AttributeSpec) -> None:
        leaks.extend(find_leaks(column.filter(train), labels, spec, config.leak_tolerance))
        if column.name not in taken:
            staging.add(column.to_frame())

    try:
        schema = type_attributes(
            table,
            config.attributes,
            keep,
            undeclared=config.undeclared,
            reserved={*config.role_columns(), *config.ignore},
            missing=config.missing,
        )
    except InputError as error:
        raise InputError(f"{_NAME}: {error}") from error
    refuse_leaks(leaks, specs_of(schema), config.leak_tolerance)
    clash = [name for name in schema if name in taken]
    if clash:
        raise InputError(
            f"{_NAME}: attribute column '{clash[0]}' has the name of a column of the sample table"
            f" ({', '.join(taken)}). Rename it, or leave it out of the attributes."
        )
    return staging.scan(), schema


def checked_columns(raw: pl.LazyFrame, config: IngestionConfig, *, name: str) -> pl.Schema:
    """Return the columns of a raw table, among which are all that have a role.

    Args:
        raw: The table.
        config: The roles of its columns.
        name: Of the table, in the catalog.

    Raises:
        InputError: A column is missing or of another type; or the file cannot be read, which is what to mend first.
    """
    columns = raw.collect_schema()
    try:
        check_columns(columns, config, name=name)
    except InputError:
        with undamaged(name):
            raw.collect(engine="streaming")
        raise
    return columns


def looked_at(columns: pl.Schema, config: IngestionConfig) -> list[pl.Expr]:
    """The columns of a raw table that have a role; pictures inside it are `<column>[<row>]`, null where there is none.

    Args:
        columns: Of the raw table.
        config: Their roles.

    Raises:
        InputError: The name of one stands for several in polars.
    """
    names = list(config.columns())
    if config.undeclared == "infer":
        names += [name for name in columns if name not in {*names, *config.ignore}]
    for name in names:
        if name == "*" or (name.startswith("^") and name.endswith("$")):
            raise InputError(
                f"{_NAME}: a column cannot be called '{name}', which is taken for a pattern of names. Rename it in the"
                " file, or add it to ingestion.ignore."
            )
    inside = config.image_column if columns[config.image_column] == pl.Binary else None
    return [_reference(name) if name == inside else pl.col(name) for name in names]


def _reference(column: str) -> pl.Expr:
    place = pl.concat_str(pl.lit(f"{column}["), pl.row_index().cast(pl.String), pl.lit("]"))
    return pl.when(pl.col(column).is_not_null()).then(place).alias(column)


def _samples(table: Columns, config: IngestionConfig) -> pl.DataFrame:
    def texts(column: str) -> pl.Series:
        return null_missing(as_words(table[column]), config.missing)

    ids = sample_ids(table, config.id_column, name=_NAME)
    groups = (
        pl.repeat(None, len(ids), dtype=pl.String, eager=True)
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
            "image": null_missing(table[config.image_column], [""]),
        }
        | {LABEL_PREFIX + name: texts(name) for name in config.labels}
    )
    check_groups(samples, config.group_column or "")
    return samples


def sample_ids(raw: Columns, column: str | None, *, name: str) -> pl.Series:
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
