import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from tests.attributes.rules.fitting import everyone, fit_binary
from tests.attributes.rules.test_top_entropy import tables
from weakcl_pipeline.attributes import AttributeKind, AttributeSpec, FittingData
from weakcl_pipeline.attributes.rules import Given, MergeSmall, TopEntropy, merge_small

NUMBER = AttributeSpec(kind=AttributeKind.CONTINUOUS)


def merge(clusters, numbers, min_size, train=None):
    """Merge given clusters by how near the means of a number are."""
    types = {"cluster": pl.String, "number": pl.Float64}
    columns = pl.DataFrame({"cluster": clusters, "number": numbers}, schema=types)
    name = AttributeSpec(kind=AttributeKind.CATEGORICAL, min_count=999)  # no indicator: it says nothing of likeness
    train = everyone(columns) if train is None else train
    data = FittingData(columns, {"cluster": name, "number": NUMBER}, train)
    return MergeSmall(of=Given(column="cluster"), min_size=min_size).fit(data, [1]).assign(columns)[1].tolist()


def test_a_small_cluster_joins_the_one_it_is_most_like():
    clusters = ["a"] * 4 + ["b"] * 4 + ["c"]
    assert merge(clusters, [0.0] * 4 + [9.0] * 4 + [8.0], 2) == [1] * 4 + [0] * 4 + [0]
    assert merge(clusters, [0.0] * 4 + [9.0] * 4 + [1.0], 2) == [0] * 4 + [1] * 4 + [0]


def test_small_ones_may_join_each_other_until_they_are_large_enough():
    clusters = ["a"] * 4 + ["b", "c", "d"]
    assert merge(clusters, [0.0] * 4 + [9.0, 9.1, 9.2], 3) == [0] * 4 + [1] * 3
    assert merge(clusters, [0.0] * 4 + [9.0, 9.1, 9.2], 5) == [0] * 7


def test_what_is_missing_is_left_out_and_a_cluster_with_nothing_in_common_stays():
    clusters = ["a"] * 4 + ["b"] * 4 + ["c", None]
    assert merge(clusters, [0.0, None, 0.0, None, 9.0, 9.0, None, None, 8.0, 8.0], 2) == [1] * 4 + [0] * 5 + [-1]
    assert merge(clusters, [0.0] * 4 + [9.0] * 4 + [None, None], 2) == [0] * 4 + [1] * 4 + [2, -1]


def test_a_cluster_without_a_train_sample_joins_another_and_decides_nothing():
    clusters = ["a"] * 4 + ["b"] * 4 + ["c"] * 6 + ["d"]
    numbers = [0.0] * 4 + [9.0] * 4 + [4.0] * 6 + [5.0]
    train = np.array([True] * 8 + [False] * 6 + [True])
    found = merge(clusters, numbers, 2, train)
    assert found[:8] == [1] * 4 + [0] * 4
    assert found[-1] == 0  # d is nearest to c, but c is no cluster of the train split
    assert set(found[8:14]) <= {0, 1}


def test_what_clusters_are_like_is_told_by_train_samples_alone():
    clusters, numbers = ["a"] * 4 + ["b"] * 4 + ["c"], [0.0] * 4 + [9.0] * 4 + [8.0]
    train = np.arange(13) < 9
    found = merge(clusters + ["a"] * 4, numbers + [16.0] * 4, 2, train)  # with the last four, a would be where c is
    assert found[:9] == merge(clusters, numbers, 2) == [1] * 4 + [0] * 5


@given(tables(), st.integers(2, 6))
def test_clusters_are_large_enough_and_unions_of_those_of_the_other_rule(table, min_size):
    binary, train = table
    ks = [1, binary.width]
    small = fit_binary(TopEntropy(), binary, train, ks).assign(binary)
    merged = fit_binary(MergeSmall(min_size=min_size), binary, train, ks).assign(binary)
    for k in ks:
        assert ((merged[k] >= 0) == (small[k] >= 0)).all()
        assert len(set(zip(small[k], merged[k], strict=True))) == len(set(small[k]))
        known = train & (merged[k] >= 0)
        sizes = np.bincount(merged[k][known])
        informative = binary.filter(pl.Series(train)).select(pl.all().n_unique() > 1).row(0)
        if len(sizes) > 1 and binary.null_count().sum_horizontal().item() == 0 and any(informative):
            assert sizes[sizes > 0].min() >= min_size


def merged_naively(ids, numbers, min_size):
    """The documented rule from the members themselves, anew at every step; sets of rows."""
    groups = [[row for row, cluster in enumerate(ids) if cluster == i] for i in range(max(ids) + 1)]
    groups, stays = dict(enumerate(groups)), set()
    while small := [i for i, rows in groups.items() if len(rows) < min_size and i not in stays]:
        smallest = min(small, key=lambda i: (len(groups[i]), -i))
        known = {i: [numbers[row] for row in rows if numbers[row] is not None] for i, rows in groups.items()}
        means = {i: sum(values) / len(values) for i, values in known.items() if values}
        others = [i for i in means if i != smallest]
        if smallest not in means or not others:
            stays.add(smallest)
            continue
        joined = min(others, key=lambda i: (abs(means[i] - means[smallest]), i))
        groups[joined] += groups.pop(smallest)
    return {frozenset(rows) for rows in groups.values()}


@given(
    st.lists(st.tuples(st.integers(0, 12), st.none() | st.sampled_from([2.0**i for i in range(12)])), min_size=2),
    st.integers(2, 6),
)
def test_agrees_with_merging_from_the_members_anew(rows, min_size):
    clusters, numbers = [f"{cluster:02d}" for cluster, _ in rows], [number for _, number in rows]
    if len({number for number in numbers if number is not None}) < 2:
        return  # then no distance is defined
    columns = pl.DataFrame({"cluster": clusters})
    word = AttributeSpec(kind=AttributeKind.CATEGORICAL)
    data = FittingData(columns, {"cluster": word}, everyone(columns))
    ids = Given(column="cluster").fit(data, [1]).assign(columns)[1].tolist()
    found = merge(clusters, numbers, min_size)
    groups = {frozenset(row for row, cluster in enumerate(found) if cluster == i) for i in set(found)}
    assert groups == merged_naively(ids, numbers, min_size)


def test_looks_for_a_partner_once_for_each_cluster_that_is_too_small(monkeypatch):
    searched = []
    unlikeness = merge_small._unlikeness

    def counted(means, *others):
        searched.append(len(means))
        return unlikeness(means, *others)

    monkeypatch.setattr(merge_small, "_unlikeness", counted)
    n = 60
    merge([f"{i:02d}" for i in range(n)], [float(i) ** 1.5 for i in range(n)], 4)
    assert len(searched) < n
    assert sum(searched) < n**2 / 2
