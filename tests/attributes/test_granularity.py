from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weakcl_pipeline.attributes.granularity import (
    bits_learned,
    cluster_sizes,
    expected_partner_share,
    most_telling,
    thin_out,
)
from weakcl_pipeline.contrastive.sampler import SamplerConfig, draw_batches, has_partner


def enumerated_share(clusters, batch_size):
    """Over every possible batch: how many of its members have another member of their cluster in it."""
    met = total = 0
    for batch in combinations(range(len(clusters)), min(batch_size, len(clusters))):
        for anchor in batch:
            total += 1
            met += clusters[anchor] >= 0 and any(
                clusters[other] == clusters[anchor] for other in batch if other != anchor
            )
    return met / total


@given(st.lists(st.integers(-1, 3), min_size=1, max_size=8), st.integers(1, 9))
def test_share_equals_an_enumeration_of_all_batches(clusters, batch_size):
    share = expected_partner_share(np.array(clusters), batch_size)
    assert share == pytest.approx(enumerated_share(clusters, batch_size), abs=1e-9)


def test_share_of_large_data_sets_is_finite_and_right():
    clusters = np.repeat(np.arange(500_000), 2)
    # One partner among N - 1, B - 1 draws.
    assert expected_partner_share(clusters, 256) == pytest.approx(255 / 999_999, rel=1e-5)


def test_singletons_and_unclustered_samples_never_have_a_partner():
    assert expected_partner_share(np.arange(50), 50) == 0
    assert expected_partner_share(np.full(50, -1), 50) == 0
    assert expected_partner_share(np.zeros(50, dtype=np.int64), 2) == 1


@given(st.lists(st.tuples(st.integers(-1, 3), st.booleans()), min_size=1, max_size=12))
def test_bits_are_the_mean_surprise_of_the_clusters_whose_members_met(drawn):
    clusters, met = (np.array(column) for column in zip(*drawn, strict=True))
    n = len(clusters)
    bits = [np.log2(n / (clusters == c).sum()) if m and c >= 0 else 0 for c, m in zip(clusters, met, strict=True)]
    assert bits_learned(clusters, met) == pytest.approx(sum(bits) / n)


def test_neither_one_cluster_for_all_nor_nobody_met_teaches_anything():
    everyone, nobody = np.ones(64, dtype=bool), np.zeros(64, dtype=bool)
    assert bits_learned(np.zeros(64, dtype=np.int64), everyone) == 0
    assert bits_learned(np.repeat(np.arange(8), 8), nobody) == 0
    assert bits_learned(np.repeat(np.arange(8), 8), everyone) == 3


def test_the_most_telling_granularity_is_taken_and_of_equals_the_coarsest():
    assert most_telling({5: 0.9, 30: 2.0, 100: 1.5}) == 30
    assert most_telling({50: 2.0, 30: 2.0, 100: 1.5}) == 30


@pytest.mark.parametrize(
    ("name", "size"),
    [("cluster_aware", size) for size in (1, 2, 8, 200, 5000)] + [("uniform", size) for size in (1, 2, 5000)],
)
def test_what_a_share_of_many_samples_learns_is_what_all_learn(name, size):
    clusters = np.random.default_rng(0).permutation(np.arange(200_000) // size).astype(np.int32)
    clusters[::5] = -1

    def bits(of, sizes=None):
        batches = draw_batches(of, 128, SamplerConfig(name=name, share=1.0), np.random.default_rng(1))
        return bits_learned(of, has_partner(batches, of), sizes)

    sizes = cluster_sizes(np.split(clusters, 4), 200_000 // size)
    assert sizes.tolist() == np.bincount(clusters + 1, minlength=200_000 // size + 1).tolist()
    drawn = thin_out(np.split(clusters, 4), sizes, 0.1, np.random.default_rng(2))
    assert len(drawn) == pytest.approx(20_000, rel=0.1)
    assert bits(drawn, sizes) == pytest.approx(bits(clusters), rel=0.1, abs=0.3)
