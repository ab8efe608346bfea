"""What the values of a raw column look like: a kind of attribute, or something that is no use as one.

A guess is made from a sample of the column, and only where *all* of its values fit: a kind that fits nearly all would
stop the run at the first cell that does not.
"""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

import polars as pl

from weakcl_pipeline.attributes.casting import AttributeKind
from weakcl_pipeline.attributes.spelling import (
    AmbiguousError,
    Spelling,
    is_list,
    is_number,
    numbers_of,
    truth_of,
    words_of,
)


class Useless(StrEnum):
    """Columns that no cluster can be made of, and why."""

    EMPTY = "empty"
    """Every cell is missing."""
    CONSTANT = "constant"
    """All samples that have a value have the same one."""
    IDENTIFIER = "identifier"
    """Nearly every sample has a value of its own, which names it."""
    TEXT = "text"
    """Sentences, nearly all of them different."""
    BYTES = "bytes"
    """Binary cells."""
    NESTED = "nested"
    """Structs, or lists of something else than words."""
    UNNAMED = "unnamed"
    """Anything, but the name of the column is taken for a pattern of names."""
    MARK = "mark"
    """One mark, such as `x`, or nothing, which may mean false or unknown."""
    QUANTITY = "quantity"
    """Numbers that are not all written in one way, or have units: `12,5` beside `3.7`, `1,4 cm`, `f/2.8`, `30 %`."""
    SHORT_YEARS = "short years"
    """Dates of which the years have two digits."""
    DURATION = "duration"
    """Spans of time or times of day, which have no date and are not written as text."""


class Form(StrEnum):
    """How a kind is written down as text."""

    TYPED = ""
    """It is not text: the table's own type says it."""
    WORDS = "words"
    NUMBERS = "numbers"
    DATES = "dates"
    DELIMITED = "delimited"
    JSON = "JSON lists"
    LEVELS = "a column for each level"


@dataclass(frozen=True)
class Guess:
    """What a column looks like.

    Attributes:
        kind: The kind of attribute, or why it is none.
        form: How it is written.
        separator: Between the words of a cell, where they are delimited.
    """

    kind: AttributeKind | Useless
    form: Form = Form.TYPED
    separator: str | None = None


SEPARATORS = ("\n", "|", ";", ",", "/", ">", "\\", "::", " ")
"""What may stand between the words of a cell. A blank separates hashtags alone (`#cat #cute`)."""
_OF_NUMBERS = (",", "/")
_QUANTITY = r"^(?:f/)?[-+±<>~ ]*\d+(?:[ .,']\d{3})*(?:[.,/]\d+)? ?(?P<unit>[\pL%°‰$€£¥\"'\u2032\u2033²³/]{0,5})$"
"""A number in any of the ways in which people write one, with a short unit."""
_NOT_IN_CODES = r"[ .,/%°‰$€£¥\"'\u2032\u2033]"
_FEW_UNITS = 4
_SHORT_YEARS = r"^\d{1,2}([-./])\d{1,2}[-./]\d{2}(?:\D.*)?$"
_OF_PATHS = ("/", ">", "\\", "::", "|")

_SHOWN = 5000
"""Distinct values that are looked at one by one: enough for a guess, few enough for any table."""
_BOOLEAN_WORDS = 4
"""Two words for true, two for false: somebody writes `yes`, somebody else `y`."""
_FEW_CODES = 12
"""Whole numbers with at most this many values are taken as codes of categories, not as measurements."""
_MANY = 20
"""From as many samples on, values that never repeat are no coincidence."""
_IDENTIFIER_NAME = re.compile(
    r"(^|[_\W])(id|uuid|guid|nr|no|num|nummer|number|index|key|hash|url|file(name)?)s?$", re.I
)


def guess_kind(column: pl.Series) -> Guess:
    """Say what a column looks like.

    Args:
        column: N raw values of any type; null where missing.
    """
    values = column.drop_nulls()
    if len(values) == 0:
        return Guess(Useless.EMPTY)
    if column.dtype == pl.Binary:
        return Guess(Useless.BYTES)
    if isinstance(column.dtype, pl.List | pl.Array):
        return _of_lists(values)
    if column.dtype.is_nested() or column.dtype == pl.Object:
        return Guess(Useless.NESTED)
    return _of_words(values.cast(pl.String)) if _is_text(column.dtype) else _of_typed(values)


def _is_text(dtype: pl.DataType) -> bool:
    return dtype in (pl.String, pl.Categorical, pl.Enum)


def _of_typed(values: pl.Series) -> Guess:
    if values.n_unique() == 1:
        return Guess(Useless.CONSTANT)
    if values.dtype == pl.Boolean:
        return Guess(AttributeKind.BOOL)
    if values.dtype in (pl.Duration, pl.Time):
        return Guess(Useless.DURATION)
    if values.dtype.is_temporal():
        return Guess(AttributeKind.CONTINUOUS, Form.DATES)
    return _of_numbers(values, Form.TYPED)


def _of_lists(values: pl.Series) -> Guess:
    words = values.explode().drop_nulls()
    if words.dtype.is_nested() or words.dtype.is_float() or words.dtype in (pl.Binary, pl.Duration):
        return Guess(Useless.NESTED)
    if values.n_unique() == 1:
        return Guess(Useless.CONSTANT)
    cells = values.cast(pl.List(pl.String)).head(_SHOWN).to_list()
    return Guess(AttributeKind.HIERARCHY if _are_paths(cells) else AttributeKind.TAGS)


def _of_numbers(values: pl.Series, form: Form) -> Guess:
    numbers = values.cast(pl.Float64)
    finite = numbers.filter(numbers.is_finite())
    if finite.n_unique() <= 1:
        return Guess(Useless.CONSTANT, form)
    if finite.is_in([0.0, 1.0]).all():
        return Guess(AttributeKind.BOOL, form)
    if (finite == finite.round()).all():
        if _numbers_samples(finite, values.name):
            return Guess(Useless.IDENTIFIER, form)
        if finite.n_unique() <= _FEW_CODES and len(finite) >= _MANY:
            return Guess(AttributeKind.CATEGORICAL, form)
    return Guess(AttributeKind.CONTINUOUS, form)


def _numbers_samples(whole: pl.Series, name: str) -> bool:
    """Whether whole numbers never repeat, and lie close together or have the name of an id."""
    if len(whole) < _MANY or whole.n_unique() < len(whole):
        return False
    span = float(whole.max()) - float(whole.min())  # type: ignore[arg-type]
    return span < 2 * len(whole) or _IDENTIFIER_NAME.search(name) is not None


def _of_words(values: pl.Series) -> Guess:
    words = values.str.strip_chars()
    distinct = words.unique(maintain_order=True)
    try:
        if _are_booleans(distinct):
            return Guess(AttributeKind.BOOL, Form.WORDS)
    except AmbiguousError:  # perhaps now `x` and now `X`
        return Guess(Useless.MARK, Form.WORDS)
    if len(distinct) == 1:
        return Guess(Useless.CONSTANT, Form.WORDS)
    if is_number(distinct):
        return _of_written_numbers(words)
    if is_list(distinct):
        cells = words_of(distinct.head(_SHOWN), None).list.drop_nulls().to_list()
        return Guess(AttributeKind.HIERARCHY if _are_paths(cells) else AttributeKind.TAGS, Form.JSON)
    return _of_short_years(distinct) or _delimited(words.head(_SHOWN)) or _of_single_words(words)


def _are_booleans(distinct: pl.Series) -> bool:
    if distinct.str.to_lowercase().n_unique() > _BOOLEAN_WORDS:
        return False
    truth = truth_of(distinct, Spelling())
    return truth.null_count() == 0 and truth.n_unique() == 2


def _of_written_numbers(words: pl.Series) -> Guess:
    if words.str.contains(r"^\d{1,4}[-./:]\d{1,2}[-./:]\d{1,4}").all():
        return Guess(AttributeKind.CONTINUOUS, Form.DATES)
    try:
        return _of_numbers(numbers_of(words, Spelling()), Form.NUMBERS)
    except AmbiguousError:  # which way is the right one has to be declared
        return Guess(AttributeKind.CONTINUOUS, Form.NUMBERS)


def _of_short_years(words: pl.Series) -> Guess | None:
    return Guess(Useless.SHORT_YEARS, Form.WORDS) if words.str.contains(_SHORT_YEARS).all() else None


def _delimited(words: pl.Series) -> Guess | None:
    """Return the kind that the cells have when they are split at the separator that splits the most, if any."""
    by_use = sorted(SEPARATORS, key=lambda separator: -words.str.count_matches(separator, literal=True).sum())
    for separator in by_use:
        if separator in _OF_NUMBERS and _are_quantities(words.filter(words.str.contains(separator, literal=True))):
            continue
        cells = words_of(words.str.strip_chars(f"{separator} "), separator).to_list()
        if sum(len(cell) > 1 for cell in cells) < max(2, 0.2 * len(cells)):
            continue
        if separator in _OF_PATHS and _are_paths(cells):
            return Guess(AttributeKind.HIERARCHY, Form.DELIMITED, separator)
        if _are_tags([[part for part in cell if part] for cell in cells], separator):
            return Guess(AttributeKind.TAGS, Form.DELIMITED, separator)
    return None


def _are_tags(cells: list[list[str]], separator: str) -> bool:
    """Whether the parts are words that other cells have, too."""
    parts = [part for cell in cells for part in cell]
    if not parts or (separator == " " and not all(part.startswith("#") for part in parts)):
        return False
    blanks = sum(part.count(" ") for part in parts) / len(parts)
    in_cells = Counter(part for cell in cells for part in set(cell))
    shared = sum(count for count in in_cells.values() if count > 1) / in_cells.total()
    return blanks < 2 and shared >= 0.5 and len(in_cells) > 1


def _are_paths(cells: list[list[str]]) -> bool:
    """Whether the parts are the nodes of a tree, root first: each at one depth, below one parent, several below one.

    A twentieth of the parts may break the rule: the same word ("other") can be a node of several branches.
    """
    paths = [cell for cell in cells if cell and all(cell)]
    if len(paths) < len(cells) or sum(len(path) > 1 for path in paths) < max(2, len(paths) // 2):
        return False
    depths: defaultdict[str, Counter[int]] = defaultdict(Counter)
    parents: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for path in paths:
        for depth, node in enumerate(path):
            depths[node][depth] += 1
        for parent, node in pairwise(path):
            parents[node][parent] += 1
    children = Counter(max(above, key=above.__getitem__) for above in parents.values())
    return (
        _in_one_place(depths) and _in_one_place(parents) and len(parents) > len(children) and max(children.values()) > 1
    )


def _in_one_place(places: defaultdict[str, Counter[int]] | defaultdict[str, Counter[str]]) -> bool:
    total = sum(counts.total() for counts in places.values())
    return sum(max(counts.values()) for counts in places.values()) >= 0.95 * total


def _are_quantities(words: pl.Series) -> bool:
    """Whether most texts are numbers with one of a few units or without, and no codes such as 12a."""
    units = words.filter(words.str.contains(_NOT_IN_CODES)).str.extract(_QUANTITY).drop_nulls()
    return len(units) > len(words) / 2 and units.n_unique() <= _FEW_UNITS


def _of_single_words(words: pl.Series) -> Guess:
    if words.n_unique() > _FEW_CODES and _are_quantities(words):
        return Guess(Useless.QUANTITY, Form.WORDS)
    repeated = float(words.is_duplicated().mean() or 0)  # type: ignore[arg-type]
    if repeated >= 0.5 or (repeated > 0 and len(words) < _MANY):
        return Guess(AttributeKind.CATEGORICAL, Form.WORDS)
    blanks = float(words.str.count_matches(" ", literal=True).mean() or 0)  # type: ignore[arg-type]
    return Guess(Useless.TEXT if blanks >= 3 else Useless.IDENTIFIER, Form.WORDS)
