"""Attribute prediction: a linear classifier on the features predicts each picture's attributes."""

from typing import Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from weakcl_pipeline.attributes.affinity import information_content
from weakcl_pipeline.config import Config
from weakcl_pipeline.contrastive.objectives.base import Batch, Objective, Setting

_RAREST = 1e-7  # keeps the prior of an attribute that all or no pictures have from an infinite bias


class AttributePredictionConfig(Config):
    """Parameters of :class:`AttributePrediction`.

    Attributes:
        name: The objective.
        loss: ``softmax`` treats the attributes as rivals for one prediction, ``sigmoid`` each on its own. Mahajan et
            al. found sigmoid significantly worse on hashtags, where a tag that is not given says little. Take sigmoid
            where absence was annotated as carefully as presence, or where many pictures have no attribute at all.
        weights: Whether attributes count alike (``equal``, as published), or each by its information content
            (``bits``): -log2 of the share of the pictures that have it, so that rare ones count more.
        smoothing: The share of a picture's target that goes from its attributes to :func:`related` ones, which nobody
            may have thought of; for ``softmax``.
    """

    name: Literal["attribute_prediction"] = "attribute_prediction"
    loss: Literal["softmax", "sigmoid"] = "softmax"
    weights: Literal["equal", "bits"] = "equal"
    smoothing: float = Field(default=0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _smooths_a_distribution(self) -> Self:
        if self.smoothing and self.loss != "softmax":
            raise ValueError(f"smoothing shares a target out, which the loss {self.loss!r} does not have; take softmax")
        return self


class AttributePrediction(Objective):
    r"""Prediction of the attributes themselves, with logits :math:`l_i = W h_i + b` on the features h of view i.

    ``softmax`` is the objective of Mahajan et al., "Exploring the Limits of Weakly Supervised Pretraining" (ECCV
    2018, section 2): the cross-entropy to a target of 1/k for each of the k attributes in the set P(i) of those that
    the picture has. With K(i) the attributes known of it,

    .. math:: L = \operatorname{mean}_{i : k_i > 0} \Bigl[ \log\sum_{a \in K(i)} e^{l_{ia}}
              - \frac{1}{k_i} \sum_{a \in P(i)} l_{ia} \Bigr]

    ``sigmoid`` is the binary cross-entropy of each attribute, where :math:`y_{ia}` is 1 or 0,

    .. math:: L = \operatorname{mean}_{i, a \in K(i)} \bigl[ -y_{ia} \log \sigma(l_{ia})
              - (1 - y_{ia}) \log (1 - \sigma(l_{ia})) \bigr]

    Where attributes count by their bits, the mean over P(i), or over all i and a, is one with these weights.

    With ``smoothing``, the target of ``softmax`` is no longer on P(i) alone: that share of each attribute's part goes
    to the known ones among those that it is :func:`related` to. This is label smoothing (Szegedy et al., "Rethinking
    the Inception Architecture", CVPR 2016, section 7) towards what tends to come with an attribute, and not towards
    all others alike.

    A missing cell adds nothing to either: it is no target, and not in the partition function of its picture. Nor do
    pictures without any present attribute (``softmax``) or any known one (``sigmoid``): the mean is over the others.

    Where the attributes' frequencies are given, the bias starts at what predicts them without looking at the picture:
    their log-odds (``sigmoid``, as in Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017, section 3.3), or
    their logarithms (``softmax``). From a bias near 0, the gradients of the first steps would mostly tell that rare
    attributes are rare, and the features would move with them.

    Args:
        config: Which of the two, and what attributes count.
        feature_dim: Width F of the features.
        n_attributes: The number of attributes A.
        frequencies: Share of the pictures that have each attribute, of those where it is known: float (A,) in [0, 1],
            for instance ``attributes.nanmean(dim=0)`` of the train split. NaN, for never known, is taken for one half.
        relations: What :func:`related` returns for the train split, float (A, A); needed for smoothing alone.

    Raises:
        ValueError: If there is no attribute, another number of frequencies, none where attributes count by bits, or
            there are no relations to smooth by.
    """

    weights: Tensor
    relations: Tensor | None

    trains_head = False

    def __init__(
        self,
        config: AttributePredictionConfig,
        feature_dim: int,
        n_attributes: int,
        frequencies: Tensor | None = None,
        relations: Tensor | None = None,
    ) -> None:
        if n_attributes < 1:
            msg = f"expected at least one attribute to predict, got {n_attributes}"
            raise ValueError(msg)
        if frequencies is not None and frequencies.shape != (n_attributes,):
            msg = f"expected frequencies ({n_attributes},), one an attribute, got {tuple(frequencies.shape)}"
            raise ValueError(msg)
        if frequencies is None and config.weights == "bits":
            msg = "expected frequencies, which the bits of attributes come from"
            raise ValueError(msg)
        if config.smoothing and (relations is None or relations.shape != (n_attributes, n_attributes)):
            found = "none" if relations is None else str(tuple(relations.shape))
            msg = f"expected relations ({n_attributes}, {n_attributes}), by which targets are smoothed, got {found}"
            raise ValueError(msg)
        super().__init__()
        self.config = config
        self.classifier = nn.Linear(feature_dim, n_attributes)
        weights = torch.ones(n_attributes)
        if frequencies is not None:
            self._start_at(frequencies)
            weights = information_content(frequencies) if config.weights == "bits" else weights
        self.register_buffer("weights", weights, persistent=False)
        self.register_buffer("relations", relations, persistent=False)

    attributes: Tensor

    @classmethod
    def build(cls, config: AttributePredictionConfig, setting: Setting) -> Self:
        """Build the classifier of the train split's binary attributes, each starting at its frequency."""
        attributes = setting.attributes
        relations = related(attributes) if config.smoothing else None
        built = cls(config, setting.encoder.feature_dim, attributes.shape[1], attributes.nanmean(dim=0), relations)
        built.register_buffer("attributes", attributes, persistent=False)
        return built

    def loss(self, batch: Batch) -> Tensor:
        """Compute the loss of a batch from its features and the attributes of its samples."""
        loss: Tensor = self(batch.features, batch.per_view(self.attributes[batch.samples]))
        return loss

    def forward(self, features: Tensor, attributes: Tensor) -> Tensor:
        """Compute the loss of a batch.

        Args:
            features: The backbone's features of all views, float (N, F); computed in the classifier's dtype, which is
                float32 unless it was converted.
            attributes: The attributes of each view's picture, float (N, A): 1 present, 0 absent, NaN missing.

        Returns:
            The loss in nats, a scalar: an average over pictures (``softmax``) or known cells (``sigmoid``); 0 where
            there are none.

        Raises:
            ValueError: If the shapes do not belong together.
        """
        n_attributes, width = self.classifier.weight.shape
        n_views = features.shape[:1]
        if features.shape != (*n_views, width) or attributes.shape != (*n_views, n_attributes):
            msg = (
                f"expected features (N, {width}) and attributes (N, {n_attributes}), got {tuple(features.shape)} and "
                f"{tuple(attributes.shape)}"
            )
            raise ValueError(msg)
        with torch.autocast(features.device.type, enabled=False):
            logits = self.classifier(features.to(self.classifier.weight.dtype))
            known = ~attributes.isnan()
            present = attributes.nan_to_num(nan=0).to(logits.dtype)
            weights = self.weights.to(logits.dtype)
            if self.config.loss == "sigmoid":
                return _sigmoid_loss(logits, present, known, weights)
            return _softmax_loss(logits, self._smoothed(present * weights) * known, known)

    def _smoothed(self, targets: Tensor) -> Tensor:
        if self.relations is None:
            return targets
        return torch.lerp(targets, targets @ self.relations.to(targets.dtype), self.config.smoothing)

    @torch.no_grad()
    def _start_at(self, frequencies: Tensor) -> None:
        prior = frequencies.nan_to_num(nan=0.5).clamp(_RAREST, 1 - _RAREST)
        self.classifier.bias.copy_(prior.log() if self.config.loss == "softmax" else prior.logit())


@torch.no_grad()
def related(attributes: Tensor) -> Tensor:
    r"""Compute which attributes tend to come with each, and how a target on it is shared out among them.

    .. math:: R_{ab} \propto P(b \mid a) \, \max\Bigl(0, \log \frac{P(b \mid a)}{P(b)}\Bigr), \qquad b \ne a,

    with rows that add up to 1: as much to b as it is often there with a, and as it is more often there than elsewhere.
    An attribute that none tends to come with keeps its target. P(b|a) is of the pictures that have a and of which b is
    known, so a missing cell tells nothing.

    Args:
        attributes: The attributes of N pictures, float (N, A): 1 present, 0 absent, NaN missing.

    Returns:
        R, float (A, A), on the device of ``attributes``.
    """
    present, known = attributes.nan_to_num(nan=0), (~attributes.isnan()).to(attributes.dtype)
    given = present.T @ present / _or_one(present.T @ known)
    ratio = given / _or_one(attributes.nanmean(dim=0).nan_to_num(nan=0))
    shares = (given * ratio.clamp(min=1).log()).fill_diagonal_(0)
    totals = shares.sum(dim=1)
    shares.diagonal().copy_(totals == 0)
    return shares / _or_one(totals)[:, None]


def _softmax_loss(logits: Tensor, targets: Tensor, known: Tensor) -> Tensor:
    totals = targets.sum(dim=1)
    # The lowest finite number instead of minus infinity: a picture with nothing known stays free of NaN.
    partition = logits.masked_fill(~known, torch.finfo(logits.dtype).min).logsumexp(dim=1)
    per_picture = partition - (targets * logits).sum(dim=1) / _or_one(totals)
    return torch.where(totals > 0, per_picture, 0).sum() / (totals > 0).sum().clamp(min=1)


def _sigmoid_loss(logits: Tensor, present: Tensor, known: Tensor, weights: Tensor) -> Tensor:
    per_cell = F.binary_cross_entropy_with_logits(logits, present, reduction="none")
    of_cells = known * weights
    return (of_cells * per_cell).sum() / _or_one(of_cells.sum())


def _or_one(totals: Tensor) -> Tensor:
    """Return totals to divide by: what they divide is 0 where they are."""
    return torch.where(totals > 0, totals, 1)
