"""Raw columns to typed attribute columns, one kind at a time, with errors that name the first bad cell."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any

import polars as pl

from weakcl_pipeline.attributes.columns import in_parts
from weakcl_pipeline.attributes.spelling import (
    AmbiguousError,
    Spelling,
    as_days,
    is_list,
    is_number,
    is_truth,
    numbers_of,
    style_of,
    truth_of,
    words_of,
)
from weakcl_pipeline.errors import InputError, brief


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
    """Float64, e.g. `age: 31.5`; NaN counts as missing. Dates are days since 1970-01-01."""
    VECTOR = "vector"
    """Array of Float32, as long in every row, e.g. an embedding of the caption."""


_WHOLE = 1 << 53
"""Below it, a float that is whole is one integer and no other."""
_WHOLE_TEXT = r"^(?:(-?[1-9]\d{0,14})|-?(0))\.0+$"
"""Such floats as texts; codes with leading zeros are none."""


def infer_kind(column: pl.Series) -> AttributeKind | None:
    """The kind that a raw column's type and content suggest, or None where nothing does.

    Booleans, and numbers or words that are only 0/1 or true/false, are bool; other numbers, and dates, are
    continuous; other words are categorical; lists of words or whole numbers are tags. Texts count as what they stand
    for. A hierarchy looks like tags and must be declared, and so must vectors.
    """
    dtype = column.dtype
    if dtype == pl.Boolean:
        return AttributeKind.BOOL
    if dtype.is_numeric():
        return AttributeKind.BOOL if _is_zero_or_one(column) else AttributeKind.CONTINUOUS
    if _is_time(dtype):
        return AttributeKind.CONTINUOUS
    if _is_word(dtype):
        return _kind_of_texts(column.cast(pl.String))
    if isinstance(dtype, pl.List | pl.Array) and (_is_word(dtype.inner) or _is_integer(dtype.inner)):
        return AttributeKind.TAGS
    return None


def cast_column(column: pl.Series, kind: AttributeKind, spelling: Spelling | None = None) -> pl.Series:
    """The column in its typed form.

    Args:
        column: Raw cells; null is missing.
        kind: What they mean.
        spelling: How texts are read.

    Raises:
        InputError: A cell does not fit the kind, or all cells do in two ways; the message names the column and the
            first such row.
    """
    if column.dtype == pl.Null and kind in _TYPES:
        return column.cast(_TYPES[kind])
    with _naming(column, kind):
        return _CASTS[kind](column, spelling or Spelling())


def found_style(column: pl.Series, kind: AttributeKind, spelling: Spelling) -> dict[str, str]:
    """What of the spelling had to be found out: the field by which later cells are read as those of this column.

    A type tells it too: where cells are numbers, a later date is no number of days. Missing cells tell nothing.

    Args:
        column: Raw cells, as for `cast_column`.
        kind: What they mean.
        spelling: What is declared; a style among it is not looked for.

    Raises:
        InputError: All cells can be read in two ways.
    """
    declared = spelling.decimal or spelling.date_format or spelling.plain
    if kind != AttributeKind.CONTINUOUS or declared or column.null_count() == len(column):
        return {}
    if not _is_word(column.dtype):
        return {"plain": "dates" if _is_time(column.dtype) else "numbers"}
    with _naming(column, kind):
        return style_of(column.cast(pl.String))


@contextmanager
def _naming(column: pl.Series, kind: AttributeKind) -> Iterator[None]:
    """Tell the user which column it is that can be read in two ways."""
    try:
        yield
    except AmbiguousError as error:
        raise InputError(
            f"column '{column.name}' ({kind.value}): {error} under ingestion.attributes.{column.name}."
        ) from error


def as_words(column: pl.Series) -> pl.Series:
    """The values written as words, String, without spaces around them.

    NaN, which is how pandas writes a missing cell, is null. It writes whole numbers beside one as 3.0, which is 3 here,
    in texts as in numbers, so that columns of several files agree.
    """
    words = column.cast(pl.String)
    if not column.dtype.is_float():
        words = words.str.strip_chars()
        # Few columns have such texts, and to look at the last character of all takes a thirtieth of the time.
        return words.str.replace(_WHOLE_TEXT, "${1}${2}") if words.str.ends_with("0").any() else words
    whole = column.cast(pl.Int64, strict=False)
    kept = (whole != column).fill_null(value=True) | (column.abs() >= _WHOLE)
    return whole.cast(pl.String).zip_with(~kept, words).set(column.is_nan().fill_null(value=False), None)


def join_levels(levels: list[pl.Series], name: str) -> pl.Series:
    """The hierarchy whose levels are columns, root first; a path ends where the levels are missing.

    Args:
        levels: Words or numbers, one column per level.
        name: Of the hierarchy.

    Returns:
        List(String); null where all levels are missing.

    Raises:
        InputError: A level is missing above one that is there.
    """
    words = [cast_column(level, AttributeKind.CATEGORICAL) for level in levels]
    for upper, lower in itertools.pairwise(words):
        gaps = upper.is_null() & lower.is_not_null()
        if gaps.any():
            row = gaps.arg_true()[0]
            raise InputError(
                f"column '{upper.name}', row {row} (counted from 0): missing, but column '{lower.name}' below it holds"
                f" {_shown(lower[row])}. Fill it in, or correct ingestion.attributes.{name}.levels (root first)."
            )
    paths = pl.DataFrame(words).select(pl.concat_list(pl.all()).list.drop_nulls().alias(name))[name]
    return paths.set(words[0].is_null(), None) if words[0].null_count() else paths


def _kind_of_texts(texts: pl.Series) -> AttributeKind:
    if is_truth(texts):
        return AttributeKind.BOOL
    if is_number(texts):
        return AttributeKind.CONTINUOUS
    return AttributeKind.TAGS if is_list(texts) else AttributeKind.CATEGORICAL


def _to_bool(column: pl.Series, spelling: Spelling) -> pl.Series:
    if column.dtype == pl.Boolean:
        return column
    if not (_is_word(column.dtype) or column.dtype.is_numeric()):
        raise _wrong_type(column, AttributeKind.BOOL, "true/false, yes/no or 0/1")
    if column.dtype.is_numeric():
        column = column.cast(pl.Float64).fill_nan(None)
        typed = column.replace_strict({0.0: False, 1.0: True}, default=None, return_dtype=pl.Boolean)
    else:
        typed = truth_of(column.cast(pl.String), spelling)
    allowed = "/".join(spelling.true_values + spelling.false_values) or "true/false, yes/no or 0/1"
    _refuse_new_nulls(column, typed, f"{allowed} (bool)", "declare `true_values` and `false_values`")
    return typed


def _to_categorical(column: pl.Series, _spelling: Spelling) -> pl.Series:
    if not (_is_word(column.dtype) or column.dtype.is_numeric() or column.dtype == pl.Boolean):
        raise _wrong_type(column, AttributeKind.CATEGORICAL, "one word or number")
    return as_words(column)


def _to_continuous(column: pl.Series, spelling: Spelling) -> pl.Series:
    date = spelling.date_format or ("2026-01-31" if spelling.plain == "dates" else None)
    if _is_time(column.dtype):
        if (spelling.decimal or spelling.plain == "numbers") and column.null_count() < len(column):
            raise _wrong_type(column, AttributeKind.CONTINUOUS, "a number")
        return column.dt.epoch("d").cast(pl.Float64) if column.dtype == pl.Date else as_days(column)
    if not (_is_word(column.dtype) or column.dtype.is_numeric()):
        raise _wrong_type(column, AttributeKind.CONTINUOUS, "a number")
    if column.dtype.is_numeric() and date is None:
        typed = column.cast(pl.Float64, strict=False)
    else:  # among dates a number may be one, 20260131, but none is a number of days
        column = column.fill_nan(None) if column.dtype.is_float() else column
        typed = numbers_of(column.cast(pl.String), spelling)
    expected = "a number" if date is None else f"a date as {date}"
    _refuse_new_nulls(column, typed, f"{expected} (continuous)", "declare `decimal` or `date_format`")
    return typed.fill_nan(None) if typed.is_nan().any() else typed


def _to_tags(column: pl.Series, spelling: Spelling) -> pl.Series:
    """Sets of words: repeated tags once, null elements and empty texts (no tag at all) dropped."""
    words = _to_word_lists(column, AttributeKind.TAGS, spelling)
    word = pl.element().str.strip_chars()
    return words.list.eval(word.filter(word != "")).list.unique(maintain_order=True)


def _to_hierarchy(column: pl.Series, spelling: Spelling) -> pl.Series:
    paths = _to_word_lists(column, AttributeKind.HIERARCHY, spelling)
    if _is_word(column.dtype) and spelling.separator is not None:
        paths = _trimmed(paths)
    broken = paths.list.eval(pl.element().is_null()).list.any().fill_null(value=False)
    if broken.any():
        raise _bad_cell(column, broken.arg_max(), "a path without gaps, root first (hierarchy)")
    return paths


def _trimmed(paths: pl.Series) -> pl.Series:
    """Paths without the empty texts before a first separator and after a last; those between become gaps, null."""
    element = pl.element()
    filled = (element != "").cum_sum() > 0
    filled &= (element != "").cum_sum(reverse=True) > 0
    return paths.list.eval(pl.when(element != "").then(element).filter(filled))


def _to_vector(column: pl.Series, spelling: Spelling) -> pl.Series:
    dtype = column.dtype
    if _is_word(dtype):
        texts = column.cast(pl.String).str.strip_chars(" []").str.split(spelling.separator or ",")
        vectors = texts.list.eval(pl.element().str.strip_chars().cast(pl.Float32, strict=False))
    elif isinstance(dtype, pl.List | pl.Array) and dtype.inner.is_numeric():
        vectors = column.cast(pl.List(pl.Float32))
    else:
        raise _wrong_type(column, AttributeKind.VECTOR, "a list of numbers")
    lengths = vectors.list.len()
    first = vectors.is_not_null().arg_max()
    if first is None or not lengths[first]:
        raise InputError(f"column '{column.name}' is declared as vector, but has no numbers. Leave it out.")
    other = (lengths != lengths[first]).fill_null(value=False)
    if other.any():
        row = other.arg_max()
        raise InputError(
            f"column '{column.name}', row {row} (counted from 0): a vector of length {lengths[row]}, but that of row"
            f" {first} has length {lengths[first]}. All vectors of a column must have one length; missing is null."
        )
    finite = vectors.list.eval(pl.element().is_finite().fill_null(value=False)).list.all().fill_null(value=True)
    if not finite.all():
        raise _bad_cell(column, (~finite).arg_max(), "finite numbers (vector)")
    return vectors.list.to_array(int(lengths[first]))


def _to_word_lists(column: pl.Series, kind: AttributeKind, spelling: Spelling) -> pl.Series:
    dtype = column.dtype
    if _is_word(dtype):
        texts = column.cast(pl.String)
        separated = spelling.separator is not None
        if not separated and not texts.drop_nulls().str.strip_chars().str.starts_with("[").all():
            raise _wrong_type(column, kind, "a list of words", "declare its `separator`, convert the column")
        lists = words_of(texts, spelling.separator)
        _refuse_new_nulls(column, lists, f"a JSON list of words ({kind.value})", "declare `separator`")
        return lists
    inner = dtype.inner if isinstance(dtype, pl.List | pl.Array) else None
    if inner is None or not (_is_word(inner) or _is_integer(inner) or inner == pl.Null):
        raise _wrong_type(column, kind, "a list of words")
    return column.cast(pl.List(pl.String))


_CASTS: dict[AttributeKind, Callable[[pl.Series, Spelling], pl.Series]] = {
    AttributeKind.BOOL: _to_bool,
    AttributeKind.CATEGORICAL: _to_categorical,
    AttributeKind.TAGS: _to_tags,
    AttributeKind.HIERARCHY: _to_hierarchy,
    AttributeKind.CONTINUOUS: _to_continuous,
    AttributeKind.VECTOR: _to_vector,
}


_TYPES: dict[AttributeKind, pl.DataType] = {
    AttributeKind.BOOL: pl.Boolean(),
    AttributeKind.CATEGORICAL: pl.String(),
    AttributeKind.TAGS: pl.List(pl.String),
    AttributeKind.HIERARCHY: pl.List(pl.String),
    AttributeKind.CONTINUOUS: pl.Float64(),
}
"""What cells become, but those of vectors, whose type has their length."""


def _is_word(dtype: Any) -> bool:
    return dtype in (pl.String, pl.Categorical, pl.Enum)


def _is_time(dtype: Any) -> bool:
    return dtype in (pl.Date, pl.Datetime)


def _is_integer(dtype: Any) -> bool:
    return bool(dtype.is_integer())


def _is_zero_or_one(numbers: pl.Series) -> bool:
    """Whether there are numbers and none but 0 and 1; the first of a measurement tell, so the others are not copied."""
    there = False
    for part in in_parts(numbers):
        known = part.cast(pl.Float64).fill_nan(None).drop_nulls()
        if not known.is_in([0.0, 1.0]).all():
            return False
        there = there or len(known) > 0
    return there


def _refuse_new_nulls(raw: pl.Series, typed: pl.Series, expected: str, remedy: str = "") -> None:
    lost = raw.is_not_null() & typed.is_null()
    if lost.any():
        raise _bad_cell(raw, lost.arg_max(), expected, f" {remedy}," if remedy and _is_word(raw.dtype) else "")


def _wrong_type(
    column: pl.Series, kind: AttributeKind, expected: str, remedy: str = "convert the column"
) -> InputError:
    filled = column.is_not_null().arg_max() if column.null_count() < len(column) else None
    example = "" if filled is None else f"; the first value, in row {filled}, is {_shown(column[filled])}"
    return InputError(
        f"column '{column.name}' is declared as {kind.value}, which needs {expected} in each cell,"
        f" but its type is {column.dtype}{example}. {remedy.capitalize()}, or"
        f" change ingestion.attributes.{column.name}.kind."
    )


def _bad_cell(column: pl.Series, row: int | None, expected: str, remedy: str = "") -> InputError:
    value = column[row] if row is not None else None
    shown = _shown(value.to_list() if isinstance(value, pl.Series) else value)
    return InputError(
        f"column '{column.name}', row {row} (counted from 0): expected {expected}, found {shown}."
        f" Correct the cell,{remedy} or change ingestion.attributes.{column.name}.kind."
    )


def _shown(value: Any) -> str:
    return brief(repr(value), 80)
