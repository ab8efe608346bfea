"""The partition function of contrastive objectives in memory that grows with N, not with N squared."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from weakcl_pipeline.contrastive.differentiable_once import differentiable_once

TILE = 1024  # anchors a side: a float32 tile of 4 MiB stays in the last-level cache, and fills a GPU


def self_excluded_logsumexp(z: Tensor, temperature: float, tile: int = TILE) -> Tensor:
    """Compute ``log sum_{a != i} exp(z_i . z_a / T)`` for every anchor i, tile by tile.

    The similarities are symmetric, so each tile above the diagonal serves its rows and its columns. The backward
    pass computes the tiles anew from the saved result instead of keeping them, as in Dao et al., "FlashAttention"
    (2022): no N x N matrix is ever held, and memory beyond ``z`` is O(N + tile^2).

    Args:
        z: Embeddings of the anchors, float (N, D).
        temperature: T > 0, the divisor of the similarities.
        tile: Anchors on a side of a tile.

    Returns:
        The logarithm of each anchor's partition function in nats, float (N,), differentiable once; minus infinity for
        an anchor that is alone.
    """
    result: Tensor = _SelfExcludedLogSumExp.apply(z, temperature, tile)
    return result


def _tiles(z: Tensor, temperature: float, tile: int) -> Iterator[tuple[slice, slice, Tensor]]:
    """Yield the tiles on and above the diagonal of ``z z^T / T``, the diagonal itself at minus infinity."""
    blocks = [slice(start, min(start + tile, len(z))) for start in range(0, len(z), tile)]
    for index, rows in enumerate(blocks):
        scaled = z[rows] / temperature
        for columns in blocks[index:]:
            logits = scaled @ z[columns].T
            if rows == columns:
                logits.fill_diagonal_(-torch.inf)
            yield rows, columns, logits


class _SelfExcludedLogSumExp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, z: Tensor, temperature: float, tile: int) -> Tensor:
        lse = z.new_full((len(z),), -torch.inf)
        for rows, columns, logits in _tiles(z, temperature, tile):
            lse[rows] = torch.logaddexp(lse[rows], logits.logsumexp(dim=1))
            if rows != columns:
                lse[columns] = torch.logaddexp(lse[columns], logits.logsumexp(dim=0))
        ctx.save_for_backward(z, lse.clamp(min=torch.finfo(lse.dtype).min))  # alone: exp(-inf - min) is 0, not NaN
        ctx.temperature, ctx.tile = temperature, tile  # type: ignore[attr-defined]
        return lse

    @staticmethod
    @differentiable_once
    def backward(ctx: FunctionCtx, grad_lse: Tensor) -> tuple[Tensor, None, None]:
        """Apply ``d lse_i / d z = sum_a softmax_ia (z_a at i, z_i at a) / T``, with row and column in one tile."""
        z, lse = ctx.saved_tensors  # type: ignore[attr-defined]
        temperature, tile = ctx.temperature, ctx.tile  # type: ignore[attr-defined]
        grad = torch.zeros_like(z)
        for rows, columns, logits in _tiles(z, temperature, tile):
            weights = (logits - lse[rows, None]).exp_().mul_(grad_lse[rows, None])
            if rows == columns:
                grad[rows].addmm_(weights, z[columns]).addmm_(weights.T, z[rows])
                continue
            weights += logits.sub_(lse[None, columns]).exp_().mul_(grad_lse[None, columns])
            grad[rows].addmm_(weights, z[columns])
            grad[columns].addmm_(weights.T, z[rows])
        return grad / temperature, None, None
