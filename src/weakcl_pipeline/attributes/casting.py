"""Raw columns to typed attribute columns, one kind at a time, with errors that name the first bad cell."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any

import polars as pl

from weakcl_pipeline.errors import InputError


class AttributeKind(StrEnum):
    """What the values of an attribute column mean, and their typed form.

    A missing cell is null in every kind and stays null. An empty list of tags is not missing: no tag applies.
    """

    BOOL = "bool"
    """Boolean, e.g. `is_zwj: true`."""
    CATEGORICAL = "categorical"
    """String, one of several values, e.g. `vendor: noto`; NaN counts as missing."""
    TAGS = "tags"
    """List of strings, a set of words, e.g. `tags: [heart, love]`."""
    HIERARCHY = "hierarchy"
    """List of strings, a path with the root first, e.g. `path: [animal, bird, owl]`."""
    CONTINUOUS = "continuous"
    """Float64, e.g. `age: 31.5`; NaN counts as missing."""


_TRUTH = {"true": True, "false": False, "yes": True, "no": False, "1": True, "0": False}


def infer_kind(column: pl.Series) -> AttributeKind | None:
    """The kind that a raw column's type and content suggest, or None where nothing does.

    Booleans, and numbers or words that are only 0/1 or true/false, are bool; other numbers are continuous;
    other words are categorical; lists of words or whole numbers are tags. A hierarchy looks like tags and
    must be declared.
    """
    dtype = column.dtype
    if dtype == pl.Boolean:
        return AttributeKind.BOOL
    if dtype.is_numeric():
        numbers = column.cast(pl.Float64).fill_nan(None)
        return AttributeKind.BOOL if _only(numbers, [0.0, 1.0]) else AttributeKind.CONTINUOUS
    if _is_word(dtype):
        words = column.cast(pl.String).str.to_lowercase()
        return AttributeKind.BOOL if _only(words, ["true", "false"]) else AttributeKind.CATEGORICAL
    if isinstance(dtype, pl.List | pl.Array) and (_is_word(dtype.inner) or _is_integer(dtype.inner)):
        return AttributeKind.TAGS
    return None


def cast_column(column: pl.Series, kind: AttributeKind) -> pl.Series:
    """The column in its typed form.

    Raises:
        InputError: A cell does not fit the kind; the message names the column and the first such row.
    """
    return _CASTS[kind](column)


def as_words(column: pl.Series) -> pl.Series:
    """The values written as words, String; NaN, which is how pandas writes a missing cell, is null."""
    return (column.fill_nan(None) if column.dtype.is_float() else column).cast(pl.String)


def _to_bool(column: pl.Series) -> pl.Series:
    if column.dtype == pl.Boolean:
        return column
    if not (_is_word(column.dtype) or column.dtype.is_numeric()):
        raise _wrong_type(column, AttributeKind.BOOL, "true/false, yes/no or 0/1")
    if column.dtype.is_numeric():
        column = column.cast(pl.Float64).fill_nan(None)
        typed = column.replace_strict({0.0: False, 1.0: True}, default=None, return_dtype=pl.Boolean)
    else:
        words = column.cast(pl.String).str.strip_chars().str.to_lowercase()
        typed = words.replace_strict(_TRUTH, default=None, return_dtype=pl.Boolean)
    _refuse_new_nulls(column, typed, "true/false, yes/no or 0/1 (bool)")
    return typed


def _to_categorical(column: pl.Series) -> pl.Series:
    if not (_is_word(column.dtype) or column.dtype.is_numeric() or column.dtype == pl.Boolean):
        raise _wrong_type(column, AttributeKind.CATEGORICAL, "one word or number")
    return as_words(column)


def _to_continuous(column: pl.Series) -> pl.Series:
    if not (_is_word(column.dtype) or column.dtype.is_numeric()):
        raise _wrong_type(column, AttributeKind.CONTINUOUS, "a number")
    if not column.dtype.is_numeric():
        column = column.cast(pl.String)
    typed = column.cast(pl.Float64, strict=False)
    _refuse_new_nulls(column, typed, "a number (continuous)")
    return typed.fill_nan(None)


def _to_tags(column: pl.Series) -> pl.Series:
    """Sets of words: repeated tags once, null elements (no tag at all) dropped."""
    words = _to_word_lists(column, AttributeKind.TAGS)
    return words.list.drop_nulls().list.unique(maintain_order=True)


def _to_hierarchy(column: pl.Series) -> pl.Series:
    paths = _to_word_lists(column, AttributeKind.HIERARCHY)
    broken = paths.list.eval(pl.element().is_null()).list.any().fill_null(value=False)
    if broken.any():
        raise _bad_cell(column, broken.arg_max(), "a path without gaps, root first (hierarchy)")
    return paths


def _to_word_lists(column: pl.Series, kind: AttributeKind) -> pl.Series:
    dtype = column.dtype
    if dtype == pl.Null:
        return column.cast(pl.List(pl.String))
    inner = dtype.inner if isinstance(dtype, pl.List | pl.Array) else None
    if inner is None or not (_is_word(inner) or _is_integer(inner) or inner == pl.Null):
        raise _wrong_type(column, kind, "a list of words")
    return column.cast(pl.List(pl.String))


_CASTS: dict[AttributeKind, Callable[[pl.Series], pl.Series]] = {
    AttributeKind.BOOL: _to_bool,
    AttributeKind.CATEGORICAL: _to_categorical,
    AttributeKind.TAGS: _to_tags,
    AttributeKind.HIERARCHY: _to_hierarchy,
    AttributeKind.CONTINUOUS: _to_continuous,
}


def _is_word(dtype: Any) -> bool:
    return dtype in (pl.String, pl.Categorical, pl.Enum)


def _is_integer(dtype: Any) -> bool:
    return bool(dtype.is_integer())


def _only(column: pl.Series, allowed: list[Any]) -> bool:
    values = column.drop_nulls()
    return len(values) > 0 and bool(values.is_in(allowed).all())


def _refuse_new_nulls(raw: pl.Series, typed: pl.Series, expected: str) -> None:
    lost = raw.is_not_null() & typed.is_null()
    if lost.any():
        raise _bad_cell(raw, lost.arg_max(), expected)


def _wrong_type(column: pl.Series, kind: AttributeKind, expected: str) -> InputError:
    filled = column.is_not_null().arg_max() if column.null_count() < len(column) else None
    example = "" if filled is None else f"; the first value, in row {filled}, is {_shown(column[filled])}"
    return InputError(
        f"column '{column.name}' is declared as {kind.value}, which needs {expected} in each cell,"
        f" but its type is {column.dtype}{example}. Convert the column, or"
        f" change ingestion.attributes.{column.name}.kind."
    )


def _bad_cell(column: pl.Series, row: int | None, expected: str) -> InputError:
    value = column[row] if row is not None else None
    shown = _shown(value.to_list() if isinstance(value, pl.Series) else value)
    return InputError(
        f"column '{column.name}', row {row} (counted from 0): expected {expected}, found {shown}."
        f" Correct the cell, or change ingestion.attributes.{column.name}.kind."
    )


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
