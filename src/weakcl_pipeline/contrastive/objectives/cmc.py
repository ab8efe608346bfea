"""CMC: a picture and its attributes are two views of one thing, and find each other among the batch."""

from collections.abc import Iterator
from itertools import product
from typing import Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from weakcl_pipeline.config import Config
from weakcl_pipeline.contrastive.differentiable_once import differentiable_once
from weakcl_pipeline.contrastive.logsumexp import TILE
from weakcl_pipeline.contrastive.objectives.base import Batch, Objective, Setting
from weakcl_pipeline.contrastive.objectives.cl_infonce import ClInfoNCE, ClInfoNCEConfig


class CmcConfig(Config):
    """Parameters of :class:`Cmc`.

    Attributes:
        name: The objective.
        temperature: T, the divisor of the similarities; 0.07 in the paper.
        hidden_dim: Width of the attribute encoder's hidden layer.
        picture_weight: Weight of the picture-picture term. At 0.5, with two views of a picture, all pairs of views
            weigh the same, which is the paper's full graph; at 0, the attributes are the core view of its core graph.
        absence_tells: Whether a picture with none of the attributes has an attribute view, as all such pictures have.
            Of attributes that were looked at one by one, that is a fact; of hashtags it says nothing.
    """

    name: Literal["cmc"] = "cmc"
    temperature: float = Field(default=0.07, gt=0)
    hidden_dim: int = Field(default=256, ge=1)
    picture_weight: float = Field(default=0.5, ge=0)
    absence_tells: bool = True


class Cmc(Objective):
    r"""Contrastive Multiview Coding of Tian et al. (ECCV 2020) with a picture's attributes as a further view.

    With L2-normalised embeddings :math:`z_{vi}` of view v of picture i and :math:`a_i` of its attributes, among the
    n pictures of the batch that have an attribute view,

    .. math:: L = \operatorname{mean}_{v, i} \frac12 \Bigl[ -\log \frac{e^{z_{vi} \cdot a_i / T}}
              {\sum_j e^{z_{vi} \cdot a_j / T}} - \log \frac{e^{z_{vi} \cdot a_i / T}}
              {\sum_j e^{z_{vj} \cdot a_i / T}} \Bigr] + \lambda L_{\text{picture}}

    The bracket is the paper's loss of two views in both directions, its sum over directions and pairs of views taken
    as a mean, so that one learning rate suits it and the other objectives. :math:`L_{\text{picture}}` is
    :class:`ClInfoNCE` with one cluster per picture. The candidates are those of the batch, not of a memory bank.

    The attributes are encoded by Linear, ReLU, Linear from [value, 0 where missing; whether it is known], so that
    missing is not absent. A picture with all attributes missing has no attribute view (nor has one with all absent,
    where that tells nothing): it adds nothing to the cross term and is no candidate in it, and learns from the
    picture-picture term alone.

    Pictures with identical attributes are candidates of each other, as in the paper, and need no more care: they
    share one a, so that the pull of a and the push of its doubles are along one direction. Summed over them, both
    directions equal the loss in which each has all of them as positives (the "out" loss of SupCon). What remains is a
    floor: n doubles cost ln n at best.

    The partition functions of both directions come from one pass over tiles, which the backward pass computes anew:
    time is O(V B^2 D) and memory O(V B D) for V views of B pictures.

    Args:
        config: Temperature, attribute encoder and weight.
        n_attributes: The number of attributes A.
        output_dim: Width D of the embeddings.

    Raises:
        ValueError: If there is no attribute.
    """

    def __init__(self, config: CmcConfig, n_attributes: int, output_dim: int) -> None:
        if n_attributes < 1:
            msg = f"expected at least one attribute to encode, got {n_attributes}"
            raise ValueError(msg)
        super().__init__()
        self.config = config
        self.n_attributes, self.output_dim = n_attributes, output_dim
        self.attribute_encoder = nn.Sequential(
            nn.Linear(2 * n_attributes, config.hidden_dim), nn.ReLU(), nn.Linear(config.hidden_dim, output_dim)
        )
        self.picture_term = ClInfoNCE(ClInfoNCEConfig(temperature=config.temperature))

    attributes: Tensor

    @classmethod
    def build(cls, config: CmcConfig, setting: Setting) -> Self:
        """Build the attribute encoder for the train split's binary attributes."""
        built = cls(config, setting.attributes.shape[1], setting.encoder.config.head.output_dim)
        built.register_buffer("attributes", setting.attributes, persistent=False)
        return built

    def loss(self, batch: Batch) -> Tensor:
        """Compute the loss of a batch from its embeddings and the attributes of its samples."""
        loss: Tensor = self(batch.z, self.attributes[batch.samples])
        return loss

    def forward(self, z: Tensor, attributes: Tensor) -> Tensor:
        """Compute the loss of a batch.

        Args:
            z: L2-normalised embeddings, float (V B, D): the first view of all B pictures, then the second, and so on;
                computed in the attribute encoder's dtype, which is float32 unless it was converted.
            attributes: The attributes of each picture, float (B, A); NaN where missing.

        Returns:
            The loss in nats, a scalar, differentiable once.

        Raises:
            ValueError: If the shapes do not belong together.
        """
        if not self._belong_together(z, attributes):
            msg = (
                f"expected embeddings (V * B, {self.output_dim}) and attributes (B, {self.n_attributes}), got "
                f"{tuple(z.shape)} and {tuple(attributes.shape)}"
            )
            raise ValueError(msg)
        with torch.autocast(z.device.type, enabled=False):
            encoded, batch = self.encode(attributes), len(attributes)
            z = z.to(encoded.dtype)
            tells = ~attributes.isnan() if self.config.absence_tells else attributes == 1
            has_attributes = tells.any(dim=1)
            loss = self._cross_term(z.reshape(-1, batch, self.output_dim), encoded, has_attributes)
            if self.config.picture_weight:
                pictures = torch.arange(batch, device=z.device).repeat(len(z) // batch)
                loss = loss + self.config.picture_weight * self.picture_term(z, pictures)
            return loss

    def encode(self, attributes: Tensor) -> Tensor:
        """Embed attributes, float (B, A) with NaN where missing: L2-normalised, float (B, D)."""
        known = ~attributes.isnan()
        inputs = torch.cat([attributes.nan_to_num(nan=0), known], dim=1)
        dtype = next(self.attribute_encoder.parameters()).dtype
        return F.normalize(self.attribute_encoder(inputs.to(dtype)), dim=1)

    def _belong_together(self, z: Tensor, attributes: Tensor) -> bool:
        return (
            z.ndim == attributes.ndim == 2
            and (z.shape[1], attributes.shape[1]) == (self.output_dim, self.n_attributes)
            and min(len(z), len(attributes)) > 0
            and len(z) % len(attributes) == 0
        )

    def _cross_term(self, views: Tensor, attributes: Tensor, has_attributes: Tensor) -> Tensor:
        """Return the mean InfoNCE of pictures (V, B, D) and attributes (B, D) in both directions."""
        temperature = self.config.temperature
        similarity = (views * attributes).sum(dim=-1) / temperature
        # Of each view: (V, 2, B), the partition functions over attributes and over pictures.
        partitions = torch.stack(
            [torch.stack(_CrossPartitions.apply(view, attributes, has_attributes, temperature)) for view in views]
        )
        per_pair = partitions.mean(dim=1) - similarity
        return torch.where(has_attributes, per_pair, 0).sum() / (len(views) * has_attributes.sum()).clamp(min=1)


def _tiles(x: Tensor, y: Tensor, known: Tensor, temperature: float) -> Iterator[tuple[slice, slice, Tensor]]:
    """Yield the tiles of ``x y^T / T``, with pairs that are not known on both sides at the lowest finite number.

    Minus infinity in its place would make NaN of a row without a candidate.
    """
    blocks = [slice(start, min(start + TILE, len(x))) for start in range(0, len(x), TILE)]
    for rows, columns in product(blocks, blocks):
        logits = x[rows] / temperature @ y[columns].T
        left_out = ~(known[rows, None] & known[None, columns])
        yield rows, columns, logits.masked_fill_(left_out, torch.finfo(logits.dtype).min)


class _CrossPartitions(torch.autograd.Function):
    """``log sum_j exp(x_i . y_j / T)`` of each i, and ``log sum_i exp(x_i . y_j / T)`` of each j, both float (B,)."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, y: Tensor, known: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
        of_rows, of_columns = x.new_full((2, len(x)), -torch.inf)
        for rows, columns, logits in _tiles(x, y, known, temperature):
            of_rows[rows] = torch.logaddexp(of_rows[rows], logits.logsumexp(dim=1))
            of_columns[columns] = torch.logaddexp(of_columns[columns], logits.logsumexp(dim=0))
        ctx.save_for_backward(x, y, known, of_rows, of_columns)
        ctx.temperature = temperature  # type: ignore[attr-defined]
        return of_rows, of_columns

    @staticmethod
    @differentiable_once
    def backward(ctx: FunctionCtx, grad_rows: Tensor, grad_columns: Tensor) -> tuple[Tensor, Tensor, None, None]:
        """Weigh each pair by its softmax in its row and in its column, in tiles computed anew."""
        x, y, known, of_rows, of_columns = ctx.saved_tensors  # type: ignore[attr-defined]
        temperature = ctx.temperature  # type: ignore[attr-defined]
        grad_x, grad_y = torch.zeros_like(x), torch.zeros_like(y)
        for rows, columns, logits in _tiles(x, y, known, temperature):
            weights = (logits - of_rows[rows, None]).exp_().mul_(grad_rows[rows, None])
            weights += logits.sub_(of_columns[None, columns]).exp_().mul_(grad_columns[None, columns])
            grad_x[rows].addmm_(weights, y[columns])
            grad_y[columns].addmm_(weights.T, x[rows])
        return grad_x / temperature, grad_y / temperature, None, None
