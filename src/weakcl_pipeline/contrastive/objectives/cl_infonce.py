"""Cl-InfoNCE: the views of one cluster attract each other, all other views repel."""

from typing import Literal, Self

import torch
from pydantic import Field
from torch import Tensor

from weakcl_pipeline.config import Config
from weakcl_pipeline.contrastive.logsumexp import self_excluded_logsumexp
from weakcl_pipeline.contrastive.objectives.base import Batch, Objective, Setting, separate


class ClInfoNCEConfig(Config):
    """Parameters of :class:`ClInfoNCE`.

    Attributes:
        name: The objective.
        temperature: T, the divisor of the similarities.
        base_temperature: Scales the loss by ``temperature / base_temperature``; the released code fixes 0.07. Without
            it the loss is not scaled.
    """

    name: Literal["cl_infonce"] = "cl_infonce"
    temperature: float = Field(default=0.1, gt=0)
    base_temperature: float | None = Field(default=None, gt=0)


class ClInfoNCE(Objective):
    r"""Clustering InfoNCE of Tsai et al., "Learning Weakly-Supervised Contrastive Representations" (ICLR 2022).

    With L2-normalised embeddings z of all views in the batch, and P(i) the other views in the cluster of anchor i,

    .. math:: L = \operatorname{mean}_i \Bigl[ \log\sum_{a \ne i} e^{z_i \cdot z_a / T}
              - \frac{1}{|P(i)|} \sum_{p \in P(i)} z_i \cdot z_p / T \Bigr]

    as in the authors' code, which is the "out" loss of SupCon (Khosla et al., NeurIPS 2020, eq. 2) on cluster ids:
    positives stay in the denominator. One cluster per picture makes it SimCLR's NT-Xent, one per class SupCon. The
    mean runs over the anchors that have a positive; an anchor without one adds nothing to it, but is still a
    negative of the others.

    The mean over positives needs only each cluster's sum of z, and the partition function is computed in tiles, so
    that time is O(N^2 D) and memory O(N D).

    Args:
        config: Temperature and scale.
    """

    def __init__(self, config: ClInfoNCEConfig | None = None) -> None:
        super().__init__()
        self.config = config or ClInfoNCEConfig()

    @classmethod
    def build(cls, config: ClInfoNCEConfig, setting: Setting) -> Self:
        """Build the objective, which is the same for every train split."""
        return cls(config)

    def loss(self, batch: Batch) -> Tensor:
        """Compute the loss of a batch from its embeddings and clusters; a sample without one stands alone."""
        loss: Tensor = self(batch.z, batch.per_view(separate(batch.clusters)))
        return loss

    def forward(self, z: Tensor, clusters: Tensor) -> Tensor:
        """Compute the loss of a batch.

        Args:
            z: L2-normalised embeddings of all views, float (N, D); half precision is computed in float32.
            clusters: The cluster of each view, int64 (N,): any integers; all views of one picture carry the same.

        Returns:
            The loss in nats, a scalar; 0 where no anchor has a positive.

        Raises:
            ValueError: If the shapes do not belong together.
        """
        if z.ndim != 2 or clusters.shape != z.shape[:1]:
            msg = f"expected embeddings (N, D) and clusters (N,), got {tuple(z.shape)} and {tuple(clusters.shape)}"
            raise ValueError(msg)
        with torch.autocast(z.device.type, enabled=False):
            z = z if z.dtype == torch.float64 else z.float()
            values, ids, counts = torch.unique(clusters, return_inverse=True, return_counts=True)
            positives = counts[ids] - 1
            has_positive = positives > 0
            attraction = _mean_positive_similarity(z, ids, len(values), positives.clamp(min=1))
            temperature = self.config.temperature
            per_anchor = self_excluded_logsumexp(z, temperature) - attraction / temperature
            loss: Tensor = torch.where(has_positive, per_anchor, 0).sum() / has_positive.sum().clamp(min=1)
            return loss * (temperature / (self.config.base_temperature or temperature))


def _mean_positive_similarity(z: Tensor, ids: Tensor, n_clusters: int, positives: Tensor) -> Tensor:
    """Return each anchor's mean similarity to its positives, (N,), through the sums of z over clusters."""
    sums = z.new_zeros(n_clusters, z.shape[1]).index_add(0, ids, z)
    return (z * (sums[ids] - z)).sum(dim=1) / positives
