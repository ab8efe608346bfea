import math

import pytest
import timm.optim
import torch
from torch import nn

from weakcl_pipeline.contrastive import Encoder, EncoderConfig
from weakcl_pipeline.contrastive.optimiser import (
    OptimiserConfig,
    create_optimiser,
    learning_rate_at,
    set_learning_rate,
)
from weakcl_pipeline.contrastive.state import pack_optimiser, unpack_optimiser


def test_schedule_warms_up_linearly_and_ends_as_a_cosine():
    config = OptimiserConfig(learning_rate=2.0, warmup_share=0.25, final_share=0.1)
    rates = [learning_rate_at(step, 100, config) for step in range(100)]
    assert rates[:25] == pytest.approx([2.0 * (step + 1) / 25 for step in range(25)])
    assert rates[25] == pytest.approx(2.0)
    middle = 25 + 37.5
    expected = 2.0 * (0.1 + 0.9 * (1 + math.cos(math.pi * (62 - 25) / 75)) / 2)
    assert rates[62] == pytest.approx(expected)
    assert rates[int(middle)] > rates[int(middle) + 1]
    assert rates[-1] == pytest.approx(0.2, rel=0.01)
    assert learning_rate_at(0, 10, OptimiserConfig(learning_rate=1, warmup_share=0)) == 1
    assert learning_rate_at(0, 1, OptimiserConfig(learning_rate=1, warmup_share=1)) == 1


NOTHING = nn.Identity()


@pytest.mark.parametrize(
    ("name", "kind"), [("sgd", torch.optim.SGD), ("adamw", torch.optim.AdamW), ("muon", timm.optim.Muon)]
)
def test_only_matrices_decay_unless_told_so(name, kind):
    model, classifier = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)), nn.Linear(4, 2)
    optimiser = create_optimiser(model, classifier, OptimiserConfig(name=name, weight_decay=0.3))
    assert isinstance(optimiser, kind)
    groups = [(len(group["params"]), group["weight_decay"]) for group in optimiser.param_groups]
    assert groups == [(1, 0.3), (3, 0.0), (1, 0.3), (1, 0.0)]
    all_decay = create_optimiser(model, classifier, OptimiserConfig(name=name, weight_decay=0.3, decay_all=True))
    assert [group["weight_decay"] for group in all_decay.param_groups] == [0.3] * 4


def test_what_timm_keeps_from_decay_does_not_decay_unless_told_so():
    backbone = {"img_size": 8, "patch_size": 4, "embed_dim": 8, "depth": 1, "num_heads": 2}
    encoder = Encoder.create(
        EncoderConfig(backbone="vit_tiny_patch16_224", backbone_kwargs=backbone, stem="original"),
        (0.5,) * 3, (0.2,) * 3, seed=0,
    )  # fmt: skip
    matrices = {name for name, p in encoder.named_parameters() if p.ndim > 1}
    kept = {"backbone.cls_token", "backbone.pos_embed"}
    assert kept < matrices
    for decay_all, expected in ((False, matrices - kept), (True, {name for name, _ in encoder.named_parameters()})):
        config = OptimiserConfig(weight_decay=0.3, decay_all=decay_all)
        groups = create_optimiser(encoder, NOTHING, config).param_groups
        decaying = {id(p) for group in groups if group["weight_decay"] for p in group["params"]}
        assert {name for name, p in encoder.named_parameters() if id(p) in decaying} == expected
        assert sum(len(group["params"]) for group in groups) == len(list(encoder.parameters()))


@pytest.mark.parametrize("shape", [(8, 1, 3, 3), (1, 5, 8), (3, 8), (1024, 7)])
def test_muon_leaves_what_is_hardly_a_matrix_to_nadamw_and_to_adamw_without_momentum(shape):
    for momentum, kind in ((0.9, timm.optim.NAdamW), (0.0, torch.optim.AdamW)):
        ours, theirs = (nn.ParameterList([nn.Parameter(torch.ones(shape))]) for _ in range(2))
        config = OptimiserConfig(name="muon", learning_rate=0.1, momentum=momentum, weight_decay=0)
        optimiser = create_optimiser(ours, NOTHING, config)
        reference = kind(theirs.parameters(), lr=0.1, betas=(0.9, 0.95), weight_decay=0)
        for parameters, one in ((ours, optimiser), (theirs, reference)):
            parameters[0].sin().sum().backward()
            one.step()
        torch.testing.assert_close(ours[0], theirs[0], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", ["sgd", "adamw", "muon"])
def test_the_objective_has_its_own_share_of_the_learning_rate(name):
    encoder, classifier = nn.Linear(3, 4), nn.Linear(4, 2)
    optimiser = create_optimiser(encoder, classifier, OptimiserConfig(name=name, objective_rate=0.25))
    set_learning_rate(optimiser, 0.4)
    rates = {id(p): group["lr"] for group in optimiser.param_groups for p in group["params"]}
    assert [rates[id(p)] for p in encoder.parameters()] == [0.4, 0.4]
    assert [rates[id(p)] for p in classifier.parameters()] == pytest.approx([0.1, 0.1])


def test_frozen_parameters_are_left_out():
    model = nn.Linear(3, 4).requires_grad_(False)
    optimiser = create_optimiser(nn.Linear(2, 2), model, OptimiserConfig())
    assert sum(len(group["params"]) for group in optimiser.param_groups) == 2


def test_muon_moves_hidden_weights_by_an_orthogonal_matrix_and_the_rest_as_adam_does():
    torch.manual_seed(0)
    hidden, output = nn.Conv2d(4, 8, 3, bias=False), nn.Linear(8, 5)
    before = {module: [p.detach().clone() for p in module.parameters()] for module in (hidden, output)}
    rate = 0.01
    config = OptimiserConfig(name="muon", learning_rate=rate, weight_decay=0, newton_schulz_steps=8)
    optimiser = create_optimiser(hidden, output, config)
    output(hidden(torch.randn(6, 4, 3, 3)).flatten(1)).square().sum().backward()
    optimiser.step()
    moved = (before[hidden][0] - hidden.weight.detach()).reshape(8, 36)
    singular_values = torch.linalg.svdvals(moved) / (rate * 0.2 * 36**0.5)  # 0.2 sqrt(max(out, in)): Liu et al. 2025
    assert singular_values.min() > 0.6  # the iterations leave them near 1, not at 1
    assert singular_values.max() < 1.3
    for old, new in zip(before[output], output.parameters(), strict=True):  # the first step of Adam has the same size
        step = (old - new.detach()) * new.grad.sign()
        torch.testing.assert_close(step, torch.full_like(step, float(step.mean())), rtol=1e-3, atol=1e-6)
        assert step.mean() > 0


@pytest.mark.parametrize("name", ["sgd", "adamw", "muon"])
def test_a_restored_optimiser_goes_on_as_if_nothing_had_happened(name):
    def steps(model, optimiser, count):
        for _ in range(count):
            optimiser.zero_grad()
            model(torch.ones(2, 3)).square().sum().backward()
            optimiser.step()

    torch.manual_seed(0)
    model = nn.Linear(3, 4)
    optimiser = create_optimiser(model, NOTHING, OptimiserConfig(name=name))
    steps(model, optimiser, 3)
    copy = nn.Linear(3, 4)
    copy.load_state_dict(model.state_dict())
    restored = create_optimiser(copy, NOTHING, OptimiserConfig(name=name))
    saved = {name: tensor.clone() for name, tensor in pack_optimiser(optimiser).items()}
    unpack_optimiser(restored, saved | {"encoder.weight": torch.zeros(1)})
    steps(model, optimiser, 3)
    steps(copy, restored, 3)
    assert torch.equal(model.weight, copy.weight)
    assert torch.equal(model.bias, copy.bias)
