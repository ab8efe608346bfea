"""What texts stand for: truth values, numbers, dates and lists of words, as people write them in tables.

Each reader takes a column of texts and returns a typed one, null where a text is none of its kind.
"""

import ast
import json
from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple, Self

import polars as pl
from pydantic import field_validator, model_validator

from weakcl_pipeline.config import Config

_PAIRS = (
    "true false, t f, yes no, y n, on off, 1 0, 1.0 0.0, wahr falsch, ja nein, j n, oui non, o n, vrai faux, si no,"
    " sí no, sì no, vero falso, verdadero falso, verdadeiro falso, sim não, ja nee, ja nej, ja nei, tak nie,"
    " ano ne, да нет"
)
_TRUTH = {word: truth for pair in _PAIRS.split(", ") for word, truth in zip(pair.split(), (True, False), strict=True)}
_SURE = [{*pair.split()} for pair in _PAIRS.split(", ") if pair != "o n"]
"""Pairs that make a column bool without being declared; o and n are as often east and north."""
_MARKS = ("x", "*", "+", "✓", "✔")

_BRACKETED = r"^\s*(?:\[[^\[\]]*\]|\{[^{}]*\})\s*$"

_SPACES = " \u00a0\u202f'\u2019_"
_THOUSANDS = {".": "," + _SPACES, ",": "." + _SPACES}
"""Decimal mark -> what may group the digits before it."""

_YEAR_FIRST, _YEAR_LAST = r"^\d{4}", r"^\d{1,2}\D\d{1,2}\D\d{4}"
_DAYS = {
    "%Y-%m-%d": _YEAR_FIRST,
    "%Y/%m/%d": _YEAR_FIRST,
    "%d.%m.%Y": _YEAR_LAST,
    "%d/%m/%Y": _YEAR_LAST,
    "%m/%d/%Y": _YEAR_LAST,
    "%d-%m-%Y": _YEAR_LAST,
}
"""How days are written -> what such texts begin with: years have four digits, or versions like 1.2.3 would be dates."""
_TIMES = ("", "T%H:%M:%S%.f%#z", "T%H:%M:%S%.f", " %H:%M:%S%.f", "T%H:%M", " %H:%M")
_DATES = {day + time: beginning for time in _TIMES for day, beginning in _DAYS.items()}
_MICROSECONDS_A_DAY = 86_400_000_000
_HEAD = 200
"""Texts that are tried before all are."""


class Spelling(Config):
    """How the texts of a column are to be read; columns that have a type already need none of it.

    Attributes:
        separator: Between the words of `tags`, or the levels of a `hierarchy` (root first), e.g. `,` or `/`. Without
            it, each cell must be a JSON list.
        true_values: Of `bool`, the texts that mean true, whatever their case; together with `false_values` they
            replace the known ones (yes/no, true/false, 1/0, ja/nein, oui/non, ...).
        false_values: Of `bool`, the texts that mean false. An empty text may be listed: then an empty cell is false
            and not missing.
        decimal: Of `continuous`, the decimal mark, `.` or `,`; by default the one under which all cells are numbers.
            Digits may be grouped by thousands.
        date_format: Of `continuous`, how dates are written, in the codes of `strftime`, e.g. `%d/%m/%Y`; by default
            found. Dates become days since 1970-01-01, with the time of day as a fraction.
        plain: Of `continuous`, `numbers` or `dates` where nothing but these is in the column, each cell as programs
            write it: 1234.5, or 2026-01-31, perhaps with the time of day; by default found.
    """

    separator: str | None = None
    true_values: tuple[str, ...] = ()
    false_values: tuple[str, ...] = ()
    decimal: str | None = None
    date_format: str | None = None
    plain: Literal["numbers", "dates"] | None = None

    @field_validator("separator", "date_format")
    @classmethod
    def _not_empty(cls, value: str | None) -> str | None:
        if value == "":
            raise ValueError("must not be empty")
        return value

    @field_validator("decimal")
    @classmethod
    def _mark(cls, value: str | None) -> str | None:
        if value not in (None, *_THOUSANDS):
            raise ValueError(f"must be '.' or ',', not {value!r}")
        return value

    @model_validator(mode="after")
    def _both_values(self) -> Self:
        true, false = (set(map(_folded, words)) for words in (self.true_values, self.false_values))
        if bool(true) != bool(false):
            raise ValueError("true_values and false_values: declare both, or none")
        if true & false:
            raise ValueError(f"true_values and false_values: both hold {min(true & false)!r}")
        return self

    @model_validator(mode="after")
    def _one_style(self) -> Self:
        if self.plain and (self.decimal or self.date_format):
            raise ValueError("plain: goes with neither `decimal` nor `date_format`; declare one of them")
        return self


class AmbiguousError(ValueError):
    """Texts that can be read in two ways; the message says how the way is declared."""


def truth_of(texts: pl.Series, spelling: Spelling) -> pl.Series:
    """Return the truth values, Boolean.

    Raises:
        AmbiguousError: Every text is the same, and only a mark like `x` whose absence may mean false or nothing.
    """
    words = texts.str.strip_chars().str.to_lowercase()
    if spelling.true_values:
        truth = {_folded(word): True for word in spelling.true_values}
        truth |= {_folded(word): False for word in spelling.false_values}
        return _looked_up(words, truth)
    marks = words.drop_nulls().unique()
    if len(marks) == 1 and marks[0] in _MARKS:
        raise AmbiguousError(
            f"every cell is {marks[0]!r} or missing, and missing may mean false or unknown. Declare"
            f" `true_values: ['{marks[0]}']`, and `false_values: ['']` for false or `false_values: ['no']` for"
            " unknown,"
        )
    return _looked_up(words, _TRUTH)


def is_truth(texts: pl.Series) -> bool:
    """Whether the texts are surely truth values: only true and false, or both values in well-known words."""
    words = texts.drop_nulls().str.strip_chars().str.to_lowercase()
    if words.head(_HEAD).n_unique() > 4:
        return False
    found = set(words.unique())
    if found <= {"true", "false"}:
        return bool(found)
    return found in _SURE


def numbers_of(texts: pl.Series, spelling: Spelling) -> pl.Series:
    """Return the numbers, or the days since 1970-01-01 of dates, Float64.

    Raises:
        AmbiguousError: All texts are numbers or dates in two ways, which differ.
    """
    words = texts.str.strip_chars()
    if spelling.date_format is not None:
        return _days(words, spelling.date_format)
    if spelling.plain == "dates":
        return pl.select(pl.coalesce(_dates(words, f"%Y-%m-%d{time}") for time in _TIMES)).to_series()
    words = _plain_minus(words)
    if spelling.decimal is not None:
        return _in_style(words, spelling.decimal)
    plain = words.cast(pl.Float64, strict=False)
    found = None if spelling.plain == "numbers" or _complete(words, plain) else _found(words)
    return plain if found is None else found.numbers


def style_of(texts: pl.Series) -> dict[str, str]:
    """Return the field of `Spelling` by which `numbers_of` reads other texts as it reads these, and its value.

    There is none where not all texts can be read.

    Raises:
        AmbiguousError: As for `numbers_of`.
    """
    words = _plain_minus(texts.str.strip_chars())
    if _complete(words, words.cast(pl.Float64, strict=False)):
        return {"plain": "numbers"}
    found = _found(words)
    return {} if found is None else {found.field: found.way}


def is_number(texts: pl.Series) -> bool:
    """Whether the texts are numbers or dates; codes with leading zeros are none."""
    words = texts.drop_nulls().str.strip_chars()
    if len(words) == 0 or words.str.contains(r"^[+-]?0\d+$").any():
        return False
    try:
        return _complete(words, numbers_of(words, Spelling()))
    except AmbiguousError:
        return True


def words_of(texts: pl.Series, separator: str | None) -> pl.Series:
    """Return lists of words, List(String); an element that is null in JSON is null.

    Args:
        texts: Words with separators between them, or JSON lists of words and whole numbers.
        separator: If there is none, the texts are JSON (or Python) lists. Otherwise a pair of brackets around all of a
            text is no part of its words, nor are double quotes inside, as in arrays of PostgreSQL.
    """
    if separator is not None:
        bracketed = texts.str.contains(_BRACKETED)
        if bracketed.any():
            inside = texts.str.strip_chars().str.slice(1).str.head(-1).str.replace_all('"', "", literal=True)
            texts = inside.zip_with(bracketed, texts)
        return texts.str.split(separator).list.eval(pl.element().str.strip_chars())
    known = texts.drop_nulls().unique()
    lists = pl.DataFrame({"text": known, "words": pl.Series(map(_listed, known), dtype=pl.List(pl.String))})
    return texts.to_frame("text").join(lists, on="text", how="left", maintain_order="left")["words"].alias(texts.name)


def is_list(texts: pl.Series) -> bool:
    """Whether the texts are JSON lists of words."""
    words = texts.drop_nulls().str.strip_chars()
    if len(words) == 0 or not (words.str.starts_with("[") & words.str.ends_with("]")).all():
        return False
    return words_of(words, None).null_count() == 0


def _folded(word: str) -> str:
    return word.strip().lower()


def _looked_up(words: pl.Series, meaning: dict[str, bool]) -> pl.Series:
    return words.replace_strict(meaning, default=None, return_dtype=pl.Boolean)


def _complete(texts: pl.Series, read: pl.Series) -> bool:
    return texts.null_count() == read.null_count()


class _Found(NamedTuple):
    """Numbers, and how they were written."""

    field: Literal["decimal", "date_format"]
    way: str
    numbers: pl.Series


def _found(words: pl.Series) -> _Found | None:
    """Return the texts as numbers, else as dates, in the only way in which all can be read; None if there is none."""
    return _the_one(words, "decimal", _THOUSANDS, _in_style) or _the_one(words, "date_format", _DATES, _dates)


def _the_one(
    texts: pl.Series,
    field: Literal["decimal", "date_format"],
    ways: Iterable[str],
    read: Callable[[pl.Series, str], pl.Series],
) -> _Found | None:
    head = texts.drop_nulls().head(_HEAD)
    found: _Found | None = None
    for way in ways:
        if not _complete(head, read(head, way)) or not _complete(texts, values := read(texts, way)):
            continue
        if found is None:
            found = _Found(field, way, values)
        elif (row := (found.numbers != values).fill_null(value=False).arg_true()).len():
            raise AmbiguousError(
                f"{texts[row[0]]!r} can be read in two ways, and so can all cells. Declare `{field}: '{found.way}'` or"
                f" `{field}: '{way}'`"
            )
    return found


def _plain_minus(words: pl.Series) -> pl.Series:
    return words.str.replace("\u2212", "-", literal=True)  # the minus sign of typesetting


def _in_style(words: pl.Series, decimal: str) -> pl.Series:
    groups = _THOUSANDS[decimal]
    mark = f"[{decimal}]"
    grouped = "|".join(rf"[1-9]\d{{0,2}}(?:[{group}]\d{{3}})+" for group in groups)
    pattern = rf"^[+-]?(?:(?:{grouped}|\d+)(?:{mark}\d*)?|{mark}\d+)(?:[eE][+-]?\d+)?$"
    plain = words.str.replace_all(f"[{groups}]", "").str.replace(decimal, ".", literal=True)
    numbers = plain.cast(pl.Float64, strict=False)
    return numbers.set(~words.str.contains(pattern).fill_null(value=False), None)


def as_days(times: pl.Series) -> pl.Series:
    """Return times as days since 1970, float64."""
    return times.dt.epoch("us").cast(pl.Float64) / _MICROSECONDS_A_DAY


def _dates(words: pl.Series, form: str) -> pl.Series:
    """Return the days of texts in one of the forms that are looked for."""
    return _days(words.set(~words.str.contains(_DATES[form]).fill_null(value=True), None), form)


def _days(words: pl.Series, form: str) -> pl.Series:
    if any(code in form for code in ("%H", "%I", "%T", "%R", "%s")):
        times = words.str.to_datetime(form, time_unit="us", strict=False, time_zone="UTC" if "z" in form else None)
        return as_days(times)
    return words.str.to_date(form, strict=False).dt.epoch("d").cast(pl.Float64)


def _listed(text: str) -> list[str | None] | None:
    """Return the words of a JSON list, or of a list as Python writes it; None if it is no list of words."""
    value: Any
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        try:
            value = ast.literal_eval(text.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            return None
    if not isinstance(value, list | tuple) or not all(_is_word(word) for word in value):
        return None
    try:
        words = [None if word is None else str(word) for word in value]
        "".join(filter(None, words)).encode()
    except ValueError:  # a number of thousands of digits, half a surrogate pair
        return None
    return words


def _is_word(value: Any) -> bool:
    return value is None or isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool))
