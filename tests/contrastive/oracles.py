"""Slow, dense, independent formulas that the fast code is held against."""

import torch
from torch import Tensor


def dense_cl_infonce(z: Tensor, clusters: Tensor, temperature: float) -> Tensor:
    """The paper's loss, written with loops over anchors and positives, in the dtype of z."""
    n = len(z)
    losses = []
    for i in range(n):
        others = [a for a in range(n) if a != i]
        positives = [p for p in others if clusters[p] == clusters[i]]
        if not positives:
            continue
        partition = torch.stack([torch.exp(z[i] @ z[a] / temperature) for a in others]).sum()
        losses.append(
            -sum(torch.log(torch.exp(z[i] @ z[p] / temperature) / partition) for p in positives) / len(positives)
        )
    return torch.stack(losses).mean() if losses else z.sum() * 0


def masked_cl_infonce(z: Tensor, clusters: Tensor, temperature: float) -> Tensor:
    """The same with N x N matrices, for sizes where loops are too slow."""
    logits = z @ z.T / temperature
    itself = torch.eye(len(z), dtype=torch.bool)
    positive = (clusters[:, None] == clusters[None]) & ~itself
    log_probability = logits - logits.masked_fill(itself, -torch.inf).logsumexp(dim=1, keepdim=True)
    counts = positive.sum(dim=1)
    contributing = counts > 0
    per_anchor = -(log_probability.masked_fill(~positive, 0).sum(dim=1)[contributing] / counts[contributing])
    return per_anchor.mean()


def nt_xent(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """SimCLR's loss as cross-entropy over the other 2N - 1 views (Chen et al. 2020, eq. 1)."""
    z = torch.cat([first, second])
    logits = (z @ z.T / temperature).fill_diagonal_(-torch.inf)
    target = torch.arange(len(z)).roll(len(first))
    return torch.nn.functional.cross_entropy(logits, target)
