"""SwAV: each view of a picture predicts to which prototypes its other view was assigned."""

from typing import Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from weakcl_pipeline.config import Config
from weakcl_pipeline.contrastive.encoder import Encoder
from weakcl_pipeline.contrastive.objectives.base import (
    FULL_VIEWS,
    Batch,
    EmbedTrainSplit,
    Objective,
    Setting,
    SmallCrops,
)


class SwavConfig(Config):
    """Parameters of :class:`Swav`; the defaults are the authors', but for the number of prototypes.

    Attributes:
        name: The objective.
        prototypes: K; the authors take 3,000 for the 1,000 classes of ImageNet. Batch and queue together should hold
            more embeddings than there are prototypes to share them out to.
        temperature: T of the predictions.
        epsilon: Strength of the codes' entropy: the smaller, the sharper; 0.03 where training collapses to a loss
            of ln K.
        sinkhorn_iterations: Iterations of the balanced assignment.
        queue: Earlier embeddings of each full view that are assigned together with the batch; 0 for none. Small
            batches need them: the authors take 3,840 with a batch of 256.
        queue_start_epoch: The epoch from which the queue is used; with embeddings of a young encoder it disturbs.
        freeze_epochs: Epochs in which the prototypes stay as they are, against collapse in the beginning.
        small_crops: Further views of a picture, cut small; the authors take 6.
        small_size: Their size in pixels; the authors take 96 with full views of 224.
        small_scale: Their smallest and largest area, as a share of the picture.
    """

    name: Literal["swav"] = "swav"
    prototypes: int = Field(default=300, ge=2)
    temperature: float = Field(default=0.1, gt=0)
    epsilon: float = Field(default=0.05, gt=0)
    sinkhorn_iterations: int = Field(default=3, ge=1)
    queue: int = Field(default=0, ge=0)
    queue_start_epoch: int = Field(default=15, ge=0)
    freeze_epochs: int = Field(default=1, ge=0)
    small_crops: int = Field(default=0, ge=0)
    small_size: int = Field(default=96, ge=1)
    small_scale: tuple[float, float] = (0.05, 0.14)

    @model_validator(mode="after")
    def _check_scale(self) -> Self:
        if not 0 < self.small_scale[0] <= self.small_scale[1] <= 1:
            raise ValueError(f"small_scale must be (smallest, largest) within (0, 1], not {self.small_scale}")
        return self


class Swav(Objective):
    r"""Swapping Assignments between Views of Caron et al. (NeurIPS 2020).

    With L2-normalised embeddings z of V views of each picture, the first two of full size, and unit prototypes C, the
    codes q of the two are the balanced assignment of the batch to the prototypes by :func:`sinkhorn`, and

    .. math:: L = \operatorname{mean}_i \frac12 \sum_{s=1}^2 \frac{1}{V - 1} \sum_{t \ne s}
              - \sum_k q_{is}^{(k)} \log p_{it}^{(k)}, \qquad p_{it} = \operatorname{softmax}(C z_{it} / T)

    (eq. 2 and 6). No gradient passes through the codes. Small crops predict, but give no codes.

    The trainer calls :meth:`begin_epoch`, and optimises ``prototypes`` with the encoder. They are drawn from torch's
    global generator at construction, and scaled to unit length then and by :meth:`after_step`, which every optimiser
    step ends with: so the forward pass meets them as in the authors' code (facebookresearch/swav), from which this
    differs in:

    - The assignment works with logarithms: the same iterates, without the overflow at a small epsilon.
    - The queue fills from the first step, and serves from the first epoch, no earlier than ``queue_start_epoch``, that
      begins with a full one. The authors begin to fill it then. Its length need not be a multiple of the batch.
    - Prototypes are frozen for epochs rather than steps, so that the default suits data of any size.

    Args:
        config: Prototypes, assignment and crops.
        output_dim: Width D of the embeddings.
    """

    def __init__(self, config: SwavConfig, output_dim: int) -> None:
        super().__init__()
        self.config = config
        self.output_dim = output_dim
        self.prototypes = nn.Linear(output_dim, config.prototypes, bias=False)
        self._scale_prototypes()
        self.queue: Tensor
        self.register_buffer("queue", torch.zeros(FULL_VIEWS, config.queue, output_dim))  # newest first
        if config.small_crops:
            self.small_crops = SmallCrops(config.small_crops, config.small_size, config.small_scale)
        self.begin_epoch(0)

    def begin_epoch(self, epoch: int, embed: EmbedTrainSplit | None = None) -> dict[str, float]:
        """Decide for an epoch, counted from 0, whether prototypes learn and the queue serves."""
        self._prototypes_learn = epoch >= self.config.freeze_epochs
        is_full = bool(self.queue[:, -1:].any())  # embeddings are not zero
        self._queue_serves = is_full and epoch >= self.config.queue_start_epoch
        return {}

    @classmethod
    def build(cls, config: SwavConfig, setting: Setting) -> Self:
        """Build prototypes for the encoder's embeddings."""
        return cls(config, setting.encoder.config.head.output_dim)

    def loss(self, batch: Batch) -> Tensor:
        """Compute the loss of a batch from its embeddings."""
        loss: Tensor = self(batch.z)
        return loss

    def forward(self, z: Tensor) -> Tensor:
        """Compute the loss of a batch, and, while training, put its full views into the queue.

        Args:
            z: L2-normalised embeddings, float (V B, D) with V = 2 + ``small_crops``: the first full view of all B
                pictures, then the second, then the small crops; half precision is computed in float32.

        Returns:
            The loss in nats, a scalar.

        Raises:
            ValueError: If the embeddings are not those of V views.
        """
        n_views = FULL_VIEWS + self.config.small_crops
        if z.ndim != 2 or z.shape[1] != self.output_dim or len(z) == 0 or len(z) % n_views:
            msg = f"expected embeddings ({n_views} * B, {self.output_dim}), got {tuple(z.shape)}"
            raise ValueError(msg)
        with torch.autocast(z.device.type, enabled=False):
            z = z if z.dtype == torch.float64 else z.float()
            views = z.reshape(n_views, -1, self.output_dim)
            weight = self.prototypes.weight if self._prototypes_learn else self.prototypes.weight.detach()
            prototypes = weight.to(z.dtype)
            scores = views @ prototypes.T
            codes = self._assign(scores[:FULL_VIEWS].detach(), prototypes.detach())
            log_p = F.log_softmax(scores / self.config.temperature, dim=2)
            of_others = log_p.sum(dim=0) - log_p[:FULL_VIEWS]
            loss = -(codes * of_others).sum(dim=2).mean() / (n_views - 1)
        if self.training:
            full_views = views[:FULL_VIEWS].detach().to(self.queue.dtype)
            self.queue = torch.cat([full_views, self.queue], dim=1)[:, : self.config.queue]
        return loss

    def after_step(self, encoder: Encoder) -> None:
        """Scale the prototypes, which the optimiser has just changed, to unit length."""
        self._scale_prototypes()

    @torch.no_grad()
    def _scale_prototypes(self) -> None:
        self.prototypes.weight.copy_(F.normalize(self.prototypes.weight, dim=1))

    def _assign(self, scores: Tensor, prototypes: Tensor) -> Tensor:
        """Return the codes (2, B, K) of the full views, each balanced together with its queue."""
        batch = scores.shape[1]
        if self._queue_serves:
            scores = torch.cat([scores, self.queue.to(scores.dtype) @ prototypes.T], dim=1)
        config = self.config
        return sinkhorn(scores, config.epsilon, config.sinkhorn_iterations)[:, :batch]


def sinkhorn(scores: Tensor, epsilon: float, iterations: int) -> Tensor:
    """Assign embeddings to prototypes so that all prototypes get the same share (Sinkhorn and Knopp 1967).

    ``exp(scores / epsilon)`` is scaled in turn along embeddings, so that all prototypes have the same total, and along
    prototypes, so that each embedding is assigned once. The latter comes last and is exact, the former holds in the
    limit.

    Args:
        scores: Similarities of N embeddings to K prototypes, float (..., N, K); each matrix is balanced by itself.
        epsilon: The entropy of the assignment, in units of the scores.
        iterations: How often to scale both.

    Returns:
        The share of each prototype in each embedding's assignment, (..., N, K); sums to 1 over K.
    """
    log_shares = scores / epsilon
    for _ in range(iterations):
        log_shares = log_shares - log_shares.logsumexp(dim=-2, keepdim=True)
        log_shares = log_shares.log_softmax(dim=-1)
    return log_shares.exp()
