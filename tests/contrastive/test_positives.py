import numpy as np
import pytest
import torch
from sklearn.metrics import normalized_mutual_info_score

from weakcl_pipeline.contrastive import FixedPositives, IterativeConfig, IterativePositives
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
