"""An optimiser's state as named tensors, since artifacts hold no pickles."""

from collections.abc import Mapping

import torch
from torch import Tensor

_PREFIX = "optimiser."


def pack_optimiser(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the state of every parameter as ``optimiser.<parameter>.<name>``.

    What is no tensor is left out: it is what an optimiser (Muon) decides by a parameter's shape, and decides again.
    """
    return {
        f"{_PREFIX}{index}.{name}": value
        for index, own in optimiser.state_dict()["state"].items()
        for name, value in own.items()
        if isinstance(value, Tensor)
    }


def unpack_optimiser(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put back what :func:`pack_optimiser` returned; other names are passed over."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in with_prefix(tensors, _PREFIX).items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = tensor
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    laid_out = {
        index: {name: _lay_out_as(parameters[index], tensor) for name, tensor in own.items()}
        for index, own in state.items()
    }
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": laid_out, "param_groups": groups})


def with_prefix(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors whose name begins with a prefix, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _lay_out_as(parameter: Tensor, tensor: Tensor) -> Tensor:
    """Give a tensor of a parameter's shape its memory format: fused optimisers walk through both side by side."""
    if tensor.shape != parameter.shape:
        return tensor
    return torch.empty_like(parameter, dtype=tensor.dtype, requires_grad=False).copy_(tensor)
