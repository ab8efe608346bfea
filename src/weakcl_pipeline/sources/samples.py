"""A raw table, whatever source it is from, to the sample table: every column in its role, typed and checked."""

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from weakcl_pipeline.attributes.casting import as_words
from weakcl_pipeline.attributes.coded import Coded, places_of
from weakcl_pipeline.attributes.columns import Columns, in_parts, parts_of
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
from weakcl_pipeline.sources.roles import LABEL_PREFIX, IngestionConfig, check_name
from weakcl_pipeline.sources.splits import SPLITS, SplitConfig, make_splits
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
        table = staging.spool(raw.select(looked_at(columns, config, name=_NAME)))
    check_rows(table, config, name=_NAME)
    train, labels = _stage_samples(table, config, staging)
    taken = staging.columns
    leaks = []

    def keep(cells: Coded, spec: AttributeSpec) -> None:
        leaks.extend(find_leaks(cells.filter(train), labels, spec, config.leak_tolerance))
        if cells.name not in taken:
            staging.add_coded(cells)

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


def looked_at(columns: pl.Schema, config: IngestionConfig, *, name: str) -> list[pl.Expr]:
    """The columns of a raw table that have a role; pictures inside it are `<column>[<row>]`, null where there is none.

    Args:
        columns: Of the raw table.
        config: Their roles.
        name: Of the raw table, for messages.

    Raises:
        InputError: The name of one stands for several in polars, or it holds objects without a key.
    """
    names = list(config.columns())
    if config.undeclared == "infer":
        names += [column for column in columns if column not in {*names, *config.ignore}]
    for column in names:
        check_name(column, name, "add it to ingestion.ignore")
        if _is_hollow(columns[column]):  # which no Parquet file can hold, not even a temporary one
            raise InputError(
                f"{name}: column '{column}' has type {columns[column]}, with objects without a key, which say nothing."
                " Remove what names it under ingestion.attributes, or add it to ingestion.ignore."
            )
    inside = config.image_column if columns[config.image_column] == pl.Binary else None
    return [_reference(column) if column == inside else pl.col(column) for column in names]


def _is_hollow(dtype: Any) -> bool:
    """Whether there are objects without a key in a type, at any depth."""
    if isinstance(dtype, pl.Struct):
        return not dtype.fields or any(_is_hollow(field.dtype) for field in dtype.fields)
    return isinstance(dtype, pl.List | pl.Array) and _is_hollow(dtype.inner)


def _reference(column: str) -> pl.Expr:
    place = pl.concat_str(pl.lit(f"{column}["), pl.row_index().cast(pl.String), pl.lit("]"))
    return pl.when(pl.col(column).is_not_null()).then(place).alias(column)


def _stage_samples(table: Columns, config: IngestionConfig, staging: Staging) -> tuple[pl.Series, pl.DataFrame]:
    """Check and stage what every sample has, column after column in parts, as they are the largest of the table.

    Returns:
        Which rows are train samples, and their labels as numbers.
    """

    def texts(column: str) -> Iterator[pl.Series]:
        return (_texts(part, config) for part in parts_of(table, column))

    def groups() -> Iterator[pl.Series]:
        if config.group_column is not None:
            return texts(config.group_column)
        return (pl.repeat(None, len(part), dtype=pl.String, eager=True) for part in in_parts(splits))

    _stage_ids(table, config.id_column, staging)
    splits = _splits(table, config)
    staging.add("split", (part.cast(pl.String) for part in in_parts(splits)))
    staging.add("group", groups())
    if config.group_column is not None:
        pairs = zip(groups(), in_parts(splits), strict=True)
        check_groups(pl.concat([_pairs(group, split) for group, split in pairs]), config.group_column)
    staging.add("image", (null_missing(part, [""]) for part in parts_of(table, config.image_column)))
    coded = {}
    for name in config.labels:
        staging.add(LABEL_PREFIX + name, texts(name))
        label = Coded.of(texts(name), name)
        coded[name] = label or Coded(pl.concat(texts(name)).alias(name))
    sizes = dict(splits.alias("split").value_counts(name="count").iter_rows())
    counted = {name: label.count_with(splits.to_physical().cast(pl.Int32)) for name, label in coded.items()}
    check_samples(sizes, {name: _with_splits(counts) for name, counts in counted.items()}, _NAME)
    train = splits == "train"
    return train, pl.DataFrame([_numbered(label.filter(train)) for label in coded.values()])


def _stage_ids(table: Columns, column: str | None, staging: Staging) -> None:
    """Stage the name of each row, and check that it is one; numbers that stand for the texts take less to compare."""
    if column is None:
        staging.add("sample_id", in_parts(sample_ids(table, None, name=_NAME)))
        return
    hashes = np.empty(table.height, dtype=np.uint64)
    missing = False

    def ids() -> Iterator[pl.Series]:
        nonlocal missing
        done = 0
        for part in parts_of(table, column):
            named = null_missing(as_words(part), [""])
            missing = missing or named.null_count() > 0
            hashes[done : done + len(named)] = named.hash().to_numpy()
            done += len(named)
            yield named

    staging.add("sample_id", ids())
    hashes.sort()
    if missing or (hashes[1:] == hashes[:-1]).any():
        sample_ids(table, column, name=_NAME)  # which says what is wrong, if the ids are as alike as their numbers


def _splits(table: Columns, config: IngestionConfig) -> pl.Series:
    """Return the split of each row, an Enum of `SPLITS`."""
    kind = pl.Enum(SPLITS)
    if config.split_column is not None:
        known = config.split_words()
        splits = pl.concat(
            _texts(part, config).replace_strict(known, default=None, return_dtype=kind)
            for part in parts_of(table, config.split_column)
        )
        if splits.null_count():
            check_split_values(_texts(table[config.split_column], config), config)
        return splits
    made = config.split or SplitConfig()
    ids = sample_ids(table, config.id_column, name=_NAME)
    groups = ids.clear(len(ids)) if config.group_column is None else _texts(table[config.group_column], config)
    strata = None if made.stratify is None else _texts(table[made.stratify], config)
    logger.info("Splits are made: %s", made)
    return make_splits(ids, groups, strata, made).cast(kind)


def _texts(cells: pl.Series, config: IngestionConfig) -> pl.Series:
    """Cells as words, null where missing."""
    return null_missing(as_words(cells), config.missing)


def _pairs(group: pl.Series, split: pl.Series) -> pl.DataFrame:
    return pl.DataFrame({"group": group, "split": split.cast(pl.String)}).unique(maintain_order=True)


def _with_splits(counts: pl.DataFrame) -> pl.DataFrame:
    splits = pl.col("label").replace_strict(dict(enumerate(SPLITS)), return_dtype=pl.String)
    return counts.with_columns(splits.alias("split")).group_by("value", "split").agg(pl.sum("len"))


def _numbered(label: Coded) -> pl.Series:
    return (places_of(label.values) if label.places is None else label.places).alias(label.name)


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
