import math
from collections import Counter

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weakcl_pipeline.sources import SplitConfig
from weakcl_pipeline.sources.splits import SPLITS, make_splits

SHARES = st.sampled_from([(0.7, 0.15, 0.15), (0.5, 0.5, 0.0), (0.8, 0.0, 0.2), (1.0, 0.0, 0.0), (0.34, 0.33, 0.33)])
ROWS = st.lists(
    st.tuples(st.text(min_size=1, max_size=5), st.sampled_from([None, "g0", "g1", "g2", "g3"]), st.sampled_from("ab")),
    unique_by=lambda row: row[0],
    max_size=40,
)


def config(shares=(0.7, 0.15, 0.15), **fields):
    return SplitConfig(**dict(zip(SPLITS, shares, strict=True)), **fields)


def split(rows, how):
    columns = [pl.Series(column, dtype=pl.String) for column in zip(*rows, strict=True)] or [
        pl.Series(dtype=pl.String)
    ] * 3
    ids, groups, strata = columns
    return dict(zip(ids, make_splits(ids, groups, strata if how.stratify else None, how), strict=True))


def numbered(count, group=None, stratum="a"):
    return [(f"s{i}", group, stratum) for i in range(count)]


@given(rows=ROWS, more=ROWS, shares=SHARES, seed=st.integers(0, 5), data=st.data())
def test_a_split_depends_on_no_other_row(rows, more, shares, seed, data):
    how = config(shares, seed=seed)
    before = split(rows, how)
    known = {row[0] for row in rows}
    mixed = data.draw(st.permutations(rows + [row for row in more if row[0] not in known]))
    after = split(mixed, how)
    assert {name: after[name] for name in before} == before


@given(rows=ROWS, more=ROWS, shares=SHARES, seed=st.integers(0, 5))
def test_a_stratified_split_stays_when_rows_are_appended(rows, more, shares, seed):
    how = config(shares, seed=seed, stratify="label")
    before = split(rows, how)
    known = {row[0] for row in rows}
    after = split(rows + [row for row in more if row[0] not in known], how)
    assert {name: after[name] for name in before} == before


@given(rows=ROWS, shares=SHARES, stratify=st.sampled_from([None, "label"]))
def test_groups_are_whole(rows, shares, stratify):
    made = split(rows, config(shares, stratify=stratify))
    for group in ("g0", "g1", "g2", "g3"):
        assert len({made[name] for name, of, _ in rows if of == group}) <= 1


@pytest.mark.parametrize("seed", range(5))
def test_shares_are_as_by_chance(seed):
    counts = Counter(split(numbered(20_000), config((0.6, 0.3, 0.1), seed=seed)).values())
    for name, share in zip(SPLITS, (0.6, 0.3, 0.1), strict=True):
        assert abs(counts[name] - 20_000 * share) < 4 * math.sqrt(20_000 * share * (1 - share))


def test_seeds_split_independently():
    one, other = (split(numbered(20_000), config((0.5, 0.5, 0.0), seed=seed)) for seed in (0, 1))
    agree = sum(one[name] == other[name] for name in one)
    assert abs(agree - 10_000) < 4 * math.sqrt(5000)


@given(counts=st.lists(st.integers(1, 300), min_size=1, max_size=6), seed=st.integers(0, 50))
def test_strata_keep_the_shares_at_any_length(counts, seed):
    rows = [(f"{stratum} {i}", None, f"{stratum}") for stratum, count in enumerate(counts) for i in range(count)]
    made = split(rows, config((0.6, 0.2, 0.2), seed=seed, stratify="label"))
    for stratum, count in enumerate(counts):
        found = Counter(made[name] for name, _, of in rows if of == f"{stratum}")
        for name, share in zip(SPLITS, (0.6, 0.2, 0.2), strict=True):
            assert abs(found[name] - count * share) < 4  # chance alone: 4 standard deviations are 33 of 300


def test_a_missing_stratum_is_one_of_its_own():
    made = split([(f"s{i}", None, None) for i in range(100)], config(stratify="label"))
    assert 66 <= Counter(made.values())["train"] <= 74


def test_an_id_and_a_group_of_the_same_name_are_two_things():
    rows = [(f"{i}", None, "a") for i in range(200)] + [(f"x{i}", f"{i}", "a") for i in range(200)]
    made = split(rows, config((0.5, 0.5, 0.0)))
    assert 60 < sum(made[f"{i}"] == made[f"x{i}"] for i in range(200)) < 140


def test_the_split_of_a_name_is_the_same_for_ever():
    assert list(split(numbered(12), config()).values()) == [
        "train",
        "train",
        "train",
        "train",
        "val",
        "train",
        "train",
        "train",
        "train",
        "train",
        "train",
        "val",
    ]


def test_a_share_of_zero_gets_nothing():
    assert set(split(numbered(5000), config((0.9, 0.1, 0.0))).values()) == {"train", "val"}
    assert set(split(numbered(5000), config((1.0, 0.0, 0.0))).values()) == {"train"}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"train": 0.9}, "must add up to 1, not 1.2"),
        ({"train": 0.0, "val": 0.5, "test": 0.5}, "train"),
        ({"train": 1.1, "val": -0.1, "test": 0.0}, "train"),
        ({"stratfy": "label"}, "stratfy"),
    ],
)
def test_wrong_shares_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        SplitConfig.model_validate(fields)
