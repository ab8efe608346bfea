"""The generic source: one table whose rows are samples, and others with more about them."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import polars as pl
from pydantic import model_validator

from weakcl_pipeline.attributes.casting import as_words
from weakcl_pipeline.errors import FEW, InputError, some
from weakcl_pipeline.sources.base import Source
from weakcl_pipeline.sources.formats import Format, TableOptions, format_of
from weakcl_pipeline.sources.remote import beside, local
from weakcl_pipeline.sources.roles import check_name, is_pattern

logger = logging.getLogger(__name__)

_WRAPPED = pl.Struct({"bytes": pl.Binary, "path": pl.String})


class SideTable(TableOptions):
    """A further table, whose columns are joined to the samples by a key.

    Attributes:
        path: A file or URL; relative to the folder of the main table.
        by: The key: a column of both tables.
        key: Name of the key in this table, if it is another there.
        take: Columns to take; by default all.
        collect: Columns that become lists, for tables with several rows per key, e.g. one per tag. The values keep the
            order of the rows; a sample without rows, or without a value in any, has null. Then no other column is
            taken.
    """

    path: str
    by: str
    key: str | None = None
    take: tuple[str, ...] | None = None
    collect: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.take is not None and self.collect:
            raise ValueError("take and collect: give one of them; collected columns are the only ones that are taken")
        return self


class Table(Source, TableOptions):
    """A table in a file of any common format; others may be joined to it.

    Attributes:
        path: A file, a folder of Parquet files, or a URL that fsspec knows.
        join: Further tables, joined one after another. Samples without a row there have null.
    """

    path: str
    join: tuple[SideTable, ...] = ()

    def scan(self) -> pl.LazyFrame:
        """Return the table with what is joined to it, in the order of the table."""
        table = _scanned(self._main())
        for side in self.join:
            table = _joined(table, side, self._beside(side))
        return table

    def files(self) -> Mapping[str, Path]:
        """Return the files of all tables."""
        tables = {"table": self._main()} | {f"join {i}": self._beside(side) for i, side in enumerate(self.join)}
        return {f"{role}/{name}": file for role, table in tables.items() for name, file in table.files().items()}

    def _main(self) -> Format:
        return format_of(local(self.path), _options(self))

    def _beside(self, side: SideTable) -> Format:
        return format_of(local(beside(side.path, self.path)), _options(side))


def _options(fields: TableOptions) -> TableOptions:
    return TableOptions.model_validate({name: getattr(fields, name) for name in TableOptions.model_fields})


def _scanned(form: Format) -> pl.LazyFrame:
    """Return a format's table; a column without a name is called by its place, `column_0`."""
    table = _unwrapped(form.scan())
    names = table.collect_schema().names()
    if "" not in names:
        return table
    name = f"column_{names.index('')}"
    if name in names:
        raise InputError(f"{form.path}: a column has no name, and '{name}' is another one's. Give it a name.")
    logger.warning("%s: a column without a name: %s", form.path, name)
    return table.rename({"": name})


def _unwrapped(table: pl.LazyFrame) -> pl.LazyFrame:
    """Return a table with pictures as bytes where they are structs of bytes and a path, as in Hugging Face's tables."""
    wrapped = [name for name, dtype in table.collect_schema().items() if dtype == _WRAPPED and not is_pattern(name)]
    return table.with_columns(pl.col(name).struct.field("bytes").alias(name) for name in wrapped)


def _joined(table: pl.LazyFrame, side: SideTable, form: Format) -> pl.LazyFrame:
    other = _scanned(form)
    key = side.key or side.by
    have, found = table.collect_schema(), other.collect_schema()
    for column, columns, place in (
        (side.by, have, "raw_samples"),
        (key, found, form.path),
        *((column, found, form.path) for column in (*(side.take or ()), *side.collect)),
    ):
        if column not in columns:
            raise InputError(
                f"{place}: there is no column '{column}', which `join` names. It has: {', '.join(columns)}."
            )
    taken = side.collect or side.take or tuple(found)
    taken = tuple(column for column in taken if column != key)
    for column, place in ((side.by, "raw_samples"), *((column, str(form.path)) for column in (key, *taken))):
        check_name(column, place, "list the columns to join in `take`")
    clash = [column for column in taken if column in have]
    if clash:
        raise InputError(
            f"{form.path}: column '{clash[0]}' is in the table that it is joined to, too. Rename it, or list the"
            " columns to join in `take`."
        )
    if have[side.by] != found[key] or have[side.by] == pl.String:
        table, other = table.with_columns(in_words(side.by)), other.with_columns(in_words(key))
    other = other.select(key, *taken).drop_nulls(key)
    _check_keys(table.select(pl.col(side.by).alias(key)), other.select(key), side, form.path)
    if side.collect:
        lists = other.group_by(key, maintain_order=True).agg(taken)
        other = lists.with_columns(_known(column) for column in taken)
    return table.join(other, left_on=side.by, right_on=key, how="left", maintain_order="left")


def in_words(column: str) -> pl.Expr:
    """A column of keys as the words by which they are compared (see `as_words`)."""
    return pl.col(column).map_batches(as_words, return_dtype=pl.String, is_elementwise=True)


def _known(column: str) -> pl.Expr:
    """A column of lists with null for those of which every value is null."""
    return pl.when(pl.col(column).list.drop_nulls().list.len() > 0).then(pl.col(column)).alias(column)


def _check_keys(samples: pl.LazyFrame, keys: pl.LazyFrame, side: SideTable, file: Path) -> None:
    """Refuse repeated keys and tables that have nothing in common; tell of keys without a sample, and the reverse."""
    key = side.key or side.by
    counts = keys.group_by(key, maintain_order=True).len().collect(engine="streaming")
    repeated = counts.filter(pl.col("len") > 1)
    if repeated.height and not side.collect:
        raise InputError(
            f"{file}: column '{key}' repeats {repeated.height} keys: {_listed(repeated[key])}. A joined table has one"
            " row per key; remove the copies, or list the columns that should become lists in `collect`."
        )
    known = samples.unique().collect(engine="streaming")
    lost = counts.join(known, on=key, how="anti", maintain_order="left")
    if lost.height == counts.height:
        raise InputError(
            f"{file}: none of the {counts.height} keys in column '{key}' is in column '{side.by}' of the table that it"
            f" is joined to; keys here: {_listed(counts[key])}; there: {_listed(known[key])}. Correct `by` and `key`,"
            " or how the keys are written."
        )
    if lost.height:
        logger.warning("%s: %d keys in column '%s' are of no sample: %s", file, lost.height, key, _listed(lost[key]))
    without = known.join(counts, on=key, how="anti").height
    if without:
        logger.info("%s: %d of %d samples have no row here", file, without, known.height)


def _listed(values: pl.Series) -> str:
    return some([repr(value) for value in values.head(FEW)], len(values))
