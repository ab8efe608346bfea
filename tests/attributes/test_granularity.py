from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weakcl_pipeline.attributes.granularity import expected_partner_share, finest_with_partners


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


def test_the_finest_granularity_with_enough_partners_is_taken():
    shares = {5: 0.99, 30: 0.90, 50: 0.84, 100: 0.7}
    assert finest_with_partners(shares, 0.9) == 30
    assert finest_with_partners(shares, 0.0) == 100
    assert finest_with_partners(dict(reversed(shares.items())), 0.8) == 50


def test_the_coarsest_is_taken_where_no_granularity_has_enough():
    assert finest_with_partners({10: 0.4, 5: 0.6, 20: 0.1}, 0.9) == 5
