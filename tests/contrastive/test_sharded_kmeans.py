"""Workers with a part of the points each find the clusters that one process finds with all of them."""

import numpy as np
import pytest
import torch
import torch.distributed as dist

from tests.contrastive.test_encoder import tiny
from tests.processes import work_together
from weakcl_pipeline.attributes.kmeans import kmeans
from weakcl_pipeline.contrastive.group import ALONE, Group, Shard
from weakcl_pipeline.contrastive.objectives.pcl import Pcl, PclConfig
from weakcl_pipeline.contrastive.sharded_kmeans import sharded_kmeans

MOST_WORKERS = 3
N, DIM = 400, 7  # parts of 133, 133 and 134
SEED = 2**40 + 3


def points(case):
    generator = np.random.default_rng(0)
    if case == "coinciding":  # 12 distinct points, so most of 20 clusters run empty
        return generator.normal(size=(12, DIM)).astype(np.float32)[np.arange(N) % 12]
    noise = generator.normal(size=(N, DIM))
    if case == "dense":  # but for a few
        noise *= np.where(np.arange(N) % 8, 0.01, 1)[:, None]
    return noise.astype(np.float32)


CASES = [
    ("noise", False, 20),
    ("noise", True, 20),
    ("dense", False, 100),  # a cluster runs empty in the second iteration
    ("coinciding", True, 20),
    ("coinciding", False, 20),
    ("noise", False, 1),
]


def clustered(case, spherical, k, group):
    shard = Shard(torch.from_numpy(points(case))[group.part(N)], N, group)
    return sharded_kmeans(shard, k, spherical=spherical, iterations=15, seed=SEED)


def partition(assignment):
    """Number clusters by their first sample: the order of equally large ones hangs on rounding."""
    _, first, ids = np.unique(assignment, return_index=True, return_inverse=True)
    return first[ids]


def prototypes(encoder, group):
    objective = Pcl(PclConfig(ks=(5, 9), warmup_epochs=0), encoder, N, seed=1)
    whole = torch.randn(N, objective.output_dim, generator=torch.Generator().manual_seed(1))
    figures = objective.begin_epoch(0, lambda _: Shard(whole[group.part(N)], N, group))
    return figures, {name: buffer for name, buffer in objective.state_dict().items() if "clusterings" in name}


def work(rank, folder):
    torch.set_num_threads(1)
    for size in range(2, MOST_WORKERS + 1):
        if rank >= size:
            continue
        dist.init_process_group("gloo", init_method=f"file://{folder}/meeting-{size}", rank=rank, world_size=size)
        group = Group(rank, size)
        found = [clustered(*case, group) for case in CASES]
        again = [clustered(*case, group) for case in CASES]
        for first, second in zip(found, again, strict=True):
            assert (first.assignment == second.assignment).all()
            assert (first.centroids == second.centroids).all()
        torch.save([vars(one) for one in found], folder / f"{size}-{rank}.pt", pickle_protocol=5)
        torch.save(prototypes(tiny(), group), folder / f"pcl-{size}-{rank}.pt")
        dist.destroy_process_group()


def load(file):
    return torch.load(file, weights_only=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kmeans")
    work_together(work, MOST_WORKERS, folder)
    return folder


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_workers_find_the_clusters_of_one_process(folder, case, size):
    name, spherical, k = case
    alone = kmeans(points(name), k, spherical=spherical, iterations=15, seed=SEED)
    for rank in range(size):
        found = load(folder / f"{size}-{rank}.pt")[CASES.index(case)]
        assert found["inertia"] == pytest.approx(alone.inertia, rel=1e-5, abs=1e-6)
        np.testing.assert_array_equal(partition(found["assignment"]), partition(alone.assignment))
        np.testing.assert_array_equal(np.bincount(found["assignment"]), np.bincount(alone.assignment))
        centroids = found["centroids"][found["assignment"]], alone.centroids[alone.assignment]
        halves = 5e-3 if name == "coinciding" else 1e-5  # which of two equal clusters is split hangs on rounding too
        np.testing.assert_allclose(*centroids, rtol=1e-4, atol=halves)


@pytest.mark.parametrize("size", [2, 3])
def test_workers_have_the_prototypes_of_one_process(folder, size):
    figures, buffers = prototypes(tiny(), ALONE)
    for rank in range(size):
        found_figures, found = load(folder / f"pcl-{size}-{rank}.pt")
        assert found_figures == pytest.approx(figures, rel=1e-5)
        torch.testing.assert_close(found, buffers, rtol=1e-4, atol=1e-5)


def test_who_is_alone_finds_the_clusters_of_one_process():
    whole = points("noise")
    found = sharded_kmeans(Shard.whole(torch.from_numpy(whole)), 20, spherical=True, iterations=15, seed=SEED)
    expected = kmeans(whole, 20, spherical=True, iterations=15, seed=SEED)
    np.testing.assert_array_equal(found.centroids, expected.centroids)
    np.testing.assert_array_equal(found.assignment, expected.assignment)
