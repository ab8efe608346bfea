import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_series_equal

from weakcl_pipeline.attributes import coded
from weakcl_pipeline.attributes.coded import Coded, places_of

TEXTS = st.lists(st.sampled_from(["a", "b", "c", "", None]), max_size=40)


def cut(column, size):
    return [column.slice(start, size) for start in range(0, max(1, len(column)), size)]


@given(TEXTS, st.integers(1, 9))
def test_texts_come_back_whatever_parts_they_come_in(texts, size):
    column = pl.Series("x", texts, dtype=pl.String)
    parts = cut(column, size)
    found = Coded.of(iter(parts), "x")
    if any(part.drop_nulls().n_unique() > len(part) / 2 for part in parts):
        assert found is None
        return
    assert_series_equal(found.column(), column)
    assert found.name == "x"
    assert found.missing == column.null_count()
    assert found.values.to_list() == column.drop_nulls().unique(maintain_order=True).to_list()


@given(TEXTS, st.data())
def test_rows_are_picked_and_counted_as_in_the_column_itself(texts, data):
    column = pl.Series("x", texts * 3, dtype=pl.String)
    labels = pl.Series(
        data.draw(st.lists(st.integers(0, 3), min_size=len(column), max_size=len(column))), dtype=pl.Int32
    )
    rows = pl.Series(data.draw(st.lists(st.booleans(), min_size=len(column), max_size=len(column))), dtype=pl.Boolean)
    values = column.drop_nulls().unique(maintain_order=True)
    known = values.to_list()
    places = pl.Series([None if text is None else known.index(text) for text in column], dtype=pl.Int32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(coded, "_MOST_BINS", data.draw(st.sampled_from([0, 1 << 24])))
        patch.setattr(coded, "_COUNTED_AT_ONCE", data.draw(st.integers(1, 50)))
        for cells in (Coded(column), Coded(values, places)):
            assert_series_equal(cells.filter(rows).column(), column.filter(rows))
            counted = cells.filter(rows).count_with(labels.filter(rows))
            pairs = counted.group_by("value", "label").agg(pl.sum("len"))
            expected = pl.DataFrame({"value": column, "label": labels}).filter(rows).group_by("value", "label").len()
            assert set(pairs.rows()) == set(expected.rows())


@given(st.lists(st.sampled_from([["a"], ["a", "b"], [], [None], ["b", None], None]), max_size=40), st.integers(1, 9))
def test_lists_come_back_whatever_parts_they_come_in(lists, size):
    column = pl.Series("x", lists, dtype=pl.List(pl.String))
    found = Coded.of(iter(cut(column, size)), "x")
    if found is not None:
        assert_series_equal(found.column(), column)
        assert found.values.n_unique() == len(found.values)


def test_numbers_are_not_coded():
    assert Coded.of(iter([pl.Series([1, 1, 1, 1])]), "x") is None


def test_a_value_that_means_nothing_is_missing_wherever_it_occurs():
    cells = Coded(pl.Series("x", ["a", None]), pl.Series([0, 1, 1, None], dtype=pl.Int32))
    assert cells.missing == 3
    assert cells.column().to_list() == ["a", None, None, None]


def test_texts_are_numbered_in_the_order_in_which_they_occur():
    assert places_of(pl.Series("x", ["u", None, "t", "u"])).to_list() == [0, None, 1, 0]


def test_more_pairs_than_32_bits_hold_are_counted():
    numbers = pl.int_range(50_000, dtype=pl.Int32, eager=True)
    counted = Coded(numbers.cast(pl.String), numbers).count_with(numbers).sort("label")
    assert counted["label"].to_list() == counted["value"].cast(pl.Int64).to_list() == numbers.to_list()
    assert (counted["len"] == 1).all()
