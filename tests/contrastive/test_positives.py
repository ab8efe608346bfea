import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import normalized_mutual_info_score

from weakcl_pipeline.contrastive import CompletedPositives, FixedPositives, IterativeConfig, IterativePositives
from weakcl_pipeline.contrastive.group import Shard
from weakcl_pipeline.contrastive.positives import NO_CLUSTER
from weakcl_pipeline.errors import InputError


class Embedder:
    """Stands for the encoder: different points at each call, and a count of the calls."""

    def __init__(self, n):
        self.n, self.calls = n, []

    def __call__(self, features):
        self.calls.append(features)
        return Shard.whole(torch.randn(self.n, 5, generator=torch.Generator().manual_seed(len(self.calls))))


def test_fixed_positives_never_change():
    clusters = np.array([0, 1, NO_CLUSTER, 1])
    positives = FixedPositives(clusters)
    assert (positives.initial() == clusters).all()
    same, figures = positives.update(3, positives.initial(), embed=Embedder(4))
    assert (same == clusters).all()
    assert figures == {}
    assert positives.describe() == FixedPositives(clusters.copy()).describe()
    assert positives.describe() != FixedPositives(clusters[::-1].copy()).describe()


def test_clusters_are_found_after_the_warmup_and_then_every_so_many_epochs():
    n, embedder = 60, Embedder(60)
    config = IterativeConfig(k=7, warmup_epochs=2, recluster_every=3, features="projection")
    positives = IterativePositives(config, n, {"kind": np.arange(n) % 4}, seed=0)
    clusters, clustered = positives.initial(), []
    for epoch in range(10):
        clusters, figures = positives.update(epoch, clusters, embedder)
        clustered.append("inertia" in figures)
        assert (clusters == NO_CLUSTER).all() == (epoch < 2)
    assert clustered == [False, False, True, False, False, True, False, False, True, False]
    assert embedder.calls == ["projection"] * 3


def test_history_tells_agreement_with_the_clustering_before_and_with_known_labels():
    n, labels = 50, np.arange(50) % 3
    labels[:10] = NO_CLUSTER
    positives = IterativePositives(IterativeConfig(k=5, warmup_epochs=0, recluster_every=1), n, {"kind": labels}, 0)
    embedder = Embedder(n)
    first, figures = positives.update(0, positives.initial(), embedder)
    assert "nmi_previous" not in figures
    assert figures["clusters"] == len(np.unique(first))
    assert figures["nmi_kind"] == pytest.approx(normalized_mutual_info_score(labels[10:], first[10:]))
    second, figures = positives.update(1, first, embedder)
    assert figures["nmi_previous"] == pytest.approx(normalized_mutual_info_score(first, second))


def test_k_is_a_number_or_a_fraction_and_at_most_the_samples():
    assert IterativeConfig(k=200).n_clusters(1000) == 200
    assert IterativeConfig(k=0.05).n_clusters(1000) == 50
    with pytest.raises(InputError, match=r"iterative\.k.*2000 clusters.*1000 samples"):
        IterativeConfig(k=2000).n_clusters(1000)


@pytest.mark.parametrize(("whitening", "agreement"), [(0.0, 0.0), (1.0, 1.0)])
def test_whitened_features_are_clustered_by_what_varies_less_too(whitening, agreement):
    kinds = np.arange(200) % 2
    generator = np.random.default_rng(0)
    style = generator.uniform(-100, 100, 200)  # which k-means splits in the middle, unless all directions count alike
    points = torch.from_numpy(np.column_stack([style, 2 * kinds + 0.01 * generator.normal(size=200)])).float()
    config = IterativeConfig(k=2, warmup_epochs=0, whitening=whitening, spherical=False, iterations=50)
    positives = IterativePositives(config, 200, {"kind": kinds}, seed=0)
    _, figures = positives.update(0, positives.initial(), lambda _: Shard.whole(points))
    assert figures["nmi_kind"] == pytest.approx(agreement, abs=0.05)


def completed(clusters, seed=0, **config):
    config = IterativeConfig(**{"k": 4, "warmup_epochs": 2, "recluster_every": 3} | config)
    kmeans = IterativePositives(config, len(clusters), {}, seed, group="attribute.completion")
    return CompletedPositives(clusters, kmeans)


@given(
    clusters=st.lists(st.integers(NO_CLUSTER, 5), min_size=8, max_size=40).map(np.array),
    seed=st.integers(0, 3),
)
def test_samples_without_a_cluster_get_one_and_all_others_keep_theirs(clusters, seed):
    positives, embedder = completed(clusters, seed), Embedder(len(clusters))
    missing, found, clustered = clusters < 0, positives.initial(), 0
    assert (found == clusters).all()
    for epoch in range(7):
        before = found
        found, figures = positives.update(epoch, before, embedder)
        assert (found[~missing] == clusters[~missing]).all()
        if epoch not in (2, 5):
            assert (found == before).all()
            assert figures == {}
            continue
        clustered += 1
        assert (found[missing] >= 0).all()
        assert not set(found[missing]) & set(clusters[~missing])
        assert len(embedder.calls) == clustered


def test_completed_clusters_are_those_of_k_means_on_all_samples():
    clusters = np.array([0, 0, NO_CLUSTER, 1, NO_CLUSTER, NO_CLUSTER, 1, 0])
    near = torch.tensor([[0.0, 1], [1, 0], [0, 1], [1, 0], [1, 0.1], [0.1, 1], [0, 1], [1, 0]])
    positives = completed(clusters, k=2, warmup_epochs=0, recluster_every=1)
    found, figures = positives.update(0, positives.initial(), lambda _: Shard.whole(near))
    assert found[2] == found[5] != found[4]
    assert figures["clusters"] == 2
    assert "nmi_previous" not in figures
    _, figures = positives.update(1, found, lambda _: Shard.whole(near))
    assert figures["nmi_previous"] == pytest.approx(1)  # of the completed samples alone


def test_completed_positives_are_recognised_by_clusters_and_parameters():
    clusters = np.array([0, 0, NO_CLUSTER, 1])
    assert completed(clusters).describe() == completed(clusters.copy()).describe()
    assert completed(clusters).describe() != completed(clusters[::-1].copy()).describe()
    assert completed(clusters).describe() != completed(clusters, k=3).describe()
    with pytest.raises(InputError, match=r"attribute\.completion\.k.*9 clusters.*4 samples"):
        completed(clusters, k=9)
