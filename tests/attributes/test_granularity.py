from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weakcl_pipeline.attributes.granularity import expected_bits, expected_partner_share, most_telling


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


@given(st.lists(st.integers(-1, 3), min_size=2, max_size=8), st.integers(2, 9))
def test_bits_equal_an_enumeration_of_all_batches(clusters, batch_size):
    n, ids = len(clusters), np.array(clusters)
    bits = met = 0
    for batch in combinations(range(n), min(batch_size, n)):
        for anchor in batch:
            met += 1
            partners = [other for other in batch if other != anchor and ids[other] == ids[anchor] >= 0]
            bits += np.log2(n / (ids == ids[anchor]).sum()) if partners else 0
    assert expected_bits(ids, batch_size) == pytest.approx(bits / met, abs=1e-9)


def test_neither_one_cluster_for_all_nor_one_for_each_teaches_anything():
    assert expected_bits(np.zeros(64, dtype=np.int64), 16) == 0
    assert expected_bits(np.arange(64), 16) == 0
    assert expected_bits(np.repeat(np.arange(8), 8), 16) > 2


def test_the_most_telling_granularity_is_taken_and_of_equals_the_coarsest():
    assert most_telling({5: 0.9, 30: 2.0, 100: 1.5}) == 30
    assert most_telling({50: 2.0, 30: 2.0, 100: 1.5}) == 30
