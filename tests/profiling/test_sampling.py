"""A look at a table of any size."""

import polars as pl
import pytest

from weakcl_pipeline.errors import InputError
from weakcl_pipeline.profiling import guess_kind
from weakcl_pipeline.profiling.sampling import random_rows, sample_table


def table(rows):
    return pl.DataFrame(
        {
            "number": range(rows),
            "text": [("a", "b", " ", "n/a", "NULL")[row % 5] for row in range(rows)],
            "weight": [float("nan") if row % 4 == 0 else row / 2 for row in range(rows)],
            "tags": [["a"]] * rows,
            "picture": [b"x"] * rows,
        }
    )


def test_a_small_table_is_its_own_sample():
    sample = sample_table(table(100).lazy())
    assert sample.is_whole
    assert sample.frame.columns == ["number", "text", "weight", "tags"]
    assert sample.binary == ("picture",)
    assert sample.distinct == {"number": 100, "text": 2, "weight": 75}
    assert sample.missing == {"number": 0, "text": 0.6, "weight": 0.25, "tags": 0, "picture": 0}


def test_of_a_large_table_figures_are_of_all_and_rows_from_everywhere():
    sample = sample_table(table(50_000).lazy(), rows=1000)
    assert (sample.rows, sample.is_whole) == (50_000, False)
    assert sample.missing["text"] == 0.6
    assert sample.distinct["number"] == pytest.approx(50_000, rel=0.2)
    assert 900 < sample.frame.height <= 1000
    assert sample.frame["number"].is_sorted()
    assert sample.frame["number"].mean() == pytest.approx(25_000, rel=0.1)
    again = sample_table(table(50_000).lazy(), rows=1000)
    assert again.frame.equals(sample.frame)


@pytest.mark.parametrize("dtype", [pl.Categorical, pl.Enum(["yes", "no", " NA", ""])])
def test_texts_are_the_same_however_they_are_stored(dtype):
    texts = pl.DataFrame({"a": ["yes", "no", " NA", "", None, "yes"]})
    sample = sample_table(texts.with_columns(pl.col("a").cast(dtype)).lazy())
    assert sample.frame.equals(pl.DataFrame({"a": ["yes", "no", None, None, None, "yes"]}))
    assert (sample.missing, sample.distinct) == ({"a": 0.5}, {"a": 2})
    assert guess_kind(sample.frame["a"]) == guess_kind(sample_table(texts.lazy()).frame["a"])


def test_a_table_without_single_words_has_none_to_count():
    sample = sample_table(pl.LazyFrame({"tags": [["a"], None], "picture": [b"1", b"2"]}))
    assert sample.distinct == {}
    assert sample.missing == {"tags": 0.5, "picture": 0.0}


def test_what_is_one_word_is_counted_once():
    table = pl.DataFrame({"a": ["owl", "owl ", None], "b": ["3", "3.0", "4"], "c": [3.0, float("nan"), 4.0]})
    assert sample_table(table.lazy()).distinct == {"a": 1, "b": 2, "c": 2}


def test_columns_may_have_any_name():
    renamed = table(1000).rename({"number": "row number", "text": "", "weight": "rows"})
    for rows in (100, 1000):
        sample = sample_table(renamed.lazy(), rows=rows)
        assert list(sample.distinct) == ["row number", "", "rows"]
        assert sample.frame.columns == ["row number", "", "rows", "tags"]


def test_never_more_rows_than_asked_for():
    for rows in (1, 10, 99, 100, 1000):
        assert random_rows(table(100).lazy(), 100, rows).height <= rows


@pytest.mark.parametrize("empty", [table(3).clear(), pl.DataFrame()])
def test_an_empty_table_is_refused(empty):
    with pytest.raises(InputError, match=r"the table is empty \((0 rows|no columns)\)"):
        sample_table(empty.lazy())
