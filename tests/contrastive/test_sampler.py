import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weakcl_pipeline.contrastive import TrainingConfig
from weakcl_pipeline.contrastive.sampler import (
    SamplerConfig,
    cluster_aware_batches,
    draw_batches,
    has_partner,
    partner_share,
)

clusters = st.lists(st.integers(-1, 12), min_size=4, max_size=120).map(lambda ids: np.array(ids, dtype=np.int64))


@given(
    clusters,
    st.sampled_from(["uniform", "cluster_aware"]),
    st.integers(2, 40),
    st.integers(1, 5),
    st.floats(0, 1),
    st.integers(0, 2**31),
)
@settings(deadline=None, max_examples=200)
def test_every_sample_is_visited_once_up_to_the_last_partial_batch(ids, name, batch_size, partners, share, seed):
    batch_size = min(batch_size, len(ids))
    config = SamplerConfig(name=name, partners=partners, share=share)
    batches = draw_batches(ids, batch_size, config, np.random.default_rng(seed))
    visited = np.concatenate(batches)
    assert [len(batch) for batch in batches] == [batch_size] * (len(ids) // batch_size)
    assert len(np.unique(visited)) == len(visited)
    assert visited.min() >= 0
    assert visited.max() < len(ids)


@given(clusters, st.integers(2, 40), st.integers(0, 2**31))
@settings(deadline=None, max_examples=100)
def test_partner_share_equals_counting_by_hand(ids, batch_size, seed):
    batch_size = min(batch_size, len(ids))
    batches = draw_batches(ids, batch_size, SamplerConfig(name="uniform"), np.random.default_rng(seed))
    with_partner = [
        any(ids[other] == ids[anchor] and ids[anchor] >= 0 for other in batch if other != anchor)
        for batch in batches
        for anchor in batch
    ]
    assert partner_share(batches, ids) == pytest.approx(np.mean(with_partner))


@pytest.mark.parametrize("partners", [1, 3])
@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
def test_the_configured_share_of_anchors_has_its_partners(partners, share):
    ids = np.repeat(np.arange(500), 8)  # by chance an anchor meets a partner in a batch of 64 with probability 0.11
    config = SamplerConfig(name="cluster_aware", partners=partners, share=share)
    batches = cluster_aware_batches(ids, 64, config, np.random.default_rng(0))
    enough = np.concatenate([np.bincount(ids[batch], minlength=500)[ids[batch]] >= partners + 1 for batch in batches])
    assert enough.mean() >= share - 0.03  # clusters that a sample is left out of do not divide into packs
    assert enough.mean() <= share + 0.15


def test_each_sample_is_visited_as_often_as_under_uniform_sampling():
    ids = np.concatenate([np.repeat(np.arange(10), 9), np.full(17, -1)])  # 107 samples: 7 are left out of each epoch
    visits = np.zeros(len(ids))
    epochs = 3000
    for seed in range(epochs):
        batches = cluster_aware_batches(ids, 20, SamplerConfig(partners=2, share=1.0), np.random.default_rng(seed))
        visits[np.concatenate(batches)] += 1
    expected = 100 / 107
    deviation = np.sqrt(expected * (1 - expected) / epochs)
    assert np.abs(visits / epochs - expected).max() < 4.5 * deviation


def test_every_cluster_has_its_turn_to_be_drawn_with_partners():
    ids = np.repeat(np.arange(50), 8)
    met = np.zeros(50)
    for seed in range(40):
        batches = cluster_aware_batches(ids, 16, SamplerConfig(share=0.5), np.random.default_rng(seed))
        met += np.bincount(ids, weights=has_partner(batches, ids), minlength=50)
    assert met.min() > 0.7 * met.max()


def test_high_cluster_ids_have_partners_too():
    ids = np.repeat(np.arange(32_700, 32_860), 4)  # on both sides of the largest number of 16 bits
    batches = cluster_aware_batches(ids, 64, SamplerConfig(share=1.0), np.random.default_rng(0))
    assert partner_share(batches, ids) > 0.95


def test_without_clusters_there_is_no_partner():
    ids = np.full(50, -1)
    batches = cluster_aware_batches(ids, 10, SamplerConfig(), np.random.default_rng(0))
    assert partner_share(batches, ids) == 0


@pytest.mark.parametrize("name", ["uniform", "cluster_aware"])
@pytest.mark.parametrize("batch_size", [0, 51])
def test_batches_that_there_cannot_be_are_refused(name, batch_size):
    with pytest.raises(ValueError, match=f"between 1 and 50, the number of samples, got {batch_size}"):
        draw_batches(np.zeros(50, dtype=np.int64), batch_size, SamplerConfig(name=name), np.random.default_rng(0))
    with pytest.raises(ValueError, match="at least one batch"):
        partner_share([], np.zeros(50, dtype=np.int64))


def test_an_anchor_and_its_partners_have_to_leave_room_for_a_negative():
    with pytest.raises(ValueError, match=r"batch_size: an anchor and its 7 partners .* no room .* in a batch of 8"):
        TrainingConfig(epochs=1, batch_size=8, sampler={"partners": 7})
    with pytest.raises(ValueError, match=r"batch_size: an anchor and its partner .* no room .* in a batch of 2"):
        TrainingConfig(epochs=1, batch_size=2)
    TrainingConfig(epochs=1, batch_size=8, sampler={"partners": 7, "name": "uniform"})
    config = TrainingConfig(epochs=1, batch_size=8, sampler={"partners": 6, "share": 1.0})
    batches = draw_batches(np.repeat([0, 1], 32), 8, config.sampler, np.random.default_rng(0))
    assert any(len(set(np.repeat([0, 1], 32)[batch])) == 2 for batch in batches)


def test_batches_depend_on_the_generator_alone():
    ids = np.random.default_rng(3).integers(0, 9, 100)
    first, again, other = (
        np.concatenate(cluster_aware_batches(ids, 16, SamplerConfig(), np.random.default_rng(seed)))
        for seed in (1, 1, 2)
    )
    assert (first == again).all()
    assert (first != other).any()
