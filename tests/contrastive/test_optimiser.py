import math

import pytest
import torch
from torch import nn

from weakcl_pipeline.contrastive.optimiser import OptimiserConfig, create_optimiser, learning_rate_at
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


@pytest.mark.parametrize(("name", "kind"), [("sgd", torch.optim.SGD), ("adamw", torch.optim.AdamW)])
def test_only_matrices_decay_unless_told_so(name, kind):
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    optimiser = create_optimiser(model, OptimiserConfig(name=name, weight_decay=0.3))
    assert isinstance(optimiser, kind)
    assert [(len(group["params"]), group["weight_decay"]) for group in optimiser.param_groups] == [(1, 0.3), (3, 0.0)]
    all_decay = create_optimiser(model, OptimiserConfig(name=name, weight_decay=0.3, decay_all=True))
    assert [group["weight_decay"] for group in all_decay.param_groups] == [0.3, 0.3]


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_a_restored_optimiser_goes_on_as_if_nothing_had_happened(name):
    def steps(model, optimiser, count):
        for _ in range(count):
            optimiser.zero_grad()
            model(torch.ones(2, 3)).square().sum().backward()
            optimiser.step()

    torch.manual_seed(0)
    model = nn.Linear(3, 4)
    optimiser = create_optimiser(model, OptimiserConfig(name=name))
    steps(model, optimiser, 3)
    copy = nn.Linear(3, 4)
    copy.load_state_dict(model.state_dict())
    restored = create_optimiser(copy, OptimiserConfig(name=name))
    saved = {name: tensor.clone() for name, tensor in pack_optimiser(optimiser).items()}
    unpack_optimiser(restored, saved | {"encoder.weight": torch.zeros(1)})
    steps(model, optimiser, 3)
    steps(copy, restored, 3)
    assert torch.equal(model.weight, copy.weight)
    assert torch.equal(model.bias, copy.bias)
