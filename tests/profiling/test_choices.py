"""Parameters that fit a data set of any size."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weakcl_pipeline.attributes import AttributeKind, ClusteringConfig
from weakcl_pipeline.images import ImagesConfig
from weakcl_pipeline.profiling.choices import choose, choose_min_count

KINDS = st.lists(st.sampled_from(AttributeKind))


@given(st.integers(2, 10**8), st.integers(0, 10**5), KINDS, st.lists(st.integers(1, 10_000)))
def test_every_choice_can_be_run(train_rows, indicators, kinds, sides):
    made = choose(train_rows=train_rows, indicators=indicators, kinds=kinds, sides=sides)
    ClusteringConfig(rule=made.rule, granularities=made.granularities)
    ImagesConfig(size=made.size)
    assert max(made.granularities) <= max(1, indicators)
    assert 2 <= made.batch_size <= train_rows
    assert 2 <= made.k <= train_rows
    assert 2 <= made.min_count <= max(2, train_rows)


@given(st.integers(1, 10**8))
def test_more_samples_never_ask_for_less(rows):
    fewer = choose(train_rows=rows, indicators=10, kinds=[], sides=[])
    more = choose(train_rows=2 * rows, indicators=10, kinds=[], sides=[])
    assert (fewer.batch_size <= more.batch_size, fewer.min_count <= more.min_count) == (True, True)


@pytest.mark.parametrize(("train_rows", "batch_size"), [(2, 2), (4, 3), (9, 5), (16, 8), (28, 8), (100, 8), (300, 32)])
def test_few_samples_still_meet_others_in_a_batch(train_rows, batch_size):
    assert choose(train_rows=train_rows, indicators=0, kinds=[], sides=[]).batch_size == batch_size


def test_the_emoji_get_what_was_chosen_for_them_by_hand():
    made = choose(train_rows=5245, indicators=900, kinds=[AttributeKind.TAGS], sides=[32] * 100)
    assert (made.rule, made.granularities) == ("top_entropy_present", (5, 10, 20, 30, 50, 100, 200, 600))
    assert (made.size, made.batch_size, choose_min_count(5245)) == (32, 128, 10)
    assert made.k == pytest.approx(600, rel=0.05)


def test_rules_follow_what_absence_means():
    made = choose(train_rows=1000, indicators=10, kinds=[AttributeKind.TAGS, AttributeKind.BOOL], sides=[])
    assert made.rule == "top_entropy"


def test_hardly_any_indicators_keep_the_smallest_granularities():
    found = {n: choose(train_rows=1000, indicators=n, kinds=[], sides=[]).granularities for n in (0, 3, 7, 12)}
    assert found == {0: (1,), 3: (1, 2, 3), 7: (1, 2, 3, 5), 12: (5, 10)}


@pytest.mark.parametrize(("train_rows", "size"), [(999_999, 64), (1_000_000, 32)])
def test_of_a_million_pictures_small_ones_are_kept(train_rows, size):
    assert choose(train_rows=train_rows, indicators=10, kinds=[], sides=[300]).size == size


@pytest.mark.parametrize(("sides", "size"), [([16], 32), ([40], 32), ([50, 60, 500], 48), ([300, 700], 64)])
def test_pictures_are_not_enlarged(sides, size):
    assert choose(train_rows=1000, indicators=10, kinds=[], sides=sides).size == size
