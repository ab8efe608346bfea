import json
from collections import Counter
from itertools import pairwise
from math import log2
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weakcl_pipeline.attributes.granularity import expected_partner_share
from weakcl_pipeline.attributes.measures import (
    conditional_entropy,
    count_entropy,
    entropy,
    mutual_information,
    shuffled_mutual_information,
)

pairs = st.integers(1, 40).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(0, 4), min_size=n, max_size=n),
        st.lists(st.sampled_from("abc"), min_size=n, max_size=n),
    )
)


def slow_entropy(values):
    """By the definition, one value at a time."""
    return -sum(count / len(values) * log2(count / len(values)) for count in Counter(values).values())


def slow_mutual_information(a, b):
    """By the definition, over a dense table."""
    n = len(a)
    total = 0.0
    for x in set(a):
        for y in set(b):
            joint = sum(p == x and q == y for p, q in zip(a, b, strict=True)) / n
            if joint:
                total += joint * log2(joint / (a.count(x) / n * (b.count(y) / n)))
    return total


@given(pairs)
def test_measures_equal_their_definitions(pair):
    a, b = pair
    assert entropy(a) == pytest.approx(slow_entropy(a), abs=1e-12)
    assert entropy(a, b) == pytest.approx(slow_entropy(list(zip(a, b, strict=True))), abs=1e-12)
    assert mutual_information(a, b) == pytest.approx(slow_mutual_information(a, b), abs=1e-12)
    assert conditional_entropy(a, given=b) == pytest.approx(
        slow_entropy(list(zip(a, b, strict=True))) - slow_entropy(b), abs=1e-12
    )


@given(pairs)
def test_measures_keep_the_laws_of_information(pair):
    a, b = pair
    shared = mutual_information(a, b)
    assert 0 <= shared <= min(entropy(a), entropy(b)) + 1e-12
    assert shared == pytest.approx(mutual_information(b, a), abs=1e-12)
    assert conditional_entropy(a, given=b) + shared == pytest.approx(entropy(a), abs=1e-12)
    assert max(entropy(a), entropy(b)) - 1e-12 <= entropy(a, b) <= entropy(a) + entropy(b) + 1e-12
    assert mutual_information(a, a) == pytest.approx(entropy(a), abs=1e-12)


@given(pairs, st.randoms(use_true_random=False))
def test_order_of_samples_and_names_of_values_do_not_matter_to_the_last_bit(pair, random):
    a, b = pair
    order = list(range(len(a)))
    random.shuffle(order)
    renamed = np.array([17 - 5 * a[i] for i in order])
    reordered = pl.Series([b[i] * 3 for i in order])
    assert entropy(renamed, reordered) == entropy(a, b)


def test_a_coin_has_one_bit_and_a_constant_none():
    assert entropy([0, 1, 0, 1]) == 1.0
    assert entropy(["x"] * 5) == 0.0
    assert count_entropy([]) == count_entropy([0, 0]) == 0.0
    assert count_entropy([3, 0, 3, 3, 3]) == 2.0


def test_missing_values_and_different_lengths_are_refused():
    with pytest.raises(ValueError, match="missing"):
        entropy(pl.Series([1, None]))
    with pytest.raises(ValueError, match="at least one"):
        entropy()
    with pytest.raises(ValueError, match="2, 1 values"):
        entropy([1, 2], [1])


def test_shuffled_information_is_what_chance_gives():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 2000)
    fine = np.arange(2000) // 2  # 1000 clusters of two samples
    shuffled = shuffled_mutual_information(fine, label, shuffles=20, rng=np.random.default_rng(1))
    # Two independent fair labels per cluster: H(T|Z) = P(they differ) * 1 bit = 1/2.
    assert shuffled == pytest.approx(0.5, abs=0.02)
    again = shuffled_mutual_information(fine, label, shuffles=20, rng=np.random.default_rng(1))
    assert shuffled == again
    assert shuffled_mutual_information(label, label, shuffles=20, rng=rng) < 0.01
    with pytest.raises(ValueError, match="shuffles"):
        shuffled_mutual_information(fine, label, shuffles=0, rng=rng)


def test_a_million_samples_and_as_many_clusters_need_no_table():
    clusters = np.arange(1_000_000)
    label = clusters % 1000
    assert mutual_information(clusters, label) == pytest.approx(log2(1000), abs=1e-9)
    assert conditional_entropy(clusters, given=label) == pytest.approx(log2(1000), abs=1e-9)


# --- The figures published with the Cl-InfoNCE cluster tables ---


def load_tables(name):
    return json.loads((Path(__file__).parent / "data" / f"{name}.json").read_text(encoding="utf-8"))


def rebuild(tables, column):
    """The cluster and the class of every sample, up to their order and the names of the clusters."""
    sizes = np.array(tables["class_sizes"]).reshape(-1, 2)
    classes = np.repeat(sizes[:, 0], sizes[:, 1])
    if column == "class":
        return classes, classes
    if column == "instance_id":
        return np.arange(len(classes)), classes
    clusters, of_class, number = [], [], 0
    for repeats, *make_up in tables["clusters"][column]:
        for _ in range(repeats):
            for class_id, size in zip(make_up[::2], make_up[1::2], strict=True):
                clusters += [number] * size
                of_class += [class_id] * size
            number += 1
    assert sorted(of_class) == list(classes)
    return np.array(clusters), np.array(of_class)


TABLES = ("ut_zappos50k", "cub_200_2011", "wider_attribute")
PUBLISHED = [(name, column) for name in TABLES for column in load_tables(name)["published"]]


def test_every_row_of_all_published_tables_is_checked():
    assert Counter(name for name, _ in PUBLISHED) == {"ut_zappos50k": 14, "cub_200_2011": 16, "wider_attribute": 16}


@pytest.mark.parametrize(("name", "column"), PUBLISHED)
def test_published_figures(name, column):
    tables = load_tables(name)
    clusters, classes = rebuild(tables, column)
    measured = [
        conditional_entropy(clusters, given=classes),
        conditional_entropy(classes, given=clusters),
        mutual_information(clusters, classes),
        entropy(clusters),
    ]
    assert measured == pytest.approx(tables["published"][column], abs=1e-9)


@pytest.mark.parametrize("name", TABLES)
def test_finer_released_clusters_tell_more_and_leave_fewer_partners(name):
    tables = load_tables(name)
    rebuilt = [rebuild(tables, column) for column in tables["clusters"]]
    information = [mutual_information(clusters, classes) for clusters, classes in rebuilt]
    partners = [expected_partner_share(clusters, 128) for clusters, _ in rebuilt]
    assert all(coarse <= fine + 1e-12 for coarse, fine in pairwise(information))
    assert all(coarse >= fine - 1e-12 for coarse, fine in pairwise(partners))


@given(
    st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**64 - 1), st.booleans()), max_size=30),
    st.lists(st.integers(0, 29), min_size=1, max_size=60),
)
def test_integers_of_any_size_are_told_apart(rows, picks):
    rows = [rows[pick % len(rows)] for pick in picks] if rows else []
    columns = [
        pl.Series([row[place] for row in rows], dtype=dtype)
        for place, dtype in enumerate((pl.Int64, pl.UInt64, pl.Boolean))
    ]
    expected = slow_entropy(rows) if rows else 0
    assert entropy(*columns) == pytest.approx(expected, abs=1e-12)
    assert entropy(columns[0]) == pytest.approx(slow_entropy([row[0] for row in rows]) if rows else 0, abs=1e-12)


@pytest.mark.parametrize("dtype", [pl.Int8, pl.UInt8, pl.Int32, pl.Int64])
def test_the_ends_of_a_narrow_type_do_not_overflow(dtype):
    low, high = pl.select(dtype.min(), dtype.max().alias("high")).row(0)
    values = [low, high, high, 0, 1, 1]
    assert entropy(pl.Series(values, dtype=dtype), values) == pytest.approx(slow_entropy(values), abs=1e-12)


def test_integers_that_together_span_more_than_64_bits_are_told_apart():
    pairs = [0, 2**32, 0], [0, 0, 2**32 - 1]  # as one number, the second pair would be 2^64, which is 0 in 64 bits
    assert entropy(*pairs) == pytest.approx(log2(3))
    assert entropy(np.array([2**63, 2**63 + 1], dtype=np.uint64)) == 1.0
    assert entropy(np.array([-(2**63), -(2**63) + 1])) == 1.0
