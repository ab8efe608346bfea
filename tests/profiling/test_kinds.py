"""Every list of values that is made as a kind is taken for that kind."""

import json
from datetime import datetime, time, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weakcl_pipeline.attributes.casting import AttributeKind
from weakcl_pipeline.profiling import Useless, guess_kind
from weakcl_pipeline.profiling.kinds import Form

BOOLEANS = [
    ("true", "false"), ("yes", "no"), ("y", "n"), ("1", "0"), ("on", "off"), ("ja", "nein"), ("wahr", "falsch"),
    ("oui", "non"), ("vrai", "faux"), ("sí", "no"), ("vero", "falso"), ("sim", "não"), ("да", "нет"),
]  # fmt: skip
DATES = ["%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"]
RANDOM = st.randoms(use_true_random=True)
WORDS = ["rouge", "Straße", "cat", "über", "owl", "kitchen", "sea", "rock", "day", "blue", "horse", "Ελλάς", "花"]


def guess(values, name="column"):
    """Guess from a column that also has missing cells."""
    return guess_kind(pl.Series(name, [None, *values[:1], None, *values[1:]]))


@settings(deadline=None, max_examples=50)
@given(RANDOM, st.sampled_from(BOOLEANS), st.sampled_from([str.lower, str.upper, str.title]))
def test_booleans(drawn, pair, spelling):
    values = [spelling(word) for word in [*pair, *drawn.choices(pair, k=20)]]
    assert guess(values).kind == AttributeKind.BOOL


@settings(deadline=None, max_examples=50)
@given(RANDOM, st.sampled_from(["|", ";", ",", "; ", " | ", "/", "\n"]))
def test_delimited_tags(drawn, separator):
    cells = [drawn.sample(WORDS, drawn.randint(1, 4)) for _ in range(60)]
    cells += [[a, b] for a in WORDS[:5] for b in WORDS[:5] if a != b]  # any order: they are no paths
    found = guess([separator.join(cell) for cell in cells])
    assert (found.kind, found.form, found.separator) == (AttributeKind.TAGS, Form.DELIMITED, separator.strip(" "))


@pytest.mark.parametrize("brackets", ["{}", "[]"])
def test_tags_in_brackets(brackets):
    left, right = brackets
    cells = ["cat, wild", "cat", "owl, tame", "", "tame, cat"] * 5
    found = guess([f"{left}{cell}{right}" for cell in cells])
    assert (found.kind, found.separator) == (AttributeKind.TAGS, ",")


def test_hashtags_need_nothing_but_blanks_between_them():
    found = guess(["#cat #cute", "#cat", "#dog #cute #wild", "#dog"] * 5)
    assert (found.kind, found.separator) == (AttributeKind.TAGS, " ")
    assert guess(["a cat", "a dog", "a cat", "the dog"] * 5).kind == AttributeKind.CATEGORICAL


@settings(deadline=None, max_examples=50)
@given(RANDOM)
def test_lists_of_words_written_as_json_and_typed(drawn):
    cells = [drawn.sample(WORDS, drawn.randint(0, 4)) for _ in range(60)]
    cells += [[a, b] for a in WORDS[:5] for b in WORDS[:5] if a != b]
    written = guess([json.dumps(cell, ensure_ascii=drawn.random() < 0.5) for cell in cells])
    assert (written.kind, written.form) == (AttributeKind.TAGS, Form.JSON)
    typed = guess(cells)
    assert (typed.kind, typed.form) == (AttributeKind.TAGS, Form.TYPED)


def random_paths(drawn):
    """Paths of random trees, root first; some end above the leaves."""
    tree = {
        root: {f"{root} {child}": [f"{root}{child}{leaf}" for leaf in range(drawn.randint(1, 3))] for child in "ab"}
        for root in drawn.sample(WORDS, drawn.randint(2, 5))
    }
    paths = [[root, child, leaf] for root, inner in tree.items() for child, leaves in inner.items() for leaf in leaves]
    return paths * 2 + [path[:2] for path in drawn.choices(paths, k=5)]


@settings(deadline=None, max_examples=50)
@given(RANDOM, st.sampled_from(["/", ">", " > ", "\\", "::", "|"]))
def test_hierarchies(drawn, separator):
    paths = random_paths(drawn)
    found = guess([separator.join(path) for path in paths])
    assert (found.kind, found.form, found.separator) == (
        AttributeKind.HIERARCHY,
        Form.DELIMITED,
        separator.strip(),
    )
    assert guess([f"{separator}{separator.join(path)}{separator}" for path in paths]).kind == AttributeKind.HIERARCHY
    assert guess(paths).kind == AttributeKind.HIERARCHY


@settings(deadline=None, max_examples=50)
@given(RANDOM, st.sampled_from(DATES))
def test_dates(drawn, form):
    days = [datetime(1990, 1, 1) + timedelta(days=drawn.randint(0, 15_000)) for _ in range(30)]
    found = guess([day.strftime(form) for day in days])
    assert (found.kind, found.form) == (AttributeKind.CONTINUOUS, Form.DATES)
    assert guess(days).form == Form.DATES


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(-1e6, 1e6).filter(lambda x: x != round(x)), min_size=2, unique=True))
def test_measurements(numbers):
    assert guess(numbers).kind == AttributeKind.CONTINUOUS
    assert guess([repr(number) for number in numbers]).kind == AttributeKind.CONTINUOUS


@pytest.mark.parametrize(
    "written",
    [
        "{},{}",
        "{},{} cm",
        "{}.{} kg",
        "{}/{}",
        "1/{}{} s",
        "f/{}.{}",
        "{},{}%",
        "{} €",
        "~{} m²",
        "1.{:03},{}",
        "{}.{}'",
    ],
)
def test_numbers_with_units_or_in_several_ways_are_neither_tags_nor_paths(written):
    numbers = [(row % 37, row % 10) for row in range(300)]
    plain = [repr(whole + 0.25) for whole, _ in numbers[::4]]
    found = guess([*(written.format(*number) for number in numbers), *plain])
    assert found.kind == Useless.QUANTITY
    few = [written.format(*number) for number in numbers[:5]] + ["3.25 l"]
    assert guess(few * 20).kind == AttributeKind.CATEGORICAL


@pytest.mark.parametrize("written", ["{}a", "p{}", "{}-{}", "room {}", "{} {}", "{}{}b"])
def test_codes_are_no_numbers_with_units(written):
    assert guess([written.format(row, row) for row in range(100)]).kind == Useless.IDENTIFIER


def test_numbers_among_words_are_tags():
    assert guess(["cat, 3", "dog, 3", "3,7,12", "7,12,9", "cat, 7"] * 5).kind == AttributeKind.TAGS


@settings(deadline=None, max_examples=50)
@given(RANDOM, st.integers(3, 12))
def test_codes_are_categories(drawn, count):
    codes = [*range(count), *drawn.choices(range(count), k=200)]
    assert guess(codes).kind == AttributeKind.CATEGORICAL
    assert guess([str(code) for code in codes]).kind == AttributeKind.CATEGORICAL


def test_few_rows_tell_no_codes_from_measurements():
    assert guess([3, 5, 9] * 3).kind == AttributeKind.CONTINUOUS
    assert guess([3, 5, 9] * 10).kind == AttributeKind.CATEGORICAL


def test_whole_numbers_that_never_repeat_are_measurements_where_they_lie_far_apart():
    apart = [97 * number for number in range(40)]
    assert guess(apart).kind == AttributeKind.CONTINUOUS
    assert guess(apart, name="picture_id").kind == Useless.IDENTIFIER
    assert guess(range(500, 540)).kind == Useless.IDENTIFIER


@settings(deadline=None, max_examples=50)
@given(RANDOM, st.integers(2, 13))
def test_categories(drawn, count):
    values = [*WORDS[:count], *drawn.choices(WORDS[:count], k=100)]
    assert guess(values).kind == AttributeKind.CATEGORICAL


@settings(deadline=None, max_examples=50)
@given(RANDOM, st.sampled_from(["row numbers", "codes", "uuids", "named numbers"]))
def test_identifiers(drawn, kind):
    values = {
        "row numbers": drawn.sample(range(100, 200), 100),
        "codes": [f"p{number:04}-{drawn.choice('xyz')}" for number in drawn.sample(range(10_000), 80)],
        "uuids": [f"{drawn.getrandbits(128):032x}"[:8] + "-4a" for _ in range(50)],
        "named numbers": drawn.sample(range(10**9), 50),
    }[kind]
    assert guess(values, name="Foto-Nr" if kind == "named numbers" else "x").kind == Useless.IDENTIFIER


@settings(deadline=None, max_examples=50)
@given(RANDOM)
def test_free_text(drawn):
    values = [
        f"a {drawn.choice(WORDS)} that I saw on day {number}, near the {drawn.choice(WORDS)}" for number in range(60)
    ]
    assert guess(values).kind == Useless.TEXT


@pytest.mark.parametrize("values", [["cat"] * 9, [3] * 9, [2.5, float("nan"), 2.5], [["a", "b"]] * 9, [True] * 3])
def test_constant(values):
    assert guess(values).kind == Useless.CONSTANT


@pytest.mark.parametrize(("marks", "kind"), [("x", "mark"), ("xX", "mark"), ("Xx", "mark"), ("x+", "categorical")])
def test_marks(marks, kind):
    assert guess([*marks] * 9).kind == kind


@pytest.mark.parametrize("dtype", [pl.Null, pl.String, pl.Float64, pl.List(pl.String), pl.Boolean])
def test_empty(dtype):
    assert guess_kind(pl.Series("x", [None] * 5, dtype=dtype)).kind == Useless.EMPTY
    assert guess_kind(pl.Series("x", [], dtype=dtype)).kind == Useless.EMPTY


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([b"a", b"b"], "bytes"),
        ([{"a": 1}, {"a": 2}], "nested"),
        ([[1.5], [2.5]], "nested"),
        ([timedelta(1), timedelta(2)], "duration"),
        ([[timedelta(1)], [timedelta(2)]], "nested"),
        ([time(12, 30), time(13, 15)], "duration"),
        (["01.02.21", "13.12.99"], "short years"),
        (["01/02/21 12:30", "13/12/99 13:45"] * 9, "short years"),
    ],
)
def test_what_is_no_attribute(values, kind):
    assert guess(values).kind == kind


@settings(deadline=None, max_examples=50)
@given(st.lists(st.one_of(st.none(), st.text(max_size=12)), max_size=40))
def test_any_text_is_something(values):
    assert guess_kind(pl.Series("x", values, dtype=pl.String)) is not None
