"""Whitening evens out directions, whatever else the points are, and for several workers as for one."""

import numpy as np
import pytest
import torch
import torch.distributed as dist

from tests.processes import work_together
from weakcl_pipeline.contrastive import whitening as module
from weakcl_pipeline.contrastive.group import Group, Shard
from weakcl_pipeline.contrastive.whitening import whiten

N, DIM, WORKERS = 400, 6, 3  # parts of 133, 133 and 134


def points(away=3.0):
    generator = np.random.default_rng(0)
    mixed = generator.normal(size=(N, DIM)) @ generator.normal(size=(DIM, DIM)) * [1, 1, 1, 1, 10, 100]
    return torch.from_numpy(mixed + away).float()


def whitened(strength, own=None):
    return whiten(Shard.whole(points() if own is None else own), strength).own


def covariance(found):
    return np.cov(found.double().numpy().T, bias=True)


def test_full_whitening_makes_the_covariance_the_identity():
    np.testing.assert_allclose(covariance(whitened(1.0)), np.eye(DIM), atol=1e-3)


def test_no_whitening_keeps_distances():
    distances, expected = (torch.cdist(own, own) for own in (whitened(0.0).double(), points().double()))
    torch.testing.assert_close(distances, expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("strength", [0.25, 0.5, 0.9])
def test_strength_is_the_exponent_of_variances(strength):
    variances = np.linalg.eigvalsh(covariance(points()))
    found = covariance(whitened(strength))
    np.testing.assert_allclose(found, np.diag(variances ** (1 - strength)), rtol=1e-3, atol=1e-3 * found.max())


def test_where_the_points_lie_does_not_matter():
    torch.testing.assert_close(whitened(0.5, points(away=0)).abs(), whitened(0.5).abs(), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_directions_without_variance_stay_without(strength):
    dead = torch.cat([points(), torch.full((N, 2), 7.0)], dim=1)
    found = covariance(whitened(strength, dead))
    np.testing.assert_allclose(np.sort(np.diag(found))[:2], 0, atol=1e-9)
    assert (whitened(strength, torch.full((N, 2), 7.0)) == 0).all()


def test_a_block_of_points_at_a_time_finds_the_same(monkeypatch):
    whole = whitened(0.5)
    monkeypatch.setattr(module, "_AT_ONCE", 7)
    torch.testing.assert_close(whitened(0.5).abs(), whole.abs(), rtol=1e-4, atol=1e-4)


def work(rank, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=WORKERS)
    group = Group(rank, WORKERS)
    own = whiten(Shard(points()[group.part(N)], N, group), 0.5).own
    torch.save(group.gather(own, N), folder / f"{rank}.pt")
    dist.destroy_process_group()


def test_workers_whiten_as_one_process_does(tmp_path):
    work_together(work, WORKERS, tmp_path)
    parts = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(WORKERS)]
    for part in parts:
        assert (part == parts[0]).all()
    torch.testing.assert_close(parts[0].abs(), whitened(0.5).abs(), rtol=1e-4, atol=1e-4)
