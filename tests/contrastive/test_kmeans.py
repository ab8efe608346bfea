import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans as SklearnKMeans

from weakcl_pipeline.contrastive.kmeans import kmeans


def blobs(per_cluster=40, k=6, dim=12, spread=0.05, seed=0):
    generator = np.random.default_rng(seed)
    centres = np.eye(k, dim)
    truth = np.repeat(np.arange(k), per_cluster)
    return (centres[truth] + spread * generator.normal(size=(len(truth), dim))).astype(np.float32), truth


def test_finds_separate_blobs_whatever_their_length_when_spherical():
    points, truth = blobs()
    points *= np.random.default_rng(1).uniform(0.2, 5, size=(len(points), 1)).astype(np.float32)
    found = kmeans(points, 6, spherical=True, iterations=30, seed=2)
    pairs = {(int(a), int(b)) for a, b in zip(found.assignment, truth, strict=True)}
    assert len(pairs) == 6


@pytest.mark.parametrize("spherical", [True, False])
def test_inertia_is_the_mean_squared_distance_to_the_centroids(spherical):
    points, _ = blobs(spread=0.3)
    found = kmeans(points, 5, spherical=spherical, iterations=50, seed=0)
    if spherical:
        points = points / np.linalg.norm(points, axis=1, keepdims=True)
    total = 0.0
    for cluster in range(found.n_clusters):
        members = points[found.assignment == cluster].astype(np.float64)
        centroid = members.mean(axis=0)
        if spherical:
            centroid /= np.linalg.norm(centroid)
        total += ((members - centroid) ** 2).sum()
    assert found.inertia == pytest.approx(total / len(points), rel=0.02)


def test_inertia_is_close_to_scikit_learns():
    points, _ = blobs(per_cluster=200, k=10, spread=0.4)
    ours = kmeans(points, 10, spherical=False, iterations=50, seed=0).inertia
    theirs = SklearnKMeans(10, n_init=1, random_state=0).fit(points).inertia_ / len(points)
    assert ours < 1.05 * theirs


@given(n=st.integers(3, 60), distinct=st.integers(1, 60), k=st.integers(1, 20), seed=st.integers(0, 100))
@settings(deadline=None, max_examples=40)
def test_ids_are_dense_and_ordered_by_size_even_with_coinciding_samples(n, distinct, k, seed):
    points = np.random.default_rng(seed).normal(size=(min(distinct, n), 4)).astype(np.float32)
    points = points[np.arange(n) % len(points)]
    found = kmeans(points, min(k, n), spherical=True, iterations=5, seed=seed)
    sizes = np.bincount(found.assignment)
    assert found.n_clusters == len(sizes) <= min(k, n)
    assert (sizes > 0).all()
    assert (np.diff(sizes) <= 0).all()


def test_depends_on_the_seed_alone():
    points, _ = blobs(spread=0.5)
    first, again, other = (kmeans(points, 20, spherical=True, iterations=3, seed=s).assignment for s in (7, 7, 8))
    assert (first == again).all()
    assert (first != other).any()
