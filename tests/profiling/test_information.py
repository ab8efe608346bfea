"""What attributes tell, and which columns are the levels of one hierarchy."""

from math import log2

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weakcl_pipeline.attributes import AttributeSpec, conditional_entropy, entropy
from weakcl_pipeline.attributes.leaks import find_leaks
from weakcl_pipeline.profiling.information import find_levels, measure


def measured(values, label, **spec):
    words = None if label is None else pl.Series("label", label, dtype=pl.String)
    return measure(pl.Series("a", values), AttributeSpec(**spec), words, tolerance=0.05, min_count=2)


def test_bits_of_categories_by_hand():
    found = measured(["x", "x", "y", "y", None, None], ["a", "b", "c", "c", "a", "a"], kind="categorical")
    assert found.entropy == 1
    assert found.remaining == pytest.approx(2 / 6)  # of x alone one bit is open
    assert (found.indicators, found.leaks) == (2, False)


def test_equal_measurements_tell_the_same_wherever_they_stand():
    generator = np.random.default_rng(0)
    values = [0.0] * 900 + generator.random(100).tolist()
    order = generator.permutation(1000)
    label = [f"class {row // 100}" for row in range(1000)]  # sorted by it, as tables often are
    column = [values[row] for row in order]
    found = measured(column, label, kind="continuous")
    exact = conditional_entropy(pl.Series(label), given=pl.Series(column))
    assert exact <= found.remaining <= log2(10)
    assert found.entropy <= entropy(pl.Series(column))
    again = measured([column[row] for row in order], [label[row] for row in order], kind="continuous")
    assert (again.entropy, again.remaining) == pytest.approx((found.entropy, found.remaining))


def test_a_missing_measurement_is_not_taken_for_the_lowest():
    values = [None if row % 2 else float(row) for row in range(320)]
    assert measured(values, ["a", "b"] * 160, kind="continuous").remaining == 0


def test_tags_are_told_by_the_best_words():
    tags = [["u", "v"], ["u"], ["v"], [], ["u", "rare"]] * 4
    found = measured(tags, ["one", "two", "one", "two", "one"] * 4, kind="tags")
    shares = [4 / 20, 4 / 20, 4 / 20, 4 / 20, 4 / 20]  # uv, u, v, none, u and rare
    assert found.entropy == pytest.approx(-sum(p * log2(p) for p in shares))
    assert found.remaining == 0  # all together do, and no word alone does
    assert (found.leaks, found.leaking_words) == (False, ())


@pytest.mark.parametrize(
    ("word", "label"), [("cats", "cat"), ("cat", "cats"), ("Foxes", "fox"), ("food", "food-drink")]
)
def test_tags_that_name_the_label_are_found_in_any_form(word, label):
    found = measured([[word, "x"], ["x"], ["y"]] * 3, [label, "other", label] * 3, kind="tags")
    assert found.leaking_words == (word,)


def test_tags_that_name_the_label_by_codes_are_found_until_none_is_left():
    label = [f"c{i % 6}" for i in range(120)]
    codes, synonyms = ({f"c{i}": f"{letter}{i}" for i in range(6)} for letter in "xy")
    tags = [[codes[c], synonyms[c] if i % 40 else "rare", f"n{i % 7}"] for i, c in enumerate(label)]
    found = measured(tags, label, kind="tags")
    assert {*codes.values()} <= set(found.leaking_words) <= {*codes.values(), *synonyms.values()}
    spec = AttributeSpec(kind="tags", exclude=found.leaking_words)
    assert find_leaks(pl.Series("a", tags), pl.DataFrame({"label": label}), spec, 0.05) == []


@pytest.mark.parametrize("tags", [[["cat"], ["dog"]], [[], ["rare"]]])
def test_tags_without_a_word_to_cluster_by_tell_nothing(tags):
    found = measured(tags + [[], []] * 9, ["cat", "dog"] * 10, kind="tags")
    assert (found.entropy, found.remaining, found.indicators) == (0.0, 1.0, 0)


def test_an_identifier_leaks():
    assert measured([str(row) for row in range(20)], ["a", "b"] * 10, kind="categorical").leaks


@settings(deadline=None, max_examples=30)
@given(st.randoms(use_true_random=True), st.integers(2, 4))
def test_levels_are_found_root_first_in_whatever_order_the_columns_are(drawn, depth):
    leaves = range(2**depth)
    rows = [*leaves, *drawn.choices(leaves, k=20 * len(leaves))]
    levels = {f"level{d}": [str(leaf >> (depth - d)) for leaf in rows] for d in range(1, depth + 1)}
    other = {"other": [drawn.choice("pqr") for _ in rows]}
    names = drawn.sample([*levels, "other"], depth + 1)
    table = {name: pl.Series((levels | other)[name]) for name in names}
    assert find_levels(table) == [tuple(levels)]


def test_a_gap_above_a_value_makes_no_levels():
    fine = {"above": pl.Series(["x", "y"] * 20), "below": pl.Series(["p", "q", "r", "s"] * 10)}
    assert find_levels(fine) == [("above", "below")]
    gap = fine | {"above": pl.Series(["x", "y", None, "y"] * 10)}
    assert find_levels(gap) == []
