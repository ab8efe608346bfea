"""K-means of embeddings: this package against faiss, and scikit-learn, full and in mini-batches.

All sides get the same points on the unit sphere, drawn around random centres, and as many Lloyd iterations; with
mini-batches, as many passes over the points. This package finishes with an exact assignment and dense ids by size.
The inertia of a result is measured alike for all.

Run: python benchmarks/kmeans.py [--points 100000] [--k 1000] [--rounds 3]
"""

import argparse
from collections.abc import Callable

import faiss
import numpy as np
import sklearn
from sklearn.cluster import KMeans, MiniBatchKMeans

from measured import alternate, machine, seconds, show
from weakcl_pipeline.attributes.kmeans import kmeans, nearest
from weakcl_pipeline.contrastive.device import keep_freed_memory

DIM, ITERATIONS, OURS = 128, 20, "weakcl-pipeline"

Floats = np.ndarray


def points_around_centres(count: int, centres: int) -> Floats:
    """Return unit vectors, float32 (count, DIM)."""
    generator = np.random.default_rng(0)
    around = generator.normal(size=(centres, DIM))[generator.integers(centres, size=count)]
    points = around + generator.normal(scale=1.0, size=(count, DIM))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


def of_faiss(points: Floats, k: int) -> Floats:
    """Cluster with faiss, as its documentation shows it."""
    engine = faiss.Kmeans(DIM, k, niter=ITERATIONS, seed=0, max_points_per_centroid=len(points))
    engine.train(points)
    engine.assign(points)
    return engine.centroids


def of_sklearn(points: Floats, k: int) -> Floats:
    """Cluster with scikit-learn's full k-means from random points."""
    engine = KMeans(k, init="random", n_init=1, max_iter=ITERATIONS, tol=0, random_state=0)
    return engine.fit(points).cluster_centers_


def of_batches(points: Floats, k: int) -> Floats:
    """Cluster with scikit-learn's mini-batches."""
    engine = MiniBatchKMeans(k, init="random", n_init=1, max_iter=ITERATIONS, max_no_improvement=None, random_state=0)
    return engine.fit(points).cluster_centers_


SIDES: dict[str, Callable[[Floats, int], Floats]] = {
    OURS: lambda points, k: kmeans(points, k, spherical=False, iterations=ITERATIONS, seed=0).centroids,
    "faiss": of_faiss,
    "scikit-learn": of_sklearn,
    "scikit-learn, mini-batches": of_batches,
}


def inertia(points: Floats, centroids: Floats) -> float:
    """Return the mean squared distance of a point to its nearest centroid."""
    return float(((points - centroids[nearest(points, centroids)]) ** 2).sum(axis=1).mean())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=100_000, help=f"of {DIM} dimensions")
    parser.add_argument("--k", type=int, default=1000, help="number of clusters")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each side")
    arguments = parser.parse_args()
    keep_freed_memory()  # as trainings do; for all sides, which share the process
    points = points_around_centres(arguments.points, arguments.k)
    print(machine(**{"faiss": faiss.__version__, "scikit-learn": sklearn.__version__}))
    print(f"{arguments.points:,} points of {DIM} dimensions, k = {arguments.k:,}, {ITERATIONS} iterations")
    found: dict[str, Floats] = {}

    def run(side: str) -> Callable[[], None]:
        return lambda: found.update({side: SIDES[side](points, arguments.k)})

    show(alternate({side: seconds(run(side)) for side in SIDES}, arguments.rounds), OURS, unit="s", form=".2f")
    show({side: [inertia(points, found[side])] for side in SIDES}, OURS, unit="inertia", form=".4f")


if __name__ == "__main__":
    main()
