"""What an embedding space looks like, beside the loss."""

from math import log

from torch import Tensor

from weakcl_pipeline.contrastive.logsumexp import self_excluded_logsumexp


def alignment(first: Tensor, second: Tensor) -> Tensor:
    """Mean squared distance of the two views of a picture (Wang and Isola 2020, L_align with alpha 2); 0 is perfect.

    Args:
        first: L2-normalised embeddings of one view of each picture, float (N, D).
        second: Those of the other view, float (N, D).
    """
    return (first - second).square().sum(dim=1).mean()


def uniformity(z: Tensor) -> Tensor:
    """Log of the mean Gaussian potential of all pairs (Wang and Isola 2020, L_uniform with t 2); lower is more even.

    As |a - b|^2 = 2 - 2 a . b, the potential exp(-2 |a - b|^2) is exp(4 a . b - 4), whose sums over the others are
    partition functions at a temperature of 1/4: memory is O(N).

    Args:
        z: L2-normalised embeddings of different pictures, float (N, D), N >= 2.
    """
    pairs = len(z) * (len(z) - 1)
    return self_excluded_logsumexp(z, 0.25).logsumexp(dim=0) - log(pairs) - 4
