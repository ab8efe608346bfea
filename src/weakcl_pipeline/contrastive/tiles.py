"""What anchors make of their similarities to all views, in memory that grows with N, not with N squared."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from weakcl_pipeline.contrastive.differentiable_once import differentiable_once
from weakcl_pipeline.contrastive.logsumexp import TILE

RowFunction = Callable[[Tensor, slice], Tensor]


def by_anchor_blocks(function: RowFunction, z: Tensor, tile: int = TILE) -> Tensor:
    """Apply a function to the rows of ``z z^T``, one block of anchors after another.

    The function may do with its rows what it likes: they are kept for neither pass. The backward pass computes them
    anew, and autograd finds the derivative of the function, one block at a time. Memory beyond ``z`` is
    O(N D + tile^2).

    Args:
        function: Takes the similarities of some anchors to all views, float (anchors, N), and the slice of these
            anchors in ``z``; returns a number for each of them, float (anchors,).
        z: Embeddings of all views, float (N, D).
        tile: The square root of the number of similarities in a block.

    Returns:
        The numbers of all anchors, float (N,), differentiable once with respect to ``z``.
    """
    result: Tensor = _ByAnchorBlocks.apply(function, z, tile)
    return result


def _blocks(z: Tensor, tile: int) -> Iterator[slice]:
    """Yield blocks that fill a tile; with D anchors or more, a block costs more than the gradient it adds to."""
    n, dim = z.shape
    size = max(dim, tile**2 // max(1, n))
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


class _ByAnchorBlocks(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, function: RowFunction, z: Tensor, tile: int) -> Tensor:
        result = z.new_empty(len(z))
        for anchors in _blocks(z, tile):
            result[anchors] = function(z[anchors] @ z.T, anchors)
        ctx.save_for_backward(z)
        ctx.function, ctx.tile = function, tile  # type: ignore[attr-defined]
        return result

    @staticmethod
    @differentiable_once
    def backward(ctx: FunctionCtx, grad_result: Tensor) -> tuple[None, Tensor, None]:
        """Chain the function's own derivative with ``d (z_i . z_a) / d z = (z_a at i, z_i at a)``."""
        (z,) = ctx.saved_tensors  # type: ignore[attr-defined]
        grad = torch.zeros_like(z)
        for anchors in _blocks(z, ctx.tile):  # type: ignore[attr-defined]
            similarities = (z[anchors] @ z.T).requires_grad_()
            with torch.enable_grad():
                numbers = ctx.function(similarities, anchors)  # type: ignore[attr-defined]
            (weights,) = torch.autograd.grad(numbers, similarities, grad_result[anchors])
            grad[anchors].addmm_(weights, z)
            grad.addmm_(weights.T, z[anchors])
        return None, grad, None
