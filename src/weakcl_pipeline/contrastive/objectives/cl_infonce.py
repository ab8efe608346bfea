"""Cl-InfoNCE: the views of one cluster attract each other, all other views repel."""

from functools import partial
from typing import Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from weakcl_pipeline.config import Config
from weakcl_pipeline.contrastive.logsumexp import self_excluded_logsumexp
from weakcl_pipeline.contrastive.objectives.base import Batch, Objective, Setting, separate
from weakcl_pipeline.contrastive.tiles import by_anchor_blocks


class ClInfoNCEConfig(Config):
    """Parameters of :class:`ClInfoNCE`; the defaults are the paper's loss.

    Attributes:
        name: The objective.
        temperature: T, the divisor of the similarities.
        base_temperature: Scales the loss by ``temperature / base_temperature``; the released code fixes 0.07. Without
            it the loss is not scaled.
        mean_over_positives: Whether the mean over an anchor's positives is taken of the logarithms (``outside_log``,
            every positive counts alike) or inside the logarithm (``inside_log``, near positives count more).
        positives_in_denominator: Whether a positive competes with the anchor's other positives, as well as with the
            negatives.
        cluster_balance: The weight of an anchor is the size of its cluster in the batch to the power of minus this:
            at 0 every anchor counts alike, at 1 every cluster, and every picture without one.
    """

    name: Literal["cl_infonce"] = "cl_infonce"
    temperature: float = Field(default=0.1, gt=0)
    base_temperature: float | None = Field(default=None, gt=0)
    mean_over_positives: Literal["outside_log", "inside_log"] = "outside_log"
    positives_in_denominator: bool = True
    cluster_balance: float = Field(default=0.0, ge=0, le=1)


class ClInfoNCE(Objective):
    r"""Clustering InfoNCE of Tsai et al., "Learning Weakly-Supervised Contrastive Representations" (ICLR 2022).

    With L2-normalised embeddings z of all views in the batch, similarities :math:`s_{ij} = z_i \cdot z_j / T`, and P(i)
    the other views in the cluster of anchor i,

    .. math:: L = \operatorname{mean}_i \Bigl[ -\frac{1}{|P(i)|} \sum_{p \in P(i)} \log q_{ip} \Bigr], \qquad
              q_{ip} = \frac{e^{s_{ip}}}{\sum_{a \ne i} e^{s_{ia}}}

    as in the authors' code, which is the "out" loss of SupCon (Khosla et al., NeurIPS 2020, eq. 2) on cluster ids:
    positives stay in the denominator. One cluster per picture makes it SimCLR's NT-Xent, one per class SupCon. The
    mean runs over the anchors that have a positive; an anchor without one adds nothing to it, but is still a
    negative of the others. Three parameters change the formula, each in a place of its own:

    - ``mean_over_positives: inside_log`` makes the bracket :math:`-\log \frac{1}{|P(i)|} \sum_{p \in P(i)} q_{ip}`, as
      the "in" loss of SupCon (eq. 3).
    - ``positives_in_denominator: false`` makes :math:`q_{ip} = e^{s_{ip}} / (e^{s_{ip}} + \sum_n e^{s_{in}})` with n
      over the views in other clusters, as SINCERE (Feeney and Hughes 2023), so that positives never repel each other.
    - ``cluster_balance: b`` makes the mean over anchors a weighted one, with weights :math:`(|P(i)| + 1)^{-b}`.

    The mean over positives of the paper's loss needs only each cluster's sum of z, and the partition function is
    computed in tiles; the first two variants compute blocks of anchors. Time is O(N^2 D) and memory O(N D) in all.

    Args:
        config: Temperature, scale and variant.
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
            clusters: The cluster of each view, int64 (N,), from 0; all views of one picture carry the same. Pictures
                without a cluster (-1) have to be given one each, before their ids are repeated for views, by
                :func:`~weakcl_pipeline.contrastive.separate`.

        Returns:
            The loss in nats, a scalar, differentiable once; 0 where no anchor has a positive.

        Raises:
            ValueError: If the shapes do not belong together, or a view has no cluster.
        """
        if z.ndim != 2 or clusters.shape != z.shape[:1]:
            msg = f"expected embeddings (N, D) and clusters (N,), got {tuple(z.shape)} and {tuple(clusters.shape)}"
            raise ValueError(msg)
        config = self.config
        with torch.autocast(z.device.type, enabled=False):
            z = z if z.dtype == torch.float64 else z.float()
            names, ids, counts = torch.unique(clusters, return_inverse=True, return_counts=True)
            if (names[:1] < 0).any():
                msg = (
                    "expected a cluster for each view, got negative ids, which mean none; give such pictures one each:"
                    " ClInfoNCE()(z, separate(clusters).repeat(views)) for the clusters of pictures"
                )
                raise ValueError(msg)
            positives = counts[ids].to(z.dtype) - 1
            has_positive = positives > 0
            if config.mean_over_positives == "outside_log" and config.positives_in_denominator:
                per_anchor = _paper_losses(z, ids, positives.clamp(min=1), config.temperature)
            else:
                losses = partial(_variant_losses, ids=ids, positives=positives.clamp(min=1), config=config)
                per_anchor = by_anchor_blocks(losses, z)
            weights = has_positive * (positives + 1) ** -config.cluster_balance
            loss: Tensor = torch.where(has_positive, weights * per_anchor, 0).sum() / weights.sum().clamp(min=1)
            return loss * (config.temperature / (config.base_temperature or config.temperature))


def _paper_losses(z: Tensor, ids: Tensor, positives: Tensor, temperature: float) -> Tensor:
    """Return the losses of all anchors, (N,); their mean similarity to positives comes from the sums of clusters."""
    sums = torch.zeros_like(z).index_add(0, ids, z)
    attraction = (z * (sums[ids] - z)).sum(dim=1) / positives
    return self_excluded_logsumexp(z, temperature) - attraction / temperature


def _variant_losses(
    similarities: Tensor, anchors: slice, ids: Tensor, positives: Tensor, config: ClInfoNCEConfig
) -> Tensor:
    """Return the losses of a block of anchors, (anchors,), from their similarities to all views, (anchors, N)."""
    s = similarities / config.temperature
    same = ids[anchors, None] == ids
    positive = same.clone()
    positive[:, anchors].fill_diagonal_(False)
    if config.positives_in_denominator:
        log_q = s - s.masked_fill(same & ~positive, -torch.inf).logsumexp(dim=1, keepdim=True)
    else:
        negatives = s.masked_fill(same, -torch.inf).logsumexp(dim=1, keepdim=True)
        log_q = F.logsigmoid(s - negatives)  # log(e^s / (e^s + e^negatives)), exact where the positive wins by far
    if config.mean_over_positives == "outside_log":
        return -torch.where(positive, log_q, 0).sum(dim=1) / positives[anchors]
    return positives[anchors].log() - torch.where(positive, log_q, -torch.inf).logsumexp(dim=1)
