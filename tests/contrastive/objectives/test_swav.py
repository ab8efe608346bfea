import itertools
import math
from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from safetensors.torch import load, save

from weakcl_pipeline.contrastive.objectives.swav import Swav, SwavConfig, sinkhorn

DIM = 8


def unit(n, seed=0, dtype=torch.float64):
    z = torch.randn(n, DIM, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return F.normalize(z, dim=1).to(dtype)


def swav(seed=0, **config):
    torch.manual_seed(seed)
    return Swav(SwavConfig(**{"prototypes": 7, "freeze_epochs": 0, "queue_start_epoch": 0} | config), DIM)


def slow_sinkhorn(scores, epsilon, iterations):
    """Scale rows and columns entry by entry, K prototypes by B embeddings, as in the paper's listing."""
    n, k = scores.shape
    q = [[math.exp(float(scores[b, j]) / epsilon) for b in range(n)] for j in range(k)]
    for _ in range(iterations):
        for j in range(k):
            total = sum(q[j])
            q[j] = [value / total / k for value in q[j]]
        for b in range(n):
            total = sum(q[j][b] for j in range(k))
            for j in range(k):
                q[j][b] /= total * n
    return torch.tensor([[q[j][b] * n for j in range(k)] for b in range(n)], dtype=torch.float64)


def slow_loss(z, prototypes, config, queues=None):
    """Every full view's code predicted from every other view, picture by picture."""
    n_views = 2 + config.small_crops
    views = z.reshape(n_views, -1, DIM)
    batch = views.shape[1]
    losses = []
    for s in range(2):
        assigned = views[s].detach() if queues is None else torch.cat([views[s].detach(), queues[s]])
        codes = slow_sinkhorn(assigned @ prototypes.detach().T, config.epsilon, config.sinkhorn_iterations)[:batch]
        for t, b in itertools.product(range(n_views), range(batch)):
            if t == s:
                continue
            exponentials = torch.stack([torch.exp(views[t, b] @ c / config.temperature) for c in prototypes])
            p = exponentials / exponentials.sum()
            losses.append(-sum(codes[b, k] * torch.log(p[k]) for k in range(len(prototypes))))
    return torch.stack(losses).mean()


def unit_prototypes(objective):
    return F.normalize(objective.prototypes.weight.detach().double(), dim=1)


@pytest.mark.parametrize(
    ("batch", "small_crops", "iterations", "epsilon"),
    [(1, 0, 3, 0.05), (5, 0, 1, 0.05), (5, 1, 3, 0.05), (4, 3, 3, 0.5), (9, 0, 3, 0.05)],
)
def test_equals_the_loop_over_views_and_pictures(batch, small_crops, iterations, epsilon):
    objective = swav(small_crops=small_crops, sinkhorn_iterations=iterations, epsilon=epsilon)
    z = unit((2 + small_crops) * batch, seed=batch).requires_grad_()
    prototypes = unit_prototypes(objective).requires_grad_()
    expected = slow_loss(z, prototypes, objective.config)
    expected_gradients = torch.autograd.grad(expected, [z, prototypes])
    loss = objective(z)
    gradients = torch.autograd.grad(loss, [z, objective.prototypes.weight])
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=0)
    torch.testing.assert_close(gradients[0], expected_gradients[0], rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(gradients[1].double(), expected_gradients[1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("n", "k"), list(itertools.product([1, 4, 9], [2, 3, 8])))
def test_assignment_equals_the_scaling_entry_by_entry(n, k):
    scores = torch.rand(n, k, generator=torch.Generator().manual_seed(n), dtype=torch.float64) * 2 - 1
    for iterations in (1, 3, 10):
        torch.testing.assert_close(sinkhorn(scores, 0.1, iterations), slow_sinkhorn(scores, 0.1, iterations))


@given(n=st.integers(1, 24), k=st.integers(2, 12), seed=st.integers(0, 2**31))
@settings(deadline=None, max_examples=40)
def test_assignment_is_balanced(n, k, seed):
    scores = torch.rand(n, k, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2 - 1
    shares = sinkhorn(scores, 0.5, 100)
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(n, dtype=torch.float64))
    torch.testing.assert_close(shares.sum(dim=0), torch.full((k,), n / k, dtype=torch.float64), rtol=1e-3, atol=1e-3)
    assert (shares >= 0).all()


def test_assignment_is_balanced_where_all_embeddings_prefer_one_prototype():
    scores = torch.tensor([[1.0, 0.0], [0.9, 0.0], [0.2, 0.0], [0.1, 0.0]])
    shares = sinkhorn(scores, 0.05, 100)
    torch.testing.assert_close(shares, torch.tensor([[1.0, 0], [1, 0], [0, 1], [0, 1]]), rtol=0, atol=1e-2)


def test_assignment_stays_finite_at_a_small_epsilon():
    scores = unit(64, dtype=torch.float32) @ unit(16, seed=1, dtype=torch.float32).T
    shares = sinkhorn(scores, 1e-3, 3)
    assert shares.isfinite().all()
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(64))


def test_collapsed_embeddings_have_uniform_codes_and_loss_ln_k_at_best():
    objective = swav()
    with torch.no_grad():
        objective.prototypes.weight.copy_(torch.eye(7, DIM))
    z = F.normalize(torch.ones(1, DIM), dim=1).repeat(12, 1)
    assert float(objective(z).detach()) == pytest.approx(math.log(7), rel=1e-6)


@given(seed=st.integers(0, 2**31), batch=st.integers(1, 12))
@settings(deadline=None, max_examples=30)
def test_order_of_pictures_full_views_and_prototypes_does_not_matter(seed, batch):
    objective, generator = swav(), torch.Generator().manual_seed(seed)
    views = unit(2 * batch, seed=seed).view(2, batch, DIM)
    loss = objective(views.reshape(-1, DIM))
    shuffled = views.flip(0)[:, torch.randperm(batch, generator=generator)]
    with torch.no_grad():
        objective.prototypes.weight.copy_(objective.prototypes.weight[torch.randperm(7, generator=generator)])
    torch.testing.assert_close(objective(shuffled.reshape(-1, DIM)), loss, rtol=1e-6, atol=1e-9)


def test_the_queue_is_assigned_with_the_batch_once_it_is_full():
    objective, batch = swav(queue=10), 4
    seen = torch.zeros(2, 0, DIM, dtype=torch.float64)
    for epoch in range(5):
        objective.begin_epoch(epoch)
        z = unit(2 * batch, seed=epoch)
        queues = seen[:, :10] if seen.shape[1] >= 10 else None
        expected = slow_loss(z, unit_prototypes(objective), objective.config, queues)
        torch.testing.assert_close(objective(z), expected, rtol=1e-6, atol=0)
        seen = torch.cat([z.view(2, batch, DIM), seen], dim=1)
        kept = min(10, seen.shape[1])
        torch.testing.assert_close(objective.queue[:, :kept], seen[:, :kept].float())
    assert queues is not None


def test_the_queue_waits_for_its_epoch_and_small_crops_do_not_enter_it():
    objective, plain = swav(queue=4, queue_start_epoch=3, small_crops=2), swav(small_crops=2)
    for epoch in range(5):
        objective.begin_epoch(epoch)
        z = unit(4 * 6, seed=epoch)
        assert torch.equal(objective(z), plain(z)) == (epoch < 3)
        torch.testing.assert_close(objective.queue, z[:12].view(2, 6, DIM)[:, :4].float())


def test_prototypes_are_frozen_in_the_first_epochs():
    objective, z = swav(freeze_epochs=2), unit(8, dtype=torch.float32).requires_grad_()
    for epoch in range(4):
        objective.begin_epoch(epoch)
        objective.prototypes.weight.grad = z.grad = None
        objective(z).backward()
        assert (objective.prototypes.weight.grad is None) == (epoch < 2)
        assert z.grad.abs().sum() > 0
    fresh = swav(freeze_epochs=1)
    fresh(z).backward()
    assert fresh.prototypes.weight.grad is None


def test_prototypes_have_unit_length_before_and_after_each_step_of_the_optimiser():
    objective = swav()
    torch.testing.assert_close(objective.prototypes.weight.detach(), unit_prototypes(objective).float())
    optimiser = torch.optim.SGD(objective.parameters(), lr=10.0)
    objective(unit(8)).backward()
    optimiser.step()
    moved = unit_prototypes(objective).float()
    assert not torch.allclose(objective.prototypes.weight.detach(), moved)
    objective.after_step(None)
    torch.testing.assert_close(objective.prototypes.weight.detach(), moved)


def test_the_losses_of_several_batches_may_be_summed_before_one_backward_pass():
    together, apart = swav(), swav()
    batches = [unit(8, seed=seed, dtype=torch.float32).requires_grad_() for seed in range(2)]
    sum(together(z) for z in batches).backward()
    for z in batches:
        apart(z).backward()
    torch.testing.assert_close(together.prototypes.weight.grad, apart.prototypes.weight.grad)


def test_a_forward_pass_in_evaluation_mode_changes_nothing():
    objective = swav(queue=6)
    objective(unit(8))
    before = deepcopy(objective.state_dict())
    objective.eval()(unit(8, seed=1))
    assert all(torch.equal(tensor, before[name]) for name, tensor in objective.state_dict().items())


def test_goes_on_from_its_state_exactly():
    objective = swav(queue=6)
    for step in range(3):
        objective(unit(8, seed=step, dtype=torch.float32))
    saved = save({name: t.contiguous() for name, t in objective.state_dict().items()})
    other = swav(seed=5, queue=6)
    other.load_state_dict(load(saved))
    for epoch in range(1, 4):
        z = unit(8, seed=10 + epoch, dtype=torch.float32)
        objective.begin_epoch(epoch)
        other.begin_epoch(epoch)
        assert torch.equal(objective(z), other(z))
    assert torch.equal(objective.queue, other.queue)


def test_half_precision_is_computed_in_float32():
    objective, z = swav(queue=6), unit(16).bfloat16()
    other = deepcopy(objective)
    with torch.autocast("cpu", torch.bfloat16):
        loss = objective(z)
    assert loss.dtype == objective.queue.dtype == torch.float32
    torch.testing.assert_close(loss, other(z.float()))


def test_an_optimiser_that_follows_the_gradient_lowers_the_loss():
    objective = swav()
    embeddings = unit(64, dtype=torch.float32).requires_grad_()
    optimiser = torch.optim.SGD([embeddings, *objective.parameters()], lr=1.0)
    losses = []
    for _ in range(60):
        loss = objective(F.normalize(embeddings, dim=1))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        objective.after_step(None)
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("shape", [(7, DIM), (8, DIM + 1), (0, DIM), (8,)])
def test_embeddings_that_are_not_of_all_views_are_refused(shape):
    with pytest.raises(ValueError, match=r"expected embeddings \(4 \* B, 8\)"):
        swav(small_crops=2)(torch.zeros(shape))


@pytest.mark.parametrize(
    "wrong", [{"small_scale": (0.2, 0.1)}, {"small_scale": (0, 0.1)}, {"prototypes": 1}, {"epsilon": 0}, {"queue": -1}]
)
def test_parameters_out_of_range_are_refused(wrong):
    with pytest.raises(ValidationError):
        SwavConfig(**wrong)
