import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_series_equal

from weakcl_pipeline.attributes.columns import columns_of

TABLE = pl.DataFrame({"a": range(6), "b": [["x"], None, [], ["y", "x"], ["z"], None]})


def test_a_table_in_memory_is_its_own_columns():
    assert columns_of(TABLE) is TABLE


def test_a_lazy_table_has_the_columns_of_the_table():
    lazy = columns_of(TABLE.lazy())
    assert lazy.columns == TABLE.columns
    assert lazy.height == TABLE.height
    assert_series_equal(lazy["b"], TABLE["b"])


@given(first=st.lists(st.booleans(), min_size=6, max_size=6), data=st.data())
def test_a_filtered_lazy_table_has_the_rows_of_the_filtered_table(first, data):
    lazy, eager = columns_of(TABLE.lazy()).filter(pl.Series(first)), TABLE.filter(pl.Series(first))
    second = pl.Series(data.draw(st.lists(st.booleans(), min_size=sum(first), max_size=sum(first))), dtype=pl.Boolean)
    for found, expected in ((lazy, eager), (lazy.filter(second), eager.filter(second))):
        assert found.height == expected.height
        for name in TABLE.columns:
            assert_series_equal(found[name], expected[name])
