import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans

from weakcl_pipeline.attributes import lloyd as module
from weakcl_pipeline.attributes.lloyd import lloyd


@pytest.fixture(params=["float32", "bfloat16"])
def product(request, monkeypatch):
    """What scores are computed in, whatever the hardware likes."""
    monkeypatch.setattr(module, "computes_bf16", lambda device: request.param == "bfloat16")
    return request.param


def around_centres(n=2000, dim=16, centres=30, away=0.0, seed=0):
    generator = np.random.default_rng(seed)
    middles = generator.normal(size=(centres, dim))[generator.integers(centres, size=n)]
    return torch.from_numpy(middles + 0.3 * generator.normal(size=(n, dim)) + away).float()


def run(points, k, iterations=10, *, spherical=False, seed=0):
    return lloyd(points, points[:k], iterations, spherical=spherical, generator=np.random.default_rng(seed))


def slowly(points, k, iterations, *, spherical):
    """Lloyd's iterations by their definition, in float64."""
    points = points.double().numpy()
    centroids = points[:k].copy()
    for _ in range(iterations):
        distances = ((points[:, None] - centroids) ** 2).sum(axis=2)
        closest = distances.argmin(axis=1)
        centroids = np.array([points[closest == cluster].mean(axis=0) for cluster in range(k)])
        if spherical:
            centroids /= np.linalg.norm(centroids, axis=1, keepdims=True)
    distances = ((points[:, None] - centroids) ** 2).sum(axis=2)
    return centroids, distances.argmin(axis=1), distances.min(axis=1).mean()


@pytest.mark.parametrize("spherical", [False, True])
@pytest.mark.parametrize("away", [0, 100])
def test_equals_the_definition_in_float32(spherical, away, monkeypatch):
    monkeypatch.setattr(module, "computes_bf16", lambda device: False)
    points = around_centres(away=away)
    if spherical:
        points = torch.nn.functional.normalize(points, dim=1)
    found = run(points, 6, 6, spherical=spherical)
    centroids, closest, inertia = slowly(points, 6, 6, spherical=spherical)
    np.testing.assert_array_equal(found.closest, closest)
    np.testing.assert_allclose(found.centroids, centroids, rtol=1e-5, atol=1e-5)
    assert found.inertia == pytest.approx(inertia, rel=1e-4)


@pytest.mark.parametrize("away", [0, 100])  # where bfloat16 alone tells nothing below 0.5 apart
def test_bfloat16_costs_next_to_no_inertia(away, monkeypatch):
    points = around_centres(n=5000, centres=60, away=away)
    inertias = {}
    for bf16 in (False, True):
        monkeypatch.setattr(module, "computes_bf16", lambda device, bf16=bf16: bf16)
        inertias[bf16] = run(points, 50, 20).inertia
    theirs = KMeans(50, init=points[:50].numpy(), n_init=1, max_iter=20, tol=0).fit(points.numpy()).inertia_ / 5000
    assert inertias[False] == pytest.approx(theirs, rel=1e-3)
    assert inertias[True] == pytest.approx(theirs, rel=1e-2)


def test_closest_centroids_and_inertia_are_exact_at_the_end(product):
    points = around_centres()
    found = run(points, 40, 3)
    distances = torch.cdist(points.double(), found.centroids.double()).square()
    assert (distances[torch.arange(len(points)), found.closest] <= distances.min(dim=1).values + 1e-5).all()
    assert found.inertia == pytest.approx(distances.min(dim=1).values.mean().item(), rel=1e-5)


def test_a_block_of_points_at_a_time_finds_the_same(product, monkeypatch):
    points = around_centres(n=1000)
    whole = run(points, 10)
    monkeypatch.setattr(module, "_SCORES", {"cpu": 128 * 10})
    parts = run(points, 10)
    assert (parts.closest == whole.closest).all()
    torch.testing.assert_close(parts.centroids, whole.centroids, rtol=1e-4, atol=1e-5)


@given(
    seed=st.integers(0, 1000),
    n=st.integers(1, 20),
    k=st.integers(1, 300),
    dtype=st.sampled_from(["float32", "bfloat16"]),
)
@settings(deadline=None)
def test_the_column_of_the_largest_is_one_of_them(seed, n, k, dtype):
    scores = torch.randn(n, k, generator=torch.Generator().manual_seed(seed)).round(decimals=seed % 3)
    scores = scores.to(getattr(torch, dtype))
    found = module._column_of_largest(scores, torch.empty(n, k))
    assert (scores.gather(1, found[:, None].long())[:, 0] == scores.amax(dim=1)).all()


@pytest.mark.parametrize("spherical", [False, True])
def test_a_centroid_without_points_takes_half_of_a_large_cluster(product, spherical):
    near = torch.nn.functional.normalize(around_centres(n=500, centres=1) + 3, dim=1)
    first = torch.cat([near[:1], -near[:1]])  # nobody is nearest to the second
    found = lloyd(near, first, 5, spherical=spherical, generator=np.random.default_rng(0))
    assert (found.closest.bincount(minlength=2) > 50).all()


class Counted:
    """A generator whose draws are counted."""

    def __init__(self, seed):
        self.generator, self.draws = np.random.default_rng(seed), 0

    def __getattr__(self, name):
        self.draws += 1
        return getattr(self.generator, name)


def test_any_number_of_centroids_without_points_is_filled_by_few_draws():
    values = np.random.default_rng(0)
    centroids, sizes = torch.from_numpy(values.normal(size=(2000, 8))).float(), np.zeros(2000, dtype=np.int64)
    sizes[:20] = values.integers(500, 1000, 20)
    generator = Counted(0)
    found = module._halve_large(centroids, sizes, generator)
    assert generator.draws <= 2 * 7  # 20, 40, 80, ..., 2560
    assert len(found.unique(dim=0)) == 2000
    assert torch.equal(found[:20], centroids[:20])
    assert torch.cdist(found[20:], centroids[:20]).amin(dim=1).max() < 0.1
    assert torch.equal(module._halve_large(centroids, sizes, Counted(0)), found)
    assert module._halve_large(centroids, sizes + 1, generator) is centroids


@given(n=st.integers(1, 60), distinct=st.integers(1, 60), k=st.integers(1, 20), seed=st.integers(0, 100))
@settings(deadline=None, max_examples=40)
def test_coinciding_points_are_at_distance_zero_where_there_are_centroids_for_all(n, distinct, k, seed):
    points = torch.from_numpy(np.random.default_rng(seed).normal(size=(min(distinct, n), 4))).float()
    points = points[torch.arange(n) % len(points)]
    found = run(points, min(k, n), 5, seed=seed)
    assert found.centroids.isfinite().all()
    if len(points.unique(dim=0)) == 1:
        assert found.inertia < 1e-5


def test_centroids_that_no_longer_move_end_the_search(monkeypatch):
    monkeypatch.setattr(module, "computes_bf16", lambda device: False)
    points, sums = around_centres(n=500, centres=5), []

    def add(own):
        sums.append(own)
        return own

    found = lloyd(points, points[:8], 10**6, spherical=False, generator=np.random.default_rng(0), add=add)
    assert len(sums) < 500
    for cluster in range(8):
        np.testing.assert_allclose(found.centroids[cluster], points[found.closest == cluster].mean(dim=0), atol=1e-5)


def test_a_cluster_without_points_is_filled_though_no_point_moved():
    points = torch.tensor([[0.0], [1.0], [10.0], [11.0]])
    first = torch.tensor([[0.0], [10.5], [100.0]])
    found = lloyd(points, first, 50, spherical=False, generator=np.random.default_rng(0))
    assert len(found.closest.unique()) == 3
