import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.contrastive.oracles import nt_xent
from weakcl_pipeline.contrastive.objectives import cmc
from weakcl_pipeline.contrastive.objectives.cmc import Cmc, CmcConfig

WIDTH, N_ATTRIBUTES = 8, 6


def objective_of(temperature=0.2, picture_weight=0.0, n_attributes=N_ATTRIBUTES, seed=0):
    torch.manual_seed(seed)
    config = CmcConfig(temperature=temperature, picture_weight=picture_weight, hidden_dim=16)
    return Cmc(config, n_attributes, WIDTH).double()


def batch_of(batch, views=2, missing=0.3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    z = F.normalize(torch.randn(views * batch, WIDTH, generator=generator, dtype=torch.float64), dim=1)
    attributes = (torch.rand(batch, N_ATTRIBUTES, generator=generator) < 0.5).double()
    attributes[torch.rand(batch, N_ATTRIBUTES, generator=generator) < missing] = torch.nan
    return z, attributes


def encoded_rows(objective, attributes):
    """The embedding of each picture's attributes, or none where all are missing."""
    encoded = []
    for row in attributes.tolist():
        known = [0.0 if math.isnan(value) else 1.0 for value in row]
        values = [0.0 if math.isnan(value) else value for value in row]
        first, _, second = objective.attribute_encoder
        hidden = (first.weight @ torch.tensor(values + known, dtype=torch.float64) + first.bias).clamp(min=0)
        a = second.weight @ hidden + second.bias
        encoded.append(a / a.norm() if any(known) else None)
    return encoded


def looped_cross_term(objective, z, attributes):
    """The paper's contrast of two views, for each view of the pictures and both directions, with loops."""
    temperature, batch = objective.config.temperature, len(attributes)
    encoded = encoded_rows(objective, attributes)
    known = [i for i in range(batch) if encoded[i] is not None]
    losses = []
    for view in z.split(batch):
        for i in known:
            score = torch.exp(view[i] @ encoded[i] / temperature)
            to_attributes = sum(torch.exp(view[i] @ encoded[j] / temperature) for j in known)
            to_pictures = sum(torch.exp(view[j] @ encoded[i] / temperature) for j in known)
            losses += [-torch.log(score / to_attributes), -torch.log(score / to_pictures)]
    return torch.stack(losses).mean() if losses else z.sum() * 0


def loss_and_gradients(function, objective, z, attributes):
    z = z.clone().requires_grad_()
    loss = function(z, attributes)
    gradients = torch.autograd.grad(loss, [z, *objective.parameters()], materialize_grads=True)
    return loss.detach(), gradients


@pytest.mark.parametrize("tile", [1, 3, 1024])
@pytest.mark.parametrize(("batch", "views", "missing"), list(itertools.product([1, 2, 9], [1, 2, 3], [0.0, 0.3, 0.8])))
def test_equals_the_loop_over_pictures_and_candidates(monkeypatch, batch, views, missing, tile):
    monkeypatch.setattr(cmc, "TILE", tile)
    objective = objective_of()
    z, attributes = batch_of(batch, views, missing, seed=batch)
    expected, expected_gradients = loss_and_gradients(
        lambda x, a: looped_cross_term(objective, x, a), objective, z, attributes
    )
    loss, gradients = loss_and_gradients(objective, objective, z, attributes)
    torch.testing.assert_close(loss, expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(gradients, expected_gradients, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("weight", [0.5, 2.0])
def test_the_picture_term_is_simclr_by_its_weight(weight):
    z, attributes = batch_of(7)
    cross, both = objective_of(0.3)(z, attributes), objective_of(0.3, weight)(z, attributes)
    torch.testing.assert_close(both - cross, weight * nt_xent(z[:7], z[7:], 0.3))


def test_at_half_weight_every_pair_of_views_counts_the_same():
    objective = objective_of(0.3, 0.5)
    z, attributes = batch_of(7)
    pairs = [
        looped_cross_term(objective, z[:7], attributes),
        looped_cross_term(objective, z[7:], attributes),
        nt_xent(z[:7], z[7:], 0.3),
    ]
    torch.testing.assert_close(objective(z, attributes), sum(pairs) / 2)


def test_embeddings_that_find_each_other_by_hand():
    # Four orthogonal pairs of picture and attributes: similarity 1 with one's own, 0 with the three others.
    objective = objective_of(0.5)
    attributes = batch_of(4, missing=0)[1]
    objective.encode = lambda _: torch.eye(4, WIDTH, dtype=torch.float64)
    z = torch.eye(4, WIDTH, dtype=torch.float64).repeat(2, 1)
    assert float(objective(z, attributes)) == pytest.approx(math.log(math.exp(2) + 3) - 2)


@given(seed=st.integers(0, 2**31), batch=st.integers(2, 12), views=st.integers(1, 3))
@settings(deadline=None, max_examples=30)
def test_a_picture_without_attributes_might_as_well_not_be_in_the_cross_term(seed, batch, views):
    objective = objective_of()
    z, attributes = batch_of(batch, views, seed=seed)
    attributes[-1] = torch.nan
    loss, (gradient, *_) = loss_and_gradients(objective, objective, z, attributes)
    others = z.view(views, batch, WIDTH)[:, :-1].flatten(0, 1)
    torch.testing.assert_close(loss, objective(others, attributes[:-1]))
    assert gradient.view(views, batch, WIDTH)[:, -1].abs().max() == 0


@given(seed=st.integers(0, 2**31), batch=st.integers(2, 12))
@settings(deadline=None, max_examples=30)
def test_neither_order_of_pictures_nor_of_views_matters(seed, batch):
    objective = objective_of(picture_weight=0.5)
    z, attributes = batch_of(batch, seed=seed)
    order = torch.randperm(batch, generator=torch.Generator().manual_seed(seed))
    first, second = z.split(batch)
    expected = objective(z, attributes)
    torch.testing.assert_close(objective(torch.cat([first[order], second[order]]), attributes[order]), expected)
    torch.testing.assert_close(objective(torch.cat([second, first]), attributes), expected)


def test_identical_attributes_are_as_good_as_positives_of_each_other():
    objective = objective_of()
    z, attributes = batch_of(12, views=1, missing=0)
    attributes = attributes[torch.tensor([0, 0, 0, 1, 1, 2, 3, 3, 3, 3, 4, 5])]
    logits = z @ objective.encode(attributes).T / 0.2
    positive = (attributes[:, None] == attributes[None]).all(dim=-1).double()
    target = positive / positive.sum(dim=1, keepdim=True)
    multi_positive = (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
    torch.testing.assert_close(objective(z, attributes), multi_positive)


def test_pictures_without_any_attribute_are_left_out_where_that_tells_nothing():
    objective = Cmc(CmcConfig(picture_weight=0, absence_tells=False), N_ATTRIBUTES, WIDTH).double()
    told = Cmc(CmcConfig(picture_weight=0), N_ATTRIBUTES, WIDTH).double()
    told.load_state_dict(objective.state_dict())
    z, attributes = batch_of(8, views=1, missing=0)
    attributes[[1, 4, 5]] = 0
    attributes[5, 0] = torch.nan  # of what is known of it, nothing is present
    attributes[6, 0] = torch.nan
    attributes[6, 1] = 1
    kept = [0, 2, 3, 6, 7]
    assert (attributes[kept] == 1).any(dim=1).all()
    torch.testing.assert_close(objective(z, attributes), told(z[kept], attributes[kept]))
    assert not torch.allclose(told(z, attributes), objective(z, attributes))


def test_missing_is_not_absent():
    objective = objective_of()
    missing, absent = torch.full((1, N_ATTRIBUTES), torch.nan), torch.zeros(1, N_ATTRIBUTES)
    assert not torch.allclose(objective.encode(missing), objective.encode(absent))
    torch.testing.assert_close(objective.encode(absent).norm(), torch.tensor(1.0).double())


@pytest.mark.filterwarnings("ignore:Anomaly Detection")
@pytest.mark.parametrize("picture_weight", [0.0, 0.5])
def test_no_attributes_at_all_leaves_the_picture_term_and_never_nan(picture_weight):
    objective = objective_of(0.3, picture_weight)
    z, attributes = batch_of(5, missing=1)
    with torch.autograd.detect_anomaly(check_nan=True):
        loss, gradients = loss_and_gradients(objective, objective, z, attributes)
    torch.testing.assert_close(loss, picture_weight * nt_xent(z[:5], z[5:], 0.3))
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert all(gradient.abs().max() == 0 for gradient in gradients[1:])


def test_identical_embeddings_at_a_low_temperature_stay_finite():
    objective = objective_of(0.005, 0.5).float()
    z = torch.eye(1, WIDTH).repeat(8, 1)
    loss, gradients = loss_and_gradients(objective, objective, z, torch.ones(4, N_ATTRIBUTES))
    assert float(loss) == pytest.approx(math.log(4) + 0.5 * math.log(7), rel=1e-4)
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_float32_is_within_1e5_of_float64():
    objective = objective_of(0.07, 0.5)
    z, attributes = batch_of(300)
    expected, expected_gradients = loss_and_gradients(objective, objective, z, attributes)
    objective.float()
    loss, gradients = loss_and_gradients(objective, objective, z.float(), attributes.float())
    assert abs(loss.double() - expected) / expected < 1e-5
    for gradient, expected_gradient in zip(gradients, expected_gradients, strict=True):
        assert (gradient.double() - expected_gradient).norm() / expected_gradient.norm() < 1e-5


def test_half_precision_is_computed_in_float32():
    objective = objective_of(picture_weight=0.5).float()
    z, attributes = batch_of(16)
    half = z.bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        loss = objective(half, attributes)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, objective(half.float(), attributes))


@pytest.mark.parametrize(
    ("z", "attributes"),
    [
        ((7, WIDTH), (4, N_ATTRIBUTES)),
        ((8, WIDTH + 1), (4, N_ATTRIBUTES)),
        ((8, WIDTH), (4, N_ATTRIBUTES + 1)),
        ((0, WIDTH), (0, N_ATTRIBUTES)),
        ((8, WIDTH), ()),
    ],
)
def test_shapes_that_do_not_belong_together_are_refused(z, attributes):
    with pytest.raises(ValueError, match=r"embeddings \(V \* B, 8\) and attributes \(B, 6\)"):
        objective_of()(torch.zeros(z), torch.zeros(attributes))


def test_nothing_to_encode_is_refused():
    with pytest.raises(ValueError, match="at least one attribute"):
        objective_of(n_attributes=0)


class Sizes(TorchDispatchMode):
    """Numbers of elements of all tensors that come to be."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        self.seen += [leaf.numel() for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)]
        return result


def test_memory_does_not_grow_with_the_square(monkeypatch):
    monkeypatch.setattr(cmc, "TILE", 16)
    objective, kept = objective_of(), []
    z, attributes = batch_of(200)
    hooks = torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor.numel()) or tensor, lambda x: x)
    with Sizes() as sizes, hooks:
        _, gradients = loss_and_gradients(objective, objective, z, attributes)
    assert all(gradient.abs().max() > 0 for gradient in gradients)
    assert max(sizes.seen) == z.numel() < 200 * 200
    assert sum(kept) < 200 * 200
