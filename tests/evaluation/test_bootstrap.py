import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from weakcl_pipeline.evaluation import bootstrap
from weakcl_pipeline.evaluation.accuracies import Estimate
from weakcl_pipeline.evaluation.bootstrap import (
    Interval,
    interval,
    p_value,
    resampled_means,
    resampled_weights,
    students_factor,
)


def test_against_scipy_where_every_sample_stands_alone():
    values = (np.random.default_rng(0).random((120, 1)) < 0.4).astype(float)
    found = resampled_means(values, np.arange(120), 20_000, np.random.default_rng(1))[:, 0]
    oracle = stats.bootstrap((values[:, 0],), np.mean, n_resamples=20_000, method="percentile", rng=2)
    mine = interval(values.mean(), found, 0.95)
    assert mine.value == values.mean()
    assert mine.low == pytest.approx(oracle.confidence_interval.low, abs=0.01)
    assert mine.high == pytest.approx(oracle.confidence_interval.high, abs=0.01)
    assert found.std() == pytest.approx(oracle.standard_error, rel=0.03)


def test_differences_against_scipys_paired_bootstrap():
    rng = np.random.default_rng(0)
    first = rng.random(150) < 0.6
    second = np.where(rng.random(150) < 0.8, first, rng.random(150) < 0.3)
    values = np.stack([first, second], axis=1).astype(float)
    found = resampled_means(values, np.arange(150), 20_000, np.random.default_rng(1))
    oracle = stats.bootstrap(
        (values[:, 0], values[:, 1]),
        lambda a, b, axis: a.mean(axis) - b.mean(axis),
        paired=True,
        vectorized=True,
        n_resamples=20_000,
        method="percentile",
        rng=2,
    )
    mine = interval(0, found[:, 0] - found[:, 1], 0.95)
    assert mine.low == pytest.approx(oracle.confidence_interval.low, abs=0.01)
    assert mine.high == pytest.approx(oracle.confidence_interval.high, abs=0.01)


def test_whole_groups_against_a_naive_loop():
    rng = np.random.default_rng(0)
    groups = np.sort(rng.integers(0, 12, 60))
    groups = np.unique(groups, return_inverse=True)[1]
    values = rng.random((60, 2))
    found = resampled_means(values, groups, 20_000, np.random.default_rng(1))
    members = [np.flatnonzero(groups == g) for g in range(groups.max() + 1)]
    naive = []
    for _ in range(20_000):
        rows = np.concatenate([members[g] for g in rng.integers(0, len(members), len(members))])
        naive.append(values[rows].mean(axis=0))
    np.testing.assert_allclose(found.mean(axis=0), np.mean(naive, axis=0), atol=2e-3)
    expected = np.std(naive, axis=0) * np.sqrt(len(members) / (len(members) - 1))
    np.testing.assert_allclose(found.std(axis=0), expected, rtol=0.04)


def test_groups_of_alike_samples_widen_the_interval():
    values = np.repeat(np.random.default_rng(0).random(40) < 0.5, 5).astype(float)[:, None]
    alone = resampled_means(values, np.arange(200), 5000, np.random.default_rng(1)).std()
    grouped = resampled_means(values, np.repeat(np.arange(40), 5), 5000, np.random.default_rng(1)).std()
    assert grouped == pytest.approx(alone * np.sqrt(5), rel=0.1)


def test_all_columns_see_the_same_resamples():
    values = np.random.default_rng(0).random((30, 1))
    found = resampled_means(np.hstack([values, values, 1 - values]), np.arange(30), 200, np.random.default_rng(1))
    np.testing.assert_array_equal(found[:, 0], found[:, 1])
    np.testing.assert_allclose(found[:, 0] + found[:, 2], 1)


def test_chunks_draw_the_same_as_one_piece(monkeypatch):
    values, groups = np.random.default_rng(0).random((30, 2)), np.arange(30)
    whole = resampled_means(values, groups, 500, np.random.default_rng(1))
    monkeypatch.setattr(bootstrap, "_CHUNK_COUNTS", 70)
    np.testing.assert_allclose(resampled_means(values, groups, 500, np.random.default_rng(1)), whole)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=30), st.integers(0, 100))
def test_intervals_of_accuracies_stay_between_none_and_all(outcomes, seed):
    values = np.array(outcomes, dtype=float)[:, None]
    groups = np.arange(len(values)) // 2
    found = resampled_means(values, groups, 100, np.random.default_rng(seed))[:, 0]
    value, low, high = Estimate(values.mean(), found, values.mean(axis=0), groups=groups[-1] + 1).interval(0.95)
    assert 0 <= low <= value + 1e-12
    assert value - 1e-12 <= high <= 1
    if groups[-1] == 0:
        assert (low, high) == (0, 1)


@pytest.mark.parametrize("count", [2, 3, 5, 10])
def test_weights_of_few_seeds_vary_as_means_of_so_many_do(count):
    """Means of S numbers have 1 / S of their variance; those of plain resamples (S - 1) / S of that."""
    rng = np.random.default_rng(0)
    weights = resampled_weights(count, 40_000, rng)
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    values = rng.normal(size=count)
    assert (weights @ values).var() == pytest.approx(values.var(ddof=1) / count, rel=0.05)


@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.parametrize("of_samples", [0.0, 1.0])
def test_intervals_of_few_seeds_hold_the_truth_as_often_as_they_say(count, of_samples):
    """A figure that is 0 in truth, of which seeds are all or half of what varies."""
    rng, held = np.random.default_rng(count), 0
    for _ in range(400):
        by_seed = rng.normal(size=count) + of_samples * rng.normal() * count**-0.5
        weights = resampled_weights(count, 500, rng)
        resampled = weights @ by_seed + of_samples * rng.normal(size=500) * count**-0.5
        found = Estimate(by_seed.mean(), resampled, by_seed, groups=10_000, least=-1e9).interval(0.95)
        held += found.low <= 0 <= found.high
    assert 0.9 < held / 400 < 0.99


def test_intervals_are_no_wider_where_seeds_are_nothing_beside_the_samples():
    rng = np.random.default_rng(0)
    resampled = rng.normal(size=2000)
    for of_seeds in ([0.1], [0.1, 0.1], [0.1, 0.11]):
        assert students_factor(np.array(of_seeds), resampled, 10**9, 0.95) == pytest.approx(1, abs=1e-6)
    of_seeds = np.array([-1.0, 1.0])
    for of_all in (of_seeds, 0.5 * of_seeds):  # by chance, seeds may seem to vary more than everything
        assert students_factor(of_seeds, of_all, 50, 0.95) == pytest.approx(12.7062 / 1.95996, rel=1e-4)
    # two degrees of freedom where three groups are all that varies, and four where seeds vary as much as they do
    assert students_factor(np.array([0.1]), resampled, 3, 0.95) == pytest.approx(4.30265 / 1.95996, rel=1e-4)
    of_seeds, alike = np.array([-1.0, 0.0, 1.0]), np.array([-1.0, 1.0]) * np.sqrt(2 / 3)
    assert students_factor(of_seeds, alike, 3, 0.95) == pytest.approx(2.77645 / 1.95996, rel=1e-4)


def test_a_share_of_a_gap_is_as_uncertain_as_few_seeds_make_it():
    resampled = 0.12 + 0.02 * np.random.default_rng(0).normal(size=2000)
    part = Estimate(0.12, resampled, np.array([0.10, 0.14]), groups=50)
    whole = Estimate(0.2, np.full(2000, 0.2), np.array([0.2, 0.2]), groups=50)
    factor = students_factor(part.by_seed, resampled, 50, 0.95)
    assert factor > 2
    assert part.over(whole, 0.95) == pytest.approx(interval(0.6, resampled / 0.2, 0.95).widened(factor))


def test_a_share_of_a_gap_that_is_the_same_by_every_seed_is_not_widened():
    common, own = np.random.default_rng(0).normal(size=(2, 2000)) * [[0.02], [0.005]]
    part = Estimate(0.12, 0.12 + 0.6 * common + own, np.array([0.108, 0.132]), groups=10**9)
    whole = Estimate(0.2, 0.2 + common, np.array([0.18, 0.22]), groups=10**9)
    found = interval(0.6, part.resampled / whole.resampled, 0.95)
    assert part.over(whole, 0.95) == pytest.approx(found, abs=1e-6)


@pytest.mark.parametrize("count", [2, 3, 5, 10])
def test_intervals_of_few_groups_hold_the_truth_as_often_as_they_say(count):
    """Groups of test samples that differ, and a truth of 0."""
    rng, held = np.random.default_rng(count), 0
    groups = np.repeat(np.arange(count), 4)
    for _ in range(400):
        values = (rng.normal(size=count)[groups] + rng.normal(size=len(groups)))[:, None]
        resampled = resampled_means(values, groups, 500, rng)[:, 0]
        found = Estimate(values.mean(), resampled, values.mean(axis=0), groups=count, least=-1e9)
        held += found.interval(0.95).low <= 0 <= found.interval(0.95).high
    assert 0.9 < held / 400 < 0.99


@pytest.mark.parametrize("confidence", [0.9, 0.999])
@pytest.mark.parametrize("value", [-0.3, 0.01, 2.0])
def test_an_interval_of_the_normal_distribution_tells_its_p_value(value, confidence):
    low, high = stats.norm.interval(confidence, value, 0.5)
    expected = 2 * stats.norm.sf(abs(value), scale=0.5)
    assert p_value(Interval(value, low, high), confidence) == pytest.approx(expected)
    toward_zero = Interval(value, low, 9.0) if value > 0 else Interval(value, -9.0, high)
    assert p_value(toward_zero, confidence) == pytest.approx(expected)  # the far side says nothing of 0


@pytest.mark.parametrize(("value", "low", "high", "expected"), [(0, 0, 0, 1), (0, -1, 1, 1), (0.1, 0.1, 0.1, 0)])
def test_p_values_of_intervals_that_are_points(value, low, high, expected):
    assert p_value(Interval(value, low, high), 0.95) == expected
