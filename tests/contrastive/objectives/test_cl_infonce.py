import itertools
import math
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.contrastive.oracles import dense_cl_infonce, masked_cl_infonce, nt_xent
from weakcl_pipeline.contrastive import ClInfoNCE, ClInfoNCEConfig
from weakcl_pipeline.contrastive.logsumexp import self_excluded_logsumexp


def embeddings(n, dim=16, seed=0, dtype=torch.float32):
    z = torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return F.normalize(z, dim=1).to(dtype)


def clusters_of(shape, n):
    generator = torch.Generator().manual_seed(1)
    return {
        "one_cluster": torch.zeros(n, dtype=torch.int64),
        "pairs": torch.arange(n) // 2,
        "few": torch.randint(0, 3, (n,), generator=generator),
        "many_with_singletons": torch.randint(0, n, (n,), generator=generator),
        "gaps_and_negatives": torch.randint(0, 4, (n,), generator=generator) * 1_000_003 - 7,
    }[shape]


def loss_and_gradient(function, z):
    z = z.clone().requires_grad_()
    loss = function(z)
    (gradient,) = torch.autograd.grad(loss, z)
    return loss.detach(), gradient


SHAPES = ["one_cluster", "pairs", "few", "many_with_singletons", "gaps_and_negatives"]


@pytest.mark.parametrize(
    ("n", "shape", "temperature"), list(itertools.product([2, 3, 17, 33], SHAPES, [0.05, 0.1, 2.0]))
)
def test_equals_the_loop_over_anchors_and_positives(n, shape, temperature):
    z, clusters = embeddings(n, seed=n, dtype=torch.float64), clusters_of(shape, n)
    expected, expected_gradient = loss_and_gradient(lambda x: dense_cl_infonce(x, clusters, temperature), z)
    objective = ClInfoNCE(ClInfoNCEConfig(temperature=temperature))
    loss, gradient = loss_and_gradient(lambda x: objective(x, clusters), z)
    torch.testing.assert_close(loss, expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(("n", "views"), [(300, 1), (300, 2), (700, 3), (1100, 2)])
@pytest.mark.parametrize("temperature", [0.05, 0.1, 0.5])
def test_float32_is_within_1e5_of_float64(n, views, temperature):
    z = embeddings(n * views, dim=128, seed=3)
    clusters = torch.randint(0, n // 8, (n,), generator=torch.Generator().manual_seed(5)).repeat(views)
    expected, expected_gradient = loss_and_gradient(lambda x: masked_cl_infonce(x, clusters, temperature), z.double())
    objective = ClInfoNCE(ClInfoNCEConfig(temperature=temperature))
    loss, gradient = loss_and_gradient(lambda x: objective(x, clusters), z)
    assert abs(loss.double() - expected) / expected < 1e-5
    assert (gradient.double() - expected_gradient).norm() / expected_gradient.norm() < 1e-5


@given(n=st.integers(2, 40), tile=st.integers(1, 45), seed=st.integers(0, 2**31))
@settings(deadline=None, max_examples=60)
def test_any_tile_gives_the_same_partition_function(n, tile, seed):
    z = embeddings(n, seed=seed, dtype=torch.float64).requires_grad_()
    weights = torch.rand(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    lse = self_excluded_logsumexp(z, 0.2, tile=tile)
    (gradient,) = torch.autograd.grad((lse * weights).sum(), z)
    dense = (z @ z.T / 0.2).masked_fill(torch.eye(n, dtype=torch.bool), -torch.inf).logsumexp(dim=1)
    (dense_gradient,) = torch.autograd.grad((dense * weights).sum(), z)
    torch.testing.assert_close(lse, dense)
    torch.testing.assert_close(gradient, dense_gradient)


@given(seed=st.integers(0, 2**31), n=st.integers(4, 30))
@settings(deadline=None, max_examples=40)
def test_neither_order_nor_names_of_clusters_matter(seed, n):
    z, clusters = embeddings(n, seed=seed, dtype=torch.float64), clusters_of("few", n)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    renamed = torch.tensor([40, -3, 9])[clusters]
    objective = ClInfoNCE()
    torch.testing.assert_close(objective(z, clusters), objective(z[order], renamed[order]))


def test_one_cluster_a_picture_is_simclr():
    first, second = embeddings(24, seed=1, dtype=torch.float64), embeddings(24, seed=2, dtype=torch.float64)
    objective = ClInfoNCE(ClInfoNCEConfig(temperature=0.3))
    loss = objective(torch.cat([first, second]), torch.arange(24).repeat(2))
    torch.testing.assert_close(loss, nt_xent(first, second, 0.3))


def test_one_cluster_a_class_is_supcon_by_hand():
    # Two classes of two orthogonal pairs: each anchor has one positive at similarity 1, two negatives at 0.
    z = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    loss = ClInfoNCE(ClInfoNCEConfig(temperature=0.5))(z, torch.tensor([7, 7, 4, 4]))
    assert float(loss) == pytest.approx(math.log(math.exp(2) + 2) - 2, rel=1e-6)


def test_base_temperature_scales_as_the_released_code():
    z, clusters = embeddings(20), clusters_of("few", 20)
    plain = ClInfoNCE(ClInfoNCEConfig(temperature=0.2))(z, clusters)
    scaled = ClInfoNCE(ClInfoNCEConfig(temperature=0.2, base_temperature=0.07))(z, clusters)
    torch.testing.assert_close(scaled, plain * 0.2 / 0.07)


def test_an_anchor_without_positive_adds_nothing_but_stays_a_negative():
    z = embeddings(5, dtype=torch.float64).requires_grad_()
    loss = ClInfoNCE()(z, torch.tensor([0, 0, 0, 0, 9]))
    (gradient,) = torch.autograd.grad(loss, z)
    torch.testing.assert_close(loss, dense_cl_infonce(z, torch.tensor([0, 0, 0, 0, 9]), 0.1))
    assert gradient[4].abs().sum() > 0
    assert not torch.isclose(loss, ClInfoNCE()(z[:4], torch.zeros(4, dtype=torch.int64)))


def test_no_positive_at_all_is_zero_and_never_nan():
    z = embeddings(6).requires_grad_()
    loss = ClInfoNCE()(z, torch.arange(6))
    (gradient,) = torch.autograd.grad(loss, z)
    assert float(loss.detach()) == 0
    assert gradient.abs().max() == 0


def test_identical_embeddings_at_a_low_temperature_stay_finite():
    z = torch.tensor([[1.0, 0.0]]).repeat(8, 1).requires_grad_()
    loss = ClInfoNCE(ClInfoNCEConfig(temperature=0.005))(z, torch.arange(8) // 2)
    (gradient,) = torch.autograd.grad(loss, z)
    assert float(loss.detach()) == pytest.approx(math.log(7), rel=1e-4)
    assert gradient.isfinite().all()


def test_half_precision_is_computed_in_float32():
    z, clusters = embeddings(64).bfloat16(), clusters_of("few", 64)
    with torch.autocast("cpu", torch.bfloat16):
        loss = ClInfoNCE()(z, clusters)
    torch.testing.assert_close(loss, ClInfoNCE()(z.float(), clusters))


def test_shapes_that_do_not_belong_together_are_refused():
    with pytest.raises(ValueError, match=r"clusters \(N,\)"):
        ClInfoNCE()(embeddings(4), torch.zeros(3, dtype=torch.int64))


MEMORY = """
import resource, sys, torch
from weakcl_pipeline.contrastive import ClInfoNCE
n = int(sys.argv[1])
torch.manual_seed(0)
def run(n):
    z = torch.nn.functional.normalize(torch.randn(n, 128), dim=1).requires_grad_()
    clusters = torch.randint(0, n // 16, (n,))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ClInfoNCE()(z, clusters).backward()
    assert z.grad.isfinite().all()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20
run(512)
print(run(n))
"""


def peak_gigabytes(n):
    done = subprocess.run([sys.executable, "-c", MEMORY, str(n)], capture_output=True, text=True, check=True)
    return float(done.stdout)


def test_memory_does_not_grow_with_the_square():
    assert peak_gigabytes(16_384) < 0.25  # one float32 matrix of N x N would be 1 GiB, and autograd keeps several


@pytest.mark.slow
def test_131072_anchors_need_less_than_one_and_a_half_gigabytes():
    assert peak_gigabytes(131_072) < 1.5
