import sys

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from weakcl_pipeline.attributes import columns
from weakcl_pipeline.attributes.binarise import Indicator, binarise, count_indicators, fit_indicators, indicate
from weakcl_pipeline.attributes.casting import AttributeKind
from weakcl_pipeline.attributes.columns import columns_of
from weakcl_pipeline.attributes.schema import AttributeSpec
from weakcl_pipeline.errors import InputError


def binary_of(values, kind, train=None, dtype=None, **spec):
    column = pl.Series("c", values, dtype=dtype)
    train = pl.Series([True] * len(column) if train is None else train)
    spec = {"min_count": 1} | spec
    specs = {"c": AttributeSpec(kind=kind, **spec)}
    return binarise(column.to_frame(), specs, train).to_dict(as_series=False)


def test_a_bool_column_is_taken_as_it_is():
    assert binary_of([True, None, False], AttributeKind.BOOL) == {"c": [True, None, False]}


@pytest.mark.parametrize("few", [0, 16])
def test_one_indicator_per_category_be_they_few_or_many(few, monkeypatch):
    monkeypatch.setattr(sys.modules[Indicator.__module__], "_FEW", few)
    assert binary_of(["b", "a", None, "b"], AttributeKind.CATEGORICAL) == {
        "c=a": [False, True, None, False],
        "c=b": [True, False, None, True],
    }


def test_one_indicator_per_tag_and_no_tags_is_not_missing():
    assert binary_of([["x", "y"], [], None, ["y"]], AttributeKind.TAGS) == {
        "c=x": [True, False, None, False],
        "c=y": [True, False, None, True],
    }


def test_rare_and_excluded_indicators_are_left_out_and_only_train_counts():
    values = [["x", "y"], ["x"], ["x", "z"], ["y", "z"], ["z"]]
    train = [True, True, True, False, False]
    assert list(binary_of(values, AttributeKind.TAGS, train, min_count=2)) == ["c=x"]
    assert list(binary_of(values, AttributeKind.TAGS, train, min_count=1)) == ["c=x", "c=y", "c=z"]
    assert list(binary_of(values, AttributeKind.TAGS, min_count=2, exclude=("x",))) == ["c=y", "c=z"]
    assert binary_of(values, AttributeKind.TAGS, min_count=9) == {}


def test_one_indicator_per_node_of_a_hierarchy():
    paths = [["animal", "bird"], ["animal", "fish"], ["plant"], None, []]
    assert binary_of(paths, AttributeKind.HIERARCHY) == {
        "c>=animal": [True, True, False, None, False],
        "c>=animal/bird": [True, False, False, None, False],
        "c>=animal/fish": [False, True, False, None, False],
        "c>=plant": [False, False, True, None, False],
    }


def test_a_slash_in_a_node_cannot_be_taken_for_a_level():
    found = binary_of([["a/b"], ["a", "b"]], AttributeKind.HIERARCHY)
    assert found == {"c>=a": [False, True], "c>=a%2Fb": [True, False], "c>=a/b": [False, True]}
    found = binary_of([["a/b"], ["a%2Fb"]], AttributeKind.HIERARCHY)
    assert found == {"c>=a%252Fb": [False, True], "c>=a%2Fb": [True, False]}


def test_quantiles_of_the_train_split_make_thresholds():
    values = [1.0, 2.0, 3.0, 4.0, None, 100.0]
    train = [True, True, True, True, True, False]
    median = binary_of(values, AttributeKind.CONTINUOUS, train)
    assert median == {"c>2.0": [False, False, True, True, None, True]}
    found = binary_of(values, AttributeKind.CONTINUOUS, train, quantiles=(0.01, 0.5, 0.99), min_count=2)
    assert list(found) == ["c>1.0", "c>2.0"]  # one train sample alone is above 3


def test_a_column_without_any_value_yields_nothing():
    assert binary_of([None, None], AttributeKind.CONTINUOUS, dtype=pl.Float64) == {}
    assert binary_of([None, None], AttributeKind.TAGS, dtype=pl.List(pl.String)) == {}


def test_columns_keep_the_order_of_the_specifications():
    table = pl.DataFrame({"b": ["x", "y"], "a": [True, False]})
    specs = {
        "b": AttributeSpec(kind=AttributeKind.CATEGORICAL, min_count=1),
        "a": AttributeSpec(kind=AttributeKind.BOOL),
    }
    assert binarise(table, specs, pl.Series([True, True])).columns == ["b=x", "b=y", "a"]


@given(
    st.lists(
        st.tuples(st.none() | st.sets(st.sampled_from("uvwxyz")).map(sorted), st.booleans()), min_size=1, max_size=25
    ),
    st.integers(1, 4),
)
def test_tags_equal_a_loop_over_rows(rows, min_count):
    values, train = [words for words, _ in rows], [in_train for _, in_train in rows]
    expected = {}
    for word in "uvwxyz":
        if sum(in_train and word in (words or []) for words, in_train in rows) >= min_count:
            expected[f"c={word}"] = [None if words is None else word in words for words in values]
    found = binary_of(values, AttributeKind.TAGS, train, dtype=pl.List(pl.String), min_count=min_count)
    assert found == expected


def test_thousands_of_tags_take_no_dense_table():
    words = [[f"t{i * j % 4000}" for j in range(1, 6)] for i in range(8000)]
    tags = pl.Series("c", words).list.unique(maintain_order=True)
    binary = binarise(
        tags.to_frame(), {"c": AttributeSpec(kind=AttributeKind.TAGS, min_count=1)}, pl.Series([True] * 8000)
    )
    assert binary.width == 4000
    assert binary.select(pl.sum_horizontal(pl.all().sum())).item() == pytest.approx(tags.list.len().sum())


KINDS = {
    "flag": AttributeSpec(kind=AttributeKind.BOOL),
    "colour": AttributeSpec(kind=AttributeKind.CATEGORICAL, min_count=1),
    "tags": AttributeSpec(kind=AttributeKind.TAGS, min_count=1),
    "path": AttributeSpec(kind=AttributeKind.HIERARCHY, min_count=1),
    "age": AttributeSpec(kind=AttributeKind.CONTINUOUS, min_count=1, quantiles=(0.2, 0.8)),
}
words = st.lists(st.sampled_from("abc"), max_size=3)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "flag": st.none() | st.booleans(),
            "colour": st.none() | st.sampled_from("rgb"),
            "tags": st.none() | words.map(lambda found: sorted(set(found))),
            "path": st.none() | words,
            "age": st.none() | st.floats(-5, 5),
        }
    ),
    min_size=1,
    max_size=12,
)
TYPES = {
    "flag": pl.Boolean,
    "colour": pl.String,
    "tags": pl.List(pl.String),
    "path": pl.List(pl.String),
    "age": pl.Float64,
}


@given(ROWS, ROWS, st.randoms(use_true_random=False))
def test_an_answer_depends_on_its_row_alone_and_on_what_was_fitted(fitted_on, later, random):
    table, new = pl.DataFrame(fitted_on, schema=TYPES), pl.DataFrame(later, schema=TYPES)
    indicators = list(fit_indicators(table, KINDS, pl.repeat(True, table.height, eager=True)))
    random.shuffle(indicators)
    whole = indicate(pl.concat([new, table]), indicators)
    assert whole.columns == [indicator.name for indicator in indicators]
    assert whole[new.height :].equals(indicate(table, indicators))
    rows = [indicate(new[[row]], indicators) for row in range(new.height)]
    assert whole[: new.height].equals(pl.concat(rows))
    assert all(indicator == Indicator(*indicator) and isinstance(indicator.value, str) for indicator in indicators)


def test_a_value_that_nobody_had_is_no_and_a_missing_one_stays_missing():
    table = pl.DataFrame({"colour": ["r", "g"]})
    indicators = fit_indicators(table, {"colour": KINDS["colour"]}, pl.Series([True, True]))
    later = indicate(pl.DataFrame({"colour": ["violet", None, "r"]}), indicators)
    assert later.to_dict(as_series=False) == {"colour=g": [False, None, False], "colour=r": [False, None, True]}


def test_a_column_is_not_used_without_its_kind():
    with pytest.raises(ValueError, match="kind"):
        fit_indicators(pl.DataFrame({"colour": ["r"]}), {"colour": AttributeSpec()}, pl.Series([True]))


WORD = st.sampled_from(["a", "b", "a/b", "c"])
LISTS = st.lists(WORD, max_size=3, unique=True)


@given(
    rows=st.lists(
        st.tuples(
            st.booleans(),
            st.none() | st.booleans(),
            st.none() | WORD,
            st.none() | LISTS,
            st.none() | LISTS,
            st.none() | st.floats(0, 3),
        ),
        min_size=1,
        max_size=12,
    ),
    at_once=st.integers(1, 5),
)
def test_answers_and_counts_do_not_depend_on_how_many_rows_are_looked_at_at_once(rows, at_once):
    train, *cells = (list(values) for values in zip(*rows, strict=True))
    kinds = [kind for kind in AttributeKind if kind != AttributeKind.VECTOR]
    dtypes = [pl.Boolean, pl.String, pl.List(pl.String), pl.List(pl.String), pl.Float64]
    table = pl.DataFrame(
        [pl.Series(kind.value, values, dtype) for kind, values, dtype in zip(kinds, cells, dtypes, strict=True)]
    )
    specs = {kind.value: AttributeSpec(kind=kind, min_count=1) for kind in kinds}

    def found(attributes):
        counted = count_indicators(attributes, specs, pl.Series(train))
        return counted, indicate(attributes, [indicator for indicator, _, _ in counted])

    counted, binary = found(table)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "ROWS_AT_ONCE", at_once)
        counted_in_parts, binary_in_parts = found(columns_of(table.lazy()))
    assert counted_in_parts == counted
    assert_frame_equal(binary_in_parts, binary)
    seen = binary.filter(pl.Series(train))
    for (_, yes, known), answers in zip(counted, seen, strict=True):
        assert yes == answers.sum()
        assert known == answers.count()


def test_two_indicators_of_one_name_are_refused():
    table = pl.DataFrame({"a": ["b=c"] * 3, "a=b": ["c"] * 3})
    specs = {name: AttributeSpec(kind=AttributeKind.CATEGORICAL, min_count=1) for name in table.columns}
    with pytest.raises(InputError, match="'a' and 'a=b' both have a binary attribute called 'a=b=c'"):
        binarise(table, specs, pl.Series([True] * 3))
