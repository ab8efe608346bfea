"""The schema of the attribute columns: declared in parameters, or inferred, and written down.

The schema is the artifact `attribute_schema`: a plain dictionary, column -> kind and settings, that the
later stages read back with `specs_of`, so that what an attribute means is decided once.
"""

import logging
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Annotated, Any, Literal, Self

import polars as pl
from pydantic import Field, model_validator

from weakcl_pipeline.attributes.casting import (
    AttributeKind,
    as_words,
    cast_column,
    found_style,
    infer_kind,
    join_levels,
)
from weakcl_pipeline.attributes.coded import Coded
from weakcl_pipeline.attributes.columns import Columns, parts_of
from weakcl_pipeline.attributes.hierarchy import ancestors
from weakcl_pipeline.attributes.spelling import Spelling
from weakcl_pipeline.errors import InputError

logger = logging.getLogger(__name__)

Schema = dict[str, dict[str, Any]]
"""Column -> the fields of its `AttributeSpec`, `inferred`, the number of `missing` cells, and the `length` of vectors.

How numbers or dates were found to be written is among the fields, so that later cells are read as these were.
"""


class AttributeSpec(Spelling):
    """How one column is read as an attribute; how its texts are read is said by the fields of `Spelling`.

    Attributes:
        kind: What the values mean; left out, it is inferred from the column.
        levels: Of a hierarchy that is spread over several columns: these columns, root first. The attribute's name is
            then a new one.
        min_count: An indicator (a tag, a category, a node of a hierarchy, a value above a quantile) becomes
            a binary attribute if at least this many train samples have it. Rarer ones cannot bring samples
            together.
        exclude: Tags, categories or nodes that never become a binary attribute, e.g. words that repeat the
            label's.
        quantiles: For continuous columns: the train quantiles that "is above" indicators are made of,
            each between 0 and 1 (nothing is above the highest value).
        allow_leak: Accept the column although it determines a label. Figures measured against that label
            are then no evidence.
    """

    kind: AttributeKind | None = None
    levels: tuple[str, ...] = ()
    min_count: int = Field(default=10, ge=1)
    exclude: tuple[str, ...] = ()
    quantiles: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = (0.5,)
    allow_leak: bool = False

    @model_validator(mode="after")
    def _fields_of_the_kind(self) -> Self:
        for field, kinds in _KINDS_WITH.items():
            if getattr(self, field) and self.kind not in kinds:
                raise ValueError(f"{field}: needs `kind: {'` or `kind: '.join(kinds)}`")
        if self.levels and self.separator:
            raise ValueError(
                "levels and separator: a hierarchy has either its levels in columns, or one separated text"
            )
        return self


_KINDS_WITH = {
    "separator": (AttributeKind.TAGS, AttributeKind.HIERARCHY),
    "true_values": (AttributeKind.BOOL,),
    "decimal": (AttributeKind.CONTINUOUS,),
    "date_format": (AttributeKind.CONTINUOUS,),
    "plain": (AttributeKind.CONTINUOUS,),
    "levels": (AttributeKind.HIERARCHY,),
}
"""Fields that go with certain kinds only."""


def type_attributes(
    table: Columns,
    declared: Mapping[str, AttributeSpec],
    keep: Callable[[Coded, AttributeSpec], None],
    *,
    undeclared: Literal["ignore", "infer"] = "ignore",
    reserved: Collection[str] = (),
    missing: Collection[str] = (),
) -> Schema:
    """Cast the attribute columns of a raw table to their typed forms, one after another.

    Args:
        table: The raw table, any columns.
        declared: Attribute column -> how to read it; each must exist in the table.
        keep: Called with each typed column and its specification, in which the kind is set: in the order of
            `declared`, then of the table.
        undeclared: What to do with the other columns: leave them, or infer their kind and take them too.
        reserved: Columns that have another role (or are not wanted) and are never taken as undeclared ones.
        missing: Texts that stand for a missing cell, unless the attribute lists them among its own.

    Raises:
        InputError: A cell or a type does not fit its kind, or no kind can be inferred.
    """
    specs = dict(declared)
    if undeclared == "infer":
        taken = {*declared, *reserved, *(level for spec in declared.values() for level in spec.levels)}
        specs |= {name: AttributeSpec() for name in table.columns if name not in taken}
    schema = {}
    for name, spec in specs.items():
        known, typed = _typed(table, name, spec, missing)
        schema[name] = known.model_dump(mode="json") | {"inferred": spec.kind is None, "missing": typed.missing}
        if isinstance(typed.values.dtype, pl.Array):
            schema[name]["length"] = typed.values.dtype.size
        _warn_of_unused_words(typed.values, known)
        keep(typed, known)
    logger.info("Attribute schema:\n%s", describe(schema))
    return schema


def type_alike(table: pl.DataFrame, schema: Schema, *, missing: Collection[str] = ()) -> pl.DataFrame:
    """Cast the attribute columns of a later table as those of an earlier one were.

    Args:
        table: Has the columns that the earlier one had.
        schema: Of the earlier one.
        missing: As for `type_attributes`.

    Raises:
        InputError: A cell or a type does not fit its kind, a number or date is not written as those of the earlier
            table were, or vectors are of another length.
    """
    lengths = {name: entry.get("length") for name, entry in schema.items()}
    return pl.DataFrame(
        [_typed(table, name, spec, missing, lengths[name])[1].column() for name, spec in specs_of(schema).items()]
    )


def specs_of(schema: Schema) -> dict[str, AttributeSpec]:
    """The schema's columns as `AttributeSpec`s, with the kind always set."""
    fields = AttributeSpec.model_fields
    return {
        name: AttributeSpec.model_validate({key: value for key, value in entry.items() if key in fields})
        for name, entry in schema.items()
    }


def describe(schema: Schema) -> str:
    """One line per column for the log: name, kind, how it was found, missing cells."""
    width = max((len(name) for name in schema), default=0)
    lines = [
        f"  {name:<{width}}  {entry['kind']:<11}  {'inferred' if entry['inferred'] else 'declared'}"
        f"  {entry['missing']} missing"
        for name, entry in schema.items()
    ]
    return "\n".join(lines) if lines else "  (no attribute columns)"


def null_missing(column: pl.Series, missing: Collection[str]) -> pl.Series:
    """The column with null for texts that stand for a missing cell, compared as the words that both are.

    In a list such texts are null, and a list of nothing else is.
    """
    if column.dtype in (pl.Categorical, pl.Enum):
        column = column.cast(pl.String)
    marks = as_words(pl.Series(list(missing), dtype=pl.String)).to_list()
    if column.dtype == pl.String and marks:
        marked = as_words(column).is_in(marks)
        return column.set(marked.fill_null(value=False), None) if marked.any() else column
    if column.dtype == pl.List(pl.String) and marks and column.explode().str.strip_chars().is_in(marks).any():
        lists = column.list.eval(pl.when(~pl.element().str.strip_chars().is_in(marks)).then(pl.element()))
        return lists.set((lists.list.len() > 0) & (lists.list.drop_nulls().list.len() == 0), None)
    return column


def _typed(
    table: Columns, name: str, spec: AttributeSpec, missing: Collection[str], length: int | None = None
) -> tuple[AttributeSpec, Coded]:
    """Return the specification with all that had to be found out, and the typed column; ``length`` is of vectors."""
    if spec.levels:
        levels = [null_missing(table[level], missing) for level in spec.levels]
        return spec, Coded(join_levels(levels, name))
    words = {*missing} - {*spec.true_values, *spec.false_values}

    def read(cells: pl.Series) -> tuple[AttributeSpec, pl.Series]:
        cells = null_missing(cells, words)
        kind = spec.kind or _inferred(cells)
        known = spec.model_copy(update={"kind": kind} | found_style(cells, kind, spec))
        if length is not None and cells.null_count() == len(cells):
            return known, pl.Series(name, [None] * len(cells), dtype=pl.Array(pl.Float32, length))
        typed = cast_column(cells, kind, known)
        if length is not None and isinstance(typed.dtype, pl.Array) and typed.dtype.size != length:
            raise InputError(
                f"column '{name}' has vectors of length {typed.dtype.size}, but those of the earlier samples have"
                f" length {length}. Make them by the same model."
            )
        return known, typed

    coded = Coded.of(parts_of(table, name), name)
    if coded is not None:
        # How a cell is read depends on what other cells there are, but neither on their number nor on their order.
        with suppress(InputError):  # raised below, for the row that the message names
            known, typed = read(coded.values)
            return known, replace(coded, values=typed)
    known, typed = read(table[name])
    return known, Coded(typed)


def _inferred(column: pl.Series) -> AttributeKind:
    kind = infer_kind(column)
    if kind is None:
        raise InputError(
            f"column '{column.name}': no attribute kind fits its type {column.dtype}. Declare it under"
            f" ingestion.attributes with a kind, or add it to ingestion.ignore."
        )
    return kind


def _warn_of_unused_words(column: pl.Series, spec: AttributeSpec) -> None:
    """A misspelt word in `exclude` would let through the very tag that it should stop."""
    if not spec.exclude or column.dtype not in (pl.String, pl.List):
        return
    words = column.drop_nulls()
    if spec.kind == AttributeKind.HIERARCHY:
        words = ancestors(words.to_frame("value").with_row_index("row"))["value"]
    elif spec.kind == AttributeKind.TAGS:
        words = words.explode()
    unused = sorted(set(spec.exclude) - set(words.drop_nulls().unique().to_list()))
    if unused:
        logger.warning(
            "ingestion.attributes.%s.exclude: the column never holds %s",
            column.name,
            ", ".join(map(repr, unused)),
        )
