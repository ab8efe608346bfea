"""Affinity InfoNCE: samples attract each other as far as their attributes are alike, without clusters."""

from collections.abc import Callable
from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from weakcl_pipeline.attributes.affinity import Affinity
from weakcl_pipeline.config import Config
from weakcl_pipeline.contrastive.logsumexp import TILE, self_excluded_logsumexp
from weakcl_pipeline.contrastive.objectives.attribute_prediction import AttributePrediction, AttributePredictionConfig
from weakcl_pipeline.contrastive.objectives.base import Batch, Objective, Setting

_STRIP = 256  # anchors whose weights are held at a time, against all samples: O(N) memory, and work for a GPU


class AffinityInfoNCEConfig(Config):
    """Parameters of :class:`AffinityInfoNCE`.

    Attributes:
        name: The objective.
        temperature: T, the divisor of the similarities.
        power: A pair weighs its affinity to this power. The larger, the less the many pairs that are hardly alike count
            beside the few that are close; but see on missing values. Affinities of 0 and 1 stay.
        prediction: How the binary attributes are predicted beside it, as in
            :class:`~weakcl_pipeline.contrastive.objectives.attribute_prediction.AttributePredictionConfig`, each by its
            bits alone, whatever its column weighs in the affinity; none leaves that out, as does a train split without
            any.
        prediction_weight: What that counts in the sum of the two losses.
        prediction_smoothing: The share of what is to be predicted that goes to related attributes, as there.
    """

    name: Literal["affinity"] = "affinity"
    temperature: float = Field(default=0.1, gt=0)
    power: float = Field(default=1.0, gt=0)
    prediction: Literal["softmax", "sigmoid"] | None = "softmax"
    prediction_weight: float = Field(default=1.0, gt=0)
    prediction_smoothing: float = Field(default=0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _smooths_a_distribution(self) -> Self:
        if self.prediction_smoothing and self.prediction != "softmax":
            raise ValueError("prediction_smoothing shares a target out, which only `prediction: softmax` has")
        return self


class AffinityInfoNCE(Objective):
    r"""InfoNCE whose positives are weighted by the affinity of their samples' attributes.

    With L2-normalised embeddings z of all views in the batch, and weights :math:`w_{ij} \ge 0`,

    .. math:: L = \operatorname{mean}_i \Bigl[ \log\sum_{a \ne i} e^{z_i \cdot z_a / T}
              - \frac{\sum_{j \ne i} w_{ij} \, z_i \cdot z_j / T}{\sum_{j \ne i} w_{ij}} \Bigr],

    where w is 1 between views of one sample, and else the affinity of the two samples to the power of
    ``config.power``, times the number of other samples in the batch over the number of those of which something is
    known in common with the anchor's. An anchor without a related sample is thus trained as in SimCLR, and affinities
    of 0 and 1 are hard clusters: :class:`ClInfoNCE`. Weights have no gradient. As there, the mean runs over the anchors
    that have a positive.

    Related: y-Aware InfoNCE (Dufumier et al., MICCAI 2021) is this loss with a Gaussian kernel on one continuous
    value; MulSupCon (Zhang and Wu, AAAI 2024) weighs positives by the overlap of labels; CCL-K (Tsai et al., ICLR
    2022) by a kernel on the attributes, through the inverse of its N x N matrix and with the logarithm outside the
    sum; X-CLR (Sobal et al., 2024) takes a softmax of similarities of captions as the target. HiMulCon (Zhang et al.,
    "Use All the Labels", CVPR 2022) has a hierarchy: a SupCon loss at each level, summed with weights by level, and a
    pair never costs less at a coarse level than at a finer one. Here all levels make one weight of a pair, by the depth
    of its common ancestor, in one loss, so hierarchies join other attributes. Rank-N-Contrast (Zha et al., NeurIPS
    2023) has a continuous target: each sample in turn is the positive of the anchor, against those alone whose target
    is at least as far. It orders all pairs and needs no kernel width, but one distance that ranks them; here far pairs
    are just unrelated, and several attributes of any kind add up. None says what a missing value is.

    **Prototypes.** A batch holds few samples that have a rare attribute in common, if any. So beside the samples of the
    batch every attribute itself is a candidate, with a prototype that is trained: the features of a view are drawn to
    the prototypes of its sample's attributes, and away from those of others, which is
    :class:`~weakcl_pipeline.contrastive.objectives.attribute_prediction.AttributePrediction`, where attributes count by
    their bits as they do in the affinity. Its loss is added; it is not part of :meth:`forward`. What is missing adds
    nothing there either.

    **Missing values.** The partition function never looks at attributes, and a pair of which nothing is known adds
    nothing to the sums of the positive term; the pairs that are known stand for those that are not, as in the estimator
    of Horvitz and Thompson (JASA 1952). If the values of an attribute are missing completely at random, the sum of an
    anchor's weights and that of its weighted similarities are therefore, in expectation, what they are without missing
    values, be affinities graded or not, and the anchor's own views keep their share beside them; their ratio, the
    positive term, has the bias of a ratio of means, which falls as one over the number of partners. An anchor of which
    nothing is known is trained as in SimCLR. One shift remains: with several attributes, a pair's affinity itself is
    estimated from fewer of them, which spreads affinities, and a power above 1 turns that into a bias towards the
    extreme ones.

    Weights are computed for a strip of anchors at a time and thrown away; time is O(N^2 D), memory O(N D).

    Args:
        config: Temperature, power and prediction.
    """

    def __init__(self, config: AffinityInfoNCEConfig | None = None) -> None:
        super().__init__()
        self.config = config or AffinityInfoNCEConfig()
        self.prediction: AttributePrediction | None = None

    affinity: Affinity

    @classmethod
    def build(cls, config: AffinityInfoNCEConfig, setting: Setting) -> Self:
        """Build the objective for the affinities of a train split, and the prototypes of its binary attributes."""
        built = cls(config)
        built.affinity = setting.affinity
        if config.prediction is not None and setting.side.has_attributes:
            by_bits = AttributePredictionConfig(
                loss=config.prediction, weights="bits", smoothing=config.prediction_smoothing
            )
            built.prediction = AttributePrediction.build(by_bits, setting)
        return built

    def loss(self, batch: Batch) -> Tensor:
        """Compute the loss of a batch from its embeddings, the affinities of its samples and their attributes."""
        loss: Tensor = self(batch.z, batch.samples, self.affinity)
        if self.prediction is not None:
            loss = loss + self.config.prediction_weight * self.prediction.loss(batch)
        return loss

    def forward(self, z: Tensor, samples: Tensor, affinity: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """Compute the loss of a batch.

        Args:
            z: L2-normalised embeddings, float (V*B, D): the first view of every sample, then the second, and so on;
                half precision is computed in float32.
            samples: The sample of each, int64 (B,): positions in the train split.
            affinity: Maps positions (A,) and (C,) to affinities in [0, 1], NaN where nothing is known of a pair, float
                (A, C), on the device of ``samples``.

        Returns:
            The loss in nats, a scalar, differentiable once; 0 where no anchor has a positive.

        Raises:
            ValueError: If the shapes do not belong together.
        """
        if z.ndim != 2 or samples.ndim != 1 or not len(samples) or len(z) % len(samples):
            msg = f"expected embeddings (V*B, D) and samples (B,), got {tuple(z.shape)} and {tuple(samples.shape)}"
            raise ValueError(msg)
        with torch.autocast(z.device.type, enabled=False):
            z = z if z.dtype == torch.float64 else z.float()
            views = z.reshape(-1, len(samples), z.shape[1])
            sums = views.sum(dim=0)
            pull, scale = _pull_of_partners(sums.detach(), samples, affinity, len(views), self.config.power)
            twice = (sums * pull).sum()  # a quadratic form is half its gradient times its argument
            of_partners = twice - twice.detach() / 2
            of_own_views = (scale * (sums.square() - views.square().sum(dim=0)).sum(dim=1)).sum()
            lse = self_excluded_logsumexp(z, self.config.temperature)
            has_positive = (scale > 0).repeat(len(views))
            total = torch.where(has_positive, lse, 0).sum() - (of_partners + of_own_views) / self.config.temperature
            loss: Tensor = total / has_positive.sum().clamp(min=1)
            return loss


@torch.no_grad()
def _pull_of_partners(
    sums: Tensor, samples: Tensor, affinity: Callable[[Tensor, Tensor], Tensor], views: int, power: float
) -> tuple[Tensor, Tensor]:
    """Compute what draws each sample's views to those of other samples.

    With s_i the sum of the views of sample i, and v_ij the weight of a view of j for a view of i after normalisation,
    the positive term of all anchors over the views of other samples is sum_ij v_ij s_i . s_j.

    Args:
        sums: s, float (B, D).
        samples: The samples, int64 (B,).
        affinity: As for :class:`AffinityInfoNCE`.
        views: V.
        power: What affinities are raised to.

    Returns:
        The gradient of that term with respect to s, (B, D); and the weight of one of the anchor's own other views
        after normalisation, (B,), 0 where the anchor has no positive.
    """
    pull, scale = torch.zeros_like(sums), sums.new_empty(len(samples))
    for start in range(0, len(samples), _STRIP):
        rows = slice(start, start + _STRIP)
        tiles = [affinity(samples[rows], columns) for columns in torch.split(samples, TILE)]
        weights = torch.cat(tiles, dim=1).to(sums.dtype)
        if weights.shape != (len(samples[rows]), len(samples)):
            msg = (
                f"expected one affinity for each pair of {len(samples)} samples, got {[tuple(t.shape) for t in tiles]}"
            )
            raise ValueError(msg)
        own = samples[rows, None] == samples
        others, known = (~own).sum(dim=1, keepdim=True), (~own & ~weights.isnan()).sum(dim=1, keepdim=True)
        weights = weights.nan_to_num_(0).pow_(power) * (others.to(sums.dtype) / known.clamp(min=1))
        weights.masked_fill_(own, 1)
        weights.diagonal(start).zero_()
        total = views * weights.sum(dim=1) + (views - 1)
        scale[rows] = torch.where(total > torch.finfo(total.dtype).tiny, 1 / total, 0)
        weights *= scale[rows, None]
        pull[rows] += weights @ sums
        pull += weights.T @ sums[rows]
    return pull, scale
