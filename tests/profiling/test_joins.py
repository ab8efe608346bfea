from datetime import timedelta

import polars as pl
import pytest

from weakcl_pipeline.errors import InputError
from weakcl_pipeline.profiling import find_join

PHOTOS = pl.LazyFrame({"id": ["1", "2", "3"], "place": ["a", "b", "a"], "note": ["x", "y", "z"]})


def test_a_row_for_each_key_adds_columns():
    places = pl.LazyFrame({"place": ["a", "b", None, None], "height": [3, 4, 5, 6]})  # missing keys are none
    assert find_join(PHOTOS, places, "places") == {"by": "place"}


def test_several_rows_for_a_key_become_lists():
    words = pl.LazyFrame({"id": [1, 1, 3], "word": ["hat", "cat", "cat"]})
    assert find_join(PHOTOS, words, "words") == {"by": "id", "collect": ["word"]}


def test_the_key_is_the_column_that_agrees_most_and_what_both_have_is_not_taken_twice():
    other = pl.LazyFrame(
        {"note": ["x", "p", "q"], "id": ["1", "2", "9"], "place": ["k", "l", "m"], "owner": list("uvw")}
    )
    assert find_join(PHOTOS, other, "owners") == {"by": "id", "take": ["owner"]}


def test_keys_agree_however_a_program_has_written_them():
    other = pl.LazyFrame({"note": ["x", "p", "q"], "id": ["1.0", "2.0", " 3"], "owner": list("uvw")})
    assert find_join(PHOTOS, other, "owners") == {"by": "id", "take": ["owner"]}


@pytest.mark.parametrize("name", ["*", "^i.*$"])
def test_columns_of_which_the_name_is_a_pattern_are_not_taken(name):
    other = pl.LazyFrame({"id": ["1", "2"], "owner": ["u", "v"], name: ["p", "q"]})
    assert find_join(PHOTOS, other, "owners") == {"by": "id", "take": ["owner"]}
    assert find_join(PHOTOS.with_columns(pl.lit("p").alias(name)), other, "owners") == {"by": "id", "take": ["owner"]}


def test_lists_and_durations_are_no_key():
    both = pl.LazyFrame({"id": ["1", "2"], "tags": [["a"], []], "took": [timedelta(1), timedelta(2)]})
    other = both.with_columns(owner=pl.lit("u"))
    assert find_join(both, other, "owners") == {"by": "id", "take": ["owner"]}


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"key": [1], "owner": ["u"]}, r"--join owners: no column has the name .* here: key, owner; there: id, place"),
        ({"id": [1], "note": ["u"]}, r"--join owners: all its columns \(id, note\) are in the table"),
    ],
)
def test_what_cannot_be_joined_is_told(other, message):
    with pytest.raises(InputError, match=message):
        find_join(PHOTOS, pl.LazyFrame(other), "owners")
