import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans as SklearnKMeans

from weakcl_pipeline.attributes.kmeans import kmeans, nearest, number_of_clusters
from weakcl_pipeline.errors import InputError


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


@pytest.mark.parametrize("spherical", [True, False])
def test_centroids_are_in_the_order_of_ids_and_nearest_finds_the_same_clusters(spherical):
    points, _ = blobs(spread=0.3)
    found = kmeans(points, 7, spherical=spherical, iterations=20, seed=3)
    assert found.centroids.shape == (found.n_clusters, points.shape[1])
    directions = points / np.linalg.norm(points, axis=1, keepdims=True) if spherical else points
    assert (nearest(directions, found.centroids) == found.assignment).all()


@given(seed=st.integers(0, 1000), n=st.integers(1, 40))
@settings(deadline=None, max_examples=40)
def test_nearest_uses_known_coordinates_alone_and_one_row_at_a_time(seed, n):
    generator = np.random.default_rng(seed)
    points, centroids = generator.normal(size=(n, 3)), generator.normal(size=(4, 3))
    points[generator.random(points.shape) < 0.4] = np.nan
    found = nearest(points, centroids)
    for point, cluster in zip(points, found, strict=True):
        distances = [np.nansum((point - centroid) ** 2) for centroid in centroids]
        assert cluster == (-1 if np.isnan(point).all() else int(np.argmin(distances)))
    assert [nearest(points[[row]], centroids).item() for row in range(n)] == found.tolist()


@pytest.mark.parametrize("spherical", [True, False])
@pytest.mark.parametrize("dim", [2, 16, 512])
def test_identical_points_have_one_id(dim, spherical):
    """Though most of the first centroids coincide, and all clusters that run empty are halves of such points."""
    for seed in range(10):
        generator = np.random.default_rng(seed)
        distinct, k = generator.integers(1, 8), generator.integers(8, 30)
        which = generator.permutation(np.arange(150) % distinct)
        points = generator.normal(size=(distinct, dim)).astype(np.float32)
        points[0] *= seed % 2  # at the origin every other time
        found = kmeans(points[which], k, spherical=spherical, iterations=10, seed=seed)
        assert found.n_clusters <= distinct
        assert all(len(np.unique(found.assignment[which == one])) == 1 for one in range(distinct))


@pytest.mark.parametrize("k", [0, 6])
def test_more_clusters_than_points_are_refused(k):
    with pytest.raises(ValueError, match=f"between 1 cluster and 5, the number of points, got {k}"):
        kmeans(np.zeros((5, 2), dtype=np.float32), k, spherical=False, iterations=1, seed=0)


def test_a_number_of_clusters_is_a_number_or_a_share_of_the_samples_and_what_is_neither_is_told():
    assert [number_of_clusters(k, 20, "k") for k in (3, 20, 0.1, 0.5)] == [3, 20, 2, 10]
    with pytest.raises(InputError, match=r"pcl\.ks: 0\.02 of the 20 samples of the train split makes no .* Raise it"):
        number_of_clusters(0.02, 20, "pcl.ks")
    with pytest.raises(InputError, match=r"iterative\.k: 21 makes 21 clusters, .* has 20 samples\. Lower it"):
        number_of_clusters(21, 20, "iterative.k")


def test_points_that_are_not_finite_are_refused():
    points = np.zeros((5, 2), dtype=np.float32)
    points[1, 0], points[3] = np.nan, np.inf
    with pytest.raises(ValueError, match="NaN or infinity in 2 of them"):
        kmeans(points, 2, spherical=False, iterations=1, seed=0)


def test_more_starts_are_no_worse():
    points, _ = blobs(k=8, spread=0.02)
    once, often = (kmeans(points, 8, spherical=False, iterations=20, seed=0, starts=s).inertia for s in (1, 8))
    assert often <= once
    assert often < 0.01
