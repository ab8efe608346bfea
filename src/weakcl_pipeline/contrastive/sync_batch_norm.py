"""Batch normalisation over the batches of all workers, on any device."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from timm.layers.norm_act import convert_sync_batchnorm
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from weakcl_pipeline.contrastive.group import Group


class SyncBatchNorm(nn.Module):
    """Normalises by mean and variance of a channel over all workers, as one worker with the whole batch would.

    Torch's own, which needs a GPU, is faster there. Parameters and buffers are those of the layer that it stands for,
    under the same names; an activation that belongs to the layer, as in timm's, is kept.

    Args:
        layer: The layer that it stands for.
        group: The workers.
    """

    def __init__(self, layer: _BatchNorm, group: Group) -> None:
        super().__init__()
        self._group, self.eps, self.momentum = group, layer.eps, layer.momentum
        self.weight, self.bias = layer.weight, layer.bias
        self.running_mean: Tensor | None
        self.running_var: Tensor | None
        self.num_batches_tracked: Tensor | None
        for name, buffer in layer.named_buffers(recurse=False):
            self.register_buffer(name, buffer)
        for name, child in layer.named_children():
            self.add_module(name, child)
        self.train(layer.training)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise, and apply what else belongs to the layer.

        Args:
            x: float (b, C, ...), this worker's part.
        """
        normalised = self._normalised(x) if self.training or self.running_mean is None else self._as_before(x)
        for child in self.children():
            normalised = child(normalised)
        return normalised

    def _normalised(self, x: Tensor) -> Tensor:
        others = [dimension for dimension in range(x.ndim) if dimension != 1]

        def along(channel: Tensor) -> Tensor:
            return channel.view(1, -1, *[1] * (x.ndim - 2))

        with torch.autocast(x.device.type, enabled=False):
            values = x.float()
            count = self._group.sum(torch.tensor(float(values.numel() // values.shape[1]), device=x.device))
            mean = self._group.sum(values.sum(others)) / count
            centred = values - along(mean)
            variance = self._group.sum(centred.square().sum(others)) / count
            scale = (variance + self.eps).rsqrt()
            normalised = centred * along(scale if self.weight is None else scale * self.weight)
            if self.bias is not None:
                normalised = normalised + along(self.bias)
        self._follow(mean.detach(), variance.detach() * count / (count - 1))
        return normalised.to(x.dtype)

    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None:
            return
        if self.num_batches_tracked is not None:
            self.num_batches_tracked += 1
        weight = 1 / float(self.num_batches_tracked or 1) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, weight)
        self.running_var.lerp_(variance, weight)

    def _as_before(self, x: Tensor) -> Tensor:
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)


@contextmanager
def frozen_statistics(module: nn.Module) -> Iterator[None]:
    """Let batch normalisations normalise as they would, without following the statistics: they have done so already."""
    layers = [layer for layer in module.modules() if isinstance(layer, _BatchNorm | SyncBatchNorm)]
    before = [(layer.momentum, layer.num_batches_tracked) for layer in layers]
    for layer in layers:
        layer.momentum = 0.0
        if layer.num_batches_tracked is not None:
            layer.num_batches_tracked = layer.num_batches_tracked.clone()  # torch's synchronised ones must count
    try:
        yield
    finally:
        for layer, (momentum, tracked) in zip(layers, before, strict=True):
            layer.momentum, layer.num_batches_tracked = momentum, tracked


def synchronise(module: nn.Module, group: Group) -> None:
    """Replace the batch normalisations in a module, wherever they are, by those over all workers."""
    device = next((parameter.device for parameter in module.parameters()), torch.device("cpu"))
    for name, child in module.named_children():
        if isinstance(child, _BatchNorm):
            on_cuda = device.type == "cuda"
            new = convert_sync_batchnorm(child) if on_cuda else SyncBatchNorm(child, group)  # type: ignore[no-untyped-call]
            setattr(module, name, new)
        else:
            synchronise(child, group)
