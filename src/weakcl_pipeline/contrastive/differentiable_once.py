"""What the backward passes that are written by hand have in common."""

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

T = TypeVar("T")


def differentiable_once(backward: Callable[..., T]) -> Callable[..., T]:
    """Wrap the backward pass of a ``torch.autograd.Function`` whose gradient has no derivative of its own.

    Torch's ``once_differentiable`` takes such a gradient for a constant as long as what comes in is one, and a penalty
    on it for one without effect. Autocast is off, as it is in the forward pass: what is computed anew has to come out
    as it did there.

    Raises:
        RuntimeError: In the backward pass, if its result is to be differentiated (``create_graph=True``).
    """

    @wraps(backward)
    def checked(ctx: FunctionCtx, *gradients: Tensor) -> T:
        if torch.is_grad_enabled():
            msg = "this loss is differentiable once, so its gradient cannot be differentiated; leave out create_graph"
            raise RuntimeError(msg)
        with torch.autocast(gradients[0].device.type, enabled=False):
            return backward(ctx, *gradients)

    return checked
