"""What an embedding space looks like, beside the loss."""

import torch
from torch import Tensor


def alignment(first: Tensor, second: Tensor) -> Tensor:
    """Mean squared distance of the two views of a picture (Wang and Isola 2020, L_align with alpha 2); 0 is perfect.

    Args:
        first: L2-normalised embeddings of one view of each picture, float (N, D).
        second: Those of the other view, float (N, D).
    """
    return (first - second).square().sum(dim=1).mean()


def uniformity(z: Tensor) -> Tensor:
    """Log of the mean Gaussian potential of all pairs (Wang and Isola 2020, L_uniform with t 2); lower is more even.

    Args:
        z: L2-normalised embeddings of different pictures, float (N, D), N >= 2.
    """
    return torch.pdist(z).square().mul(-2).exp().mean().log()
