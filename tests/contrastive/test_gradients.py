"""What is sent when, by a worker whose messages come back doubled, as if another one had the same gradients."""

import pytest
import torch
from torch import nn

from weakcl_pipeline.contrastive import gradients as module
from weakcl_pipeline.contrastive.gradients import GradientSum, average_gradients
from weakcl_pipeline.contrastive.group import ALONE, Group

DIM = 8
ROW = DIM * DIM * 4  # bytes of a layer


class Wire:
    """Keeps what is sent; sums come back when they are waited for."""

    def __init__(self):
        self.events = []

    def all_reduce(self, message, *, async_op):
        assert async_op
        self.events.append(len(message))
        return Reply(message)


class Reply:
    def __init__(self, message):
        self.message = message

    def wait(self):
        self.message.mul_(2)


@pytest.fixture
def wire(monkeypatch):
    wire = Wire()
    monkeypatch.setattr(module.dist, "all_reduce", wire.all_reduce)
    return wire


def layers(count=4):
    torch.manual_seed(0)
    return nn.Sequential(*[nn.Linear(DIM, DIM, bias=False) for _ in range(count)])


def gradients_of(net, until=None):
    net.zero_grad()
    net[:until](torch.ones(3, DIM)).square().sum().backward()
    return [layer.weight.grad for layer in net[:until]]


def test_a_message_leaves_while_layers_before_are_computed(wire):
    net = layers()
    for number, layer in enumerate(net):
        layer.weight.register_post_accumulate_grad_hook(lambda _, number=number: wire.events.append(f"layer {number}"))
    total = GradientSum(net.parameters(), Group(0, 2), message_bytes=2 * ROW)
    gradients_of(net)
    two = 2 * DIM * DIM
    assert wire.events == ["layer 3", "layer 2", two, "layer 1", "layer 0", two]
    total.finish()
    assert len(wire.events) == 6


@pytest.mark.parametrize("message_bytes", [1, ROW + 1, 2 * ROW, 2**30])
def test_gradients_are_sums_step_after_step(wire, message_bytes):
    net, alone = layers(), layers()
    expected = [2 * gradient for gradient in gradients_of(alone)]
    total = GradientSum(net.parameters(), Group(0, 2), message_bytes)
    for _ in range(3):
        found = gradients_of(net)
        total.finish()
        torch.testing.assert_close(found, expected)


def test_layers_that_the_loss_does_not_depend_on_hold_nothing_up(wire):
    net, alone = layers(), layers()
    expected = [2 * gradient for gradient in gradients_of(alone, until=3)]
    total = GradientSum(net.parameters(), Group(0, 2), message_bytes=2 * ROW)
    for _ in range(2):
        found = gradients_of(net, until=3)
        total.finish()
        torch.testing.assert_close(found, expected)
        assert net[3].weight.grad is None
    assert wire.events == [DIM * DIM, 2 * DIM * DIM] * 2  # in the order of all workers, whatever was complete first


def test_what_is_not_trained_is_not_sent(wire):
    net = layers()
    net[1].weight.requires_grad_(requires_grad=False)
    total = GradientSum(net.parameters(), Group(0, 2), message_bytes=2**30)
    gradients_of(net)
    total.finish()
    assert wire.events == [3 * DIM * DIM]


def test_gradients_keep_their_layout(wire):
    net = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    total = GradientSum(net.parameters(), Group(0, 2))
    net(torch.ones(2, 3, 5, 5).to(memory_format=torch.channels_last)).square().sum().backward()
    before, strides = net.weight.grad.clone(), net.weight.grad.stride()
    total.finish()
    torch.testing.assert_close(net.weight.grad, 2 * before)
    assert net.weight.grad.stride() == strides


def test_gradients_that_all_workers_have_are_averaged_in_one_message(wire):
    net = layers()
    found, expected = gradients_of(net), gradients_of(layers())
    average_gradients([*net.parameters(), nn.Parameter(torch.ones(3))], Group(0, 2))
    torch.testing.assert_close(found, expected)
    assert wire.events == [4 * DIM * DIM]


def test_who_is_alone_sends_nothing(wire):
    net = layers()
    total = GradientSum(net.parameters(), ALONE)
    found, expected = gradients_of(net), gradients_of(layers())
    total.finish()
    average_gradients(net.parameters(), ALONE)
    torch.testing.assert_close(found, expected)
    assert not wire.events
