from itertools import pairwise
from math import log2

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.attributes.rules.fitting import cluster, everyone, fit_binary
from weakcl_pipeline.attributes.rules import CLUSTER_RULES, TopEntropy, rank_by_entropy
from weakcl_pipeline.errors import InputError


@st.composite
def tables(draw, missing=True):
    rows, width = draw(st.integers(1, 25)), draw(st.integers(1, 6))
    cell = st.sampled_from([True, False, None] if missing else [True, False])
    columns = {f"a{i}": draw(st.lists(cell, min_size=rows, max_size=rows)) for i in range(width)}
    train = draw(st.lists(st.booleans(), min_size=rows, max_size=rows))
    return pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.Boolean)), np.array(train)


def slow_rank(binary, train):
    def score(name):
        cells = [value for value, in_train in zip(binary[name], train, strict=True) if in_train]
        known = [value for value in cells if value is not None]
        shares = [known.count(value) / len(known) for value in set(known)]
        return -sum(p * log2(p) for p in shares) * len(known) / max(1, len(cells))

    return sorted(binary.columns, key=lambda name: (-round(score(name), 9), name))


def slow_clusters(binary, train, k):
    """One combination at a time, in plain Python."""
    names = slow_rank(binary, train)[:k]
    combinations = [tuple(row) for row in binary.select(names).iter_rows()]
    known = {combination for combination in combinations if None not in combination}
    size = {
        combination: sum(c == combination and t for c, t in zip(combinations, train, strict=True))
        for combination in known
    }
    ordered = sorted(known, key=lambda combination: (-size[combination], combination))
    ids = {combination: number for number, combination in enumerate(ordered)}
    return [ids.get(combination, -1) for combination in combinations]


@given(tables())
def test_ranking_and_clusters_equal_the_slow_ones(table):
    binary, train = table
    assert [name for name, _ in rank_by_entropy(binary, train)] == slow_rank(binary, train)
    granularities = range(1, binary.width + 1)
    found = cluster(TopEntropy(), binary, train, granularities)
    assert {k: ids.tolist() for k, ids in found.items()} == {k: slow_clusters(binary, train, k) for k in granularities}


@given(tables())
def test_every_granularity_refines_the_coarser_one(table):
    binary, train = table
    found = cluster(TopEntropy(), binary, train, range(1, binary.width + 1))
    for coarse, fine in pairwise(found.values()):
        assert (fine[coarse == -1] == -1).all()
        both = fine >= 0
        assert len(set(zip(fine[both], coarse[both], strict=True))) == len(set(fine[both]))


@given(tables())
def test_ids_are_dense_and_ordered_by_size_on_train(table):
    binary, train = table
    for k, ids in cluster(TopEntropy(), binary, train, [1, binary.width]).items():
        assert set(ids[ids >= 0]) == set(range(ids.max(initial=-1) + 1))
        sizes = np.bincount(ids[train & (ids >= 0)], minlength=ids.max(initial=-1) + 1)
        assert (np.diff(sizes) <= 0).all()
        assert len(sizes) <= 2**k


@given(tables(), st.randoms(use_true_random=False))
def test_order_of_rows_and_columns_does_not_matter(table, random):
    binary, train = table
    rows, columns = list(range(binary.height)), list(binary.columns)
    random.shuffle(rows)
    random.shuffle(columns)
    ids = cluster(TopEntropy(), binary, train, [binary.width])[binary.width]
    shuffled = cluster(TopEntropy(), binary[rows].select(columns), train[rows], [binary.width])[binary.width]
    assert shuffled.tolist() == ids[rows].tolist()


@given(tables())
def test_samples_outside_train_change_no_cluster_of_train(table):
    binary, train = table
    ids = cluster(TopEntropy(), binary, train, [binary.width])[binary.width][train]
    alone = cluster(TopEntropy(), binary.filter(pl.Series(train)), train[train], [binary.width])[binary.width]
    assert alone.tolist() == ids.tolist()


def test_a_missing_cell_means_no_cluster_only_where_the_attribute_takes_part():
    binary = pl.DataFrame({"half": [True, True, False, False], "rare": [True, False, False, None]})
    found = cluster(TopEntropy(), binary, np.ones(4, dtype=bool), [1, 2])
    assert found[1].tolist() == [1, 1, 0, 0]
    assert found[2].tolist() == [2, 1, 0, -1]


def test_entropy_counts_only_for_the_share_that_is_observed():
    binary = pl.DataFrame({"seldom": [True, False] + [None] * 6, "skewed": [True, True] + [False] * 6})
    ranked = dict(rank_by_entropy(binary, np.ones(8, dtype=bool)))
    assert ranked["seldom"] == pytest.approx(2 / 8)
    assert ranked["skewed"] == pytest.approx(-(0.25 * log2(0.25) + 0.75 * log2(0.75)))
    assert list(ranked) == ["skewed", "seldom"]


def test_an_attribute_and_its_negation_tie_and_go_by_name():
    values = np.random.default_rng(0).random(997) < 0.137
    binary = pl.DataFrame({"b": values, "a": ~values})
    ranked = rank_by_entropy(binary, np.ones(997, dtype=bool))
    assert [name for name, _ in ranked] == ["a", "b"]
    assert ranked[0][1] == ranked[1][1]


def test_an_unseen_combination_gets_an_id_after_those_of_train():
    binary = pl.DataFrame({"x": [True, False, False, True], "y": [True, True, False, False]})
    train = np.array([True, True, False, False])
    assert cluster(TopEntropy(), binary, train, [2])[2].tolist() == [1, 0, 2, 3]


def test_more_attributes_than_fit_into_one_integer():
    rng = np.random.default_rng(1)
    binary = pl.DataFrame({f"a{i:03d}": rng.random(400) < 0.5 for i in range(150)})
    found = cluster(TopEntropy(), binary, np.ones(400, dtype=bool), [3, 40, 150])
    for k, ids in found.items():
        names = [name for name, _ in rank_by_entropy(binary, np.ones(400, dtype=bool))[:k]]
        assert ids.max() + 1 == binary.select(names).n_unique()
    assert found[3].max() + 1 == 8


def test_the_registry_lists_the_rule():
    assert CLUSTER_RULES["top_entropy"] is TopEntropy


@given(tables(), tables())
def test_rows_of_a_later_table_get_the_cluster_of_their_combination_or_none(table, later):
    binary, train = table
    new = later[0].select(
        later[0][name] if name in later[0].columns else pl.lit(None, dtype=pl.Boolean).alias(name)
        for name in binary.columns
    )
    fitted = fit_binary(TopEntropy(), binary, train, [1, binary.width])
    for k, ids in fitted.assign(pl.concat([new, binary])).items():
        names = slow_rank(binary, train)[:k]
        known = dict(zip(binary.select(names).iter_rows(), slow_clusters(binary, train, k), strict=True))
        assert ids.tolist() == [known.get(row, -1) for row in [*new.select(names).iter_rows()]] + [
            known[row] for row in binary.select(names).iter_rows()
        ]


def test_what_is_fitted_looks_at_no_more_columns_than_the_finest_granularity():
    binary = pl.DataFrame({f"a{i}": [True] * i + [False] * (9 - i) for i in range(1, 9)})
    fitted = fit_binary(TopEntropy(), binary, everyone(binary), [2, 3])
    names = [indicator.name for indicator in fitted.indicators]
    assert names == slow_rank(binary, everyone(binary))[:3]
    assert fitted.assign(binary.select(sorted(names))).keys() == {2, 3}


def test_more_attributes_than_there_are_is_refused_with_key_and_number():
    binary = pl.DataFrame({"x": [True, False]})
    with pytest.raises(InputError, match=r"clustering\.granularities: 9 .* only 1"):
        fit_binary(TopEntropy(), binary, everyone(binary), [1, 9])


def test_granularities_stay_in_order_whatever_order_tensors_come_in():
    generator = np.random.default_rng(0)
    binary = pl.DataFrame({f"a{i}": generator.random(60) < 0.5 for i in range(10)})
    fitted = fit_binary(TopEntropy(), binary, everyone(binary), [2, 10])
    tensors, metadata = fitted.to_state()
    again = TopEntropy.fitted.from_state(dict(sorted(tensors.items())), metadata)  # 10 before 2, as files have them
    assert list(again.assign(binary)) == [2, 10]
