import datetime
import json
import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weakcl_pipeline.attributes.casting import AttributeKind, cast_column, infer_kind
from weakcl_pipeline.attributes.spelling import Spelling
from weakcl_pipeline.errors import InputError

WORDS = st.text("abcäß,; '\"\\", min_size=1, max_size=6).map(str.strip).filter(bool)


def texts(*values):
    return pl.Series("c", values, dtype=pl.String)


def cast(kind, *values, **spelling):
    return cast_column(texts(*values), AttributeKind(kind), Spelling(**spelling)).to_list()


def refused(kind, *values, **spelling):
    with pytest.raises(InputError) as error:
        cast(kind, *values, **spelling)
    assert "'c'" in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    "pair",
    [
        "yes no",
        "Y N",
        "TRUE False",
        "t f",
        "1 0",
        "1.0 0.0",
        "on off",
        "Ja NEIN",
        "wahr falsch",
        "oui non",
        "vrai faux",
        "sí no",
        "vero falso",
        "да нет",
    ],
)
def test_truth_in_many_spellings(pair):
    true, false = pair.split()
    assert cast("bool", true, None, f" {false} ") == [True, None, False]
    assert infer_kind(texts(true, None, false)) == "bool"


def test_declared_truth_values_replace_the_known_ones_and_an_empty_cell_may_be_one():
    assert cast("bool", "X", "", None, true_values=("x",), false_values=("",)) == [True, False, None]
    assert "expected x/- (bool), found 'yes'" in refused("bool", "x", "yes", true_values=("x",), false_values=("-",))


def test_truth_that_is_no_truth_is_refused_with_its_row():
    message = refused("bool", "yes", None, "perhaps")
    assert "row 2 (counted from 0): expected true/false, yes/no or 0/1 (bool), found 'perhaps'" in message
    assert "declare `true_values` and `false_values`" in message


def test_a_mark_alone_is_refused_since_its_absence_may_mean_two_things():
    message = refused("bool", "x", None, "x")
    assert "every cell is 'x' or missing, and missing may mean false or unknown" in message
    assert "`true_values: ['x']`, and `false_values: ['']` for false" in message


@pytest.mark.parametrize("values", [("yes",), ("o", "n"), ("a", "true"), ("1", "1"), ("yes", "no", "perhaps"), ("",)])
def test_bool_is_inferred_only_where_it_is_sure(values):
    assert infer_kind(texts(*values)) != "bool"


@pytest.mark.parametrize(
    ("values", "numbers"),
    [
        (("1.5", None, " 2 "), [1.5, None, 2.0]),
        (("1,5", "2"), [1.5, 2.0]),
        (("1,234.5", "2"), [1234.5, 2.0]),
        (("1.234,5", "1.234.567"), [1234.5, 1234567.0]),
        (("1 234", "2"), [1234.0, 2.0]),
        (("1\u00a0234,5", "2"), [1234.5, 2.0]),
        (("1'234.5", "2"), [1234.5, 2.0]),
        (("\u22123", "+4", "1e3", ".5"), [-3.0, 4.0, 1000.0, 0.5]),
        (("1.234", "2.345"), [1.234, 2.345]),
        (("nan", "2"), [None, 2.0]),
    ],
)
def test_numbers_as_people_write_them(values, numbers):
    assert cast("continuous", *values) == numbers


def test_a_declared_decimal_mark_decides():
    assert cast("continuous", "1,234", decimal=".") == [1234.0]
    assert cast("continuous", "1,234", decimal=",") == [1.234]
    assert cast("continuous", "1.234", decimal=",") == [1234.0]
    assert "row 1 (counted from 0): expected a number" in refused("continuous", "1,5", "1.5", decimal=",")


def test_numbers_that_can_be_read_in_two_ways_are_refused():
    message = refused("continuous", "2", "1,234")
    assert "'1,234' can be read in two ways, and so can all cells" in message
    assert "Declare `decimal: '.'` or `decimal: ','` under ingestion.attributes.c" in message


def test_what_is_no_number_is_refused_with_its_row():
    message = refused("continuous", "1", "two", "3 m")
    assert "row 1 (counted from 0): expected a number (continuous), found 'two'" in message
    assert "declare `decimal` or `date_format`" in message


@pytest.mark.parametrize(
    "form",
    [
        "%Y-%m-%d",
        "%Y/%m/%d",
        "%d.%m.%Y",
        "%d/%m/%Y",
        "%m/%d/%Y",
        "%Y-%m-%dT%H:%M:%S",
        "%d.%m.%Y %H:%M",
        "%Y-%m-%d %H:%M",
    ],
)
def test_dates_are_days(form):
    moment = datetime.datetime(2026, 1, 31, 12 if "%H" in form else 0, tzinfo=datetime.UTC)
    days = moment.timestamp() / 86400
    assert cast("continuous", moment.strftime(form), None) == [days, None]
    assert cast("continuous", moment.strftime(form), date_format=form) == [days]
    assert infer_kind(texts(moment.strftime(form))) == "continuous"


def test_dates_keep_their_time_zone():
    assert cast("continuous", "2026-01-02T12:00:00+02:00", "2026-01-02T10:00:00Z") == pytest.approx(
        [20455 + 10 / 24] * 2
    )


def test_dates_that_can_be_read_in_two_ways_are_refused_unless_declared():
    message = refused("continuous", "01/02/2026", "03/04/2026")
    assert "Declare `date_format: '%d/%m/%Y'` or `date_format: '%m/%d/%Y'`" in message
    assert "'01/02/2026' can be read in two ways" in refused("continuous", *["05/05/2026"] * 300, "01/02/2026")
    assert cast("continuous", "01/02/2026", "13/02/2026") == [20485.0, 20497.0]
    assert cast("continuous", *["01/02/2026"] * 300, "13/02/2026") == [20485.0] * 300 + [20497.0]
    assert "expected a date as %Y-%m-%d" in refused("continuous", "2026-13-01", date_format="%Y-%m-%d")


def test_typed_dates_are_days_too():
    dates = pl.Series([datetime.date(1970, 1, 2), None])
    times = pl.Series([datetime.datetime(1970, 1, 2, 6), datetime.datetime(1969, 12, 31, 12)])
    assert [infer_kind(dates), infer_kind(times)] == ["continuous", "continuous"]
    assert cast_column(dates, AttributeKind.CONTINUOUS).to_list() == [1.0, None]
    assert cast_column(times, AttributeKind.CONTINUOUS).to_list() == [1.25, -0.5]


def test_numbers_are_read_by_a_declared_date_format_like_their_digits():
    numbers, spelling = pl.Series("c", [19700102, None]), Spelling(date_format="%Y%m%d")
    assert cast_column(numbers, AttributeKind.CONTINUOUS, spelling).to_list() == [1.0, None]
    with pytest.raises(InputError, match=r"'c', row 0 .* a date as %Y%m%d .* found 1970"):
        cast_column(pl.Series("c", [1970]), AttributeKind.CONTINUOUS, spelling)


@pytest.mark.parametrize(("values", "kind"), [(("1", "20"), "continuous"), (("1,5", "2"), "continuous")])
def test_numbers_are_inferred(values, kind):
    assert infer_kind(texts(*values)) == kind


@pytest.mark.parametrize("values", [("007", "2"), ("1", "b"), (None,), ("1 m",)])
def test_codes_and_words_are_no_numbers(values):
    assert infer_kind(texts(*values)) == "categorical"


def test_tags_are_separated_words():
    expected = [["a", "b"], [], None, []]
    assert cast("tags", " a; b;a;", ";", None, "", separator=";") == expected
    assert cast("tags", "a, b", None, separator=", ") == [["a", "b"], None]


def test_brackets_around_words_are_no_part_of_them():
    expected = [["a", "b c"], ["b"], [], None, ["a", "[b]"]]
    assert cast("tags", "{a,b c}", "{b}", "{}", None, "a, [b]", separator=",") == expected
    assert cast("tags", "[a, b c]", " [b] ", "[]", None, "a, [b]", separator=",") == expected
    assert cast("tags", '{a,"b c"}', "b", "", None, "a, [b]", separator=",") == expected
    assert cast("tags", '"a",b', "[a],[b]", separator=",") == [['"a"', "b"], ["[a]", "[b]"]]
    assert cast("hierarchy", "[land/forest]", "{sea}", separator="/") == [["land", "forest"], ["sea"]]


def test_tags_are_json_lists_or_lists_as_python_writes_them():
    assert cast("tags", '["a", "b"]', "[]", None, "['c', 'd']", "[1, null]") == [
        ["a", "b"],
        [],
        None,
        ["c", "d"],
        ["1"],
    ]
    assert infer_kind(texts('["a"]', None, "[]")) == "tags"


@pytest.mark.parametrize("cell", ['["a"', '[{"a": 1}]', "[1.5]", "[true]", '["a"] x', "[" * 5000])
def test_a_cell_that_is_no_list_of_words_is_refused(cell):
    message = refused("tags", '["a"]', cell)
    assert "row 1 (counted from 0): expected a JSON list of words (tags)" in message
    assert "declare `separator`" in message


def test_words_without_a_declared_separator_are_refused():
    assert "Declare its `separator`, convert the column, or change" in refused("tags", "a b")
    assert "Declare its `separator`" in refused("hierarchy", "a/b")


def test_hierarchies_are_paths():
    paths = cast("hierarchy", "a/b/c", "/a/ b/", "a", None, "", separator="/")
    assert paths == [["a", "b", "c"], ["a", "b"], ["a"], None, []]
    assert cast("hierarchy", "a > b", separator=">") == [["a", "b"]]
    assert cast("hierarchy", '["a", "b"]') == [["a", "b"]]
    assert "a path without gaps, root first (hierarchy), found 'a//b'" in refused("hierarchy", "a//b", separator="/")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"separator": ""}, "must not be empty"),
        ({"decimal": ";"}, r"must be '.' or ','"),
        ({"plain": "numbers", "decimal": "."}, "plain: goes with neither `decimal` nor `date_format`"),
        ({"true_values": ["x"]}, "declare both, or none"),
        ({"true_values": ["x"], "false_values": ["X "]}, "both hold 'x'"),
    ],
)
def test_wrong_fields_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        Spelling.model_validate(fields)


@given(st.lists(st.lists(WORDS, max_size=4) | st.none(), min_size=1, max_size=6))
def test_lists_written_as_json_are_read_as_they_were(lists):
    cells = [None if words is None else json.dumps(words) for words in lists]
    expected = [None if words is None else list(dict.fromkeys(words)) for words in lists]
    if any(cells):
        assert cast("tags", *cells) == expected


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1), st.sampled_from(".,"))
def test_numbers_written_with_either_mark_are_read_as_they_were(numbers, mark):
    cells = [repr(number).replace(".", mark) for number in numbers]
    read = cast("continuous", *cells, decimal=mark)
    assert all(math.isclose(one, other, rel_tol=1e-15) for one, other in zip(read, numbers, strict=True))


@pytest.mark.parametrize(
    "cells",
    [("1.2.3", "2.11.4"), ("31.12.99", "01.01.00"), ("31.12.1999", "01.01.00"), ("99-12-31",), ("12/31/99 10:00",)],
)
def test_years_have_four_digits_unless_another_format_is_declared(cells):
    assert infer_kind(texts(*cells)) == "categorical"
    assert repr(cells[0]) in refused("continuous", *cells)


def test_two_digit_years_are_read_by_a_declared_format():
    assert cast("continuous", "31.12.69", "02.01.70", date_format="%d.%m.%y") == [36524.0, 1.0]


@pytest.mark.parametrize("cell", ['["a\\ud83d"]', "[" + "0x" + "f" * 5000 + "]"])
def test_lists_of_what_is_no_text_are_refused(cell):
    assert infer_kind(texts(cell)) == "categorical"
    assert "a JSON list of words" in refused("tags", cell)
