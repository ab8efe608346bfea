"""What a training and its objective tell each other."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from weakcl_pipeline.attributes.affinity import Affinity
from weakcl_pipeline.contrastive.encoder import Encoder
from weakcl_pipeline.contrastive.group import Shard
from weakcl_pipeline.errors import InputError

Rows = npt.NDArray[np.int64]
FULL_VIEWS = 2
EmbedTrainSplit = Callable[[Encoder], Shard]


@dataclass(frozen=True)
class SmallCrops:
    """Further views of each picture, cut small (multi-crop, Caron et al., NeurIPS 2020).

    Attributes:
        count: How many of each picture.
        size: Their side in pixels.
        scale: Their smallest and largest area, as a share of the picture.
    """

    count: int
    size: int
    scale: tuple[float, float]


@dataclass(frozen=True)
class Batch:
    """B samples in V views: one view of all samples after the other, the two of full size first.

    Attributes:
        keys: Embeddings of the two views of full size by the objective's own encoder, float32 (2 B, D); none where it
            has none.
        features: The backbone's, float (V B, F).
        z: L2-normalised embeddings of the projection head, float32 (V B, D).
        samples: Positions in the train split, int64 (B,).
        clusters: The cluster of each sample, int64 (B,); negative for none.
    """

    keys: Tensor | None
    features: Tensor
    z: Tensor
    samples: Tensor
    clusters: Tensor

    def per_view(self, of_samples: Tensor) -> Tensor:
        """Repeat what belongs to samples, (B, ...), for all views: (V B, ...)."""
        return of_samples.repeat(len(self.z) // len(of_samples), *[1] * (of_samples.ndim - 1))


@dataclass(frozen=True)
class SideInformation:
    """What is known of the train split beside clusters, for the objectives that use it.

    Attributes:
        attributes: Binary attributes, float32 (N, A): 1, 0, or NaN for missing.
        affinity: How alike samples are by their attributes.
    """

    attributes: Tensor | None = None
    affinity: Affinity | None = None

    @property
    def has_attributes(self) -> bool:
        """Whether there is a binary attribute."""
        return self.attributes is not None and self.attributes.shape[1] > 0

    def describe(self) -> str:
        """Return a digest by which a training on it is recognised."""
        digest = sha256()
        tensors = [] if self.attributes is None else [self.attributes]
        tensors += [] if self.affinity is None else list(self.affinity.buffers())
        for tensor in tensors:
            digest.update(tensor.cpu().contiguous().numpy().data)
        return digest.hexdigest()


@dataclass(frozen=True)
class Setting:
    """What an objective is built from.

    Attributes:
        encoder: As it is before training.
        clusters: Of the train split before the first epoch, int64 (N,); negative for none.
        side: What else is known of the train split.
        seed: The run's.
    """

    encoder: Encoder
    clusters: Rows
    side: SideInformation
    seed: int

    @property
    def attributes(self) -> Tensor:
        """The binary attributes.

        Raises:
            InputError: If there are none.
        """
        if self.side.attributes is None or not self.side.has_attributes:
            msg = (
                "no binary attribute to learn from; lower ingestion.attributes.<column>.min_count, or use other columns"
            )
            raise InputError(msg)
        return self.side.attributes

    @property
    def affinity(self) -> Affinity:
        """How alike samples are.

        Raises:
            ValueError: If that is not known.
        """
        if self.side.affinity is None:
            msg = "expected side information with an affinity"
            raise ValueError(msg)
        return self.side.affinity


class Objective(nn.Module, ABC):
    """What a training minimises; its parameters are trained with the encoder's, its buffers kept in checkpoints."""

    small_crops: SmallCrops | None = None
    warmup_epochs: int = 0
    """How many epochs pass before it clusters for the first time; 0 where it clusters nothing."""
    trains_head: bool = True
    """Whether it compares the embeddings of the projection head, and not the backbone's features alone."""

    @classmethod
    @abstractmethod
    def build(cls, config: Any, setting: Setting) -> Self:
        """Build the objective for a train split."""

    @property
    def key_encoder(self) -> Encoder | None:
        """An encoder of its own, in evaluation mode, that embeds the full views, too: in autocast, without gradient."""
        return None

    def kept_buffers(self) -> list[Tensor]:
        """Return the buffers that checkpoints hold: not the tables of the train split, which never change."""
        kept = self.state_dict().keys()
        return [buffer for name, buffer in self.named_buffers() if name in kept]

    @abstractmethod
    def loss(self, batch: Batch) -> Tensor:
        """Compute the loss of a batch in nats, a scalar; called in the autocast of the training."""

    def begin_epoch(self, epoch: int, embed: EmbedTrainSplit) -> dict[str, float]:
        """Prepare for an epoch, counted from 0; return figures for its row of the history.

        Args:
            epoch: The epoch that is about to begin.
            embed: Computes the projections of the whole train split by an encoder, (N, D), each worker its part.
        """
        return {}

    def after_step(self, encoder: Encoder) -> None:
        """Follow the encoder, which the optimiser has just changed."""


def separate(clusters: Tensor) -> Tensor:
    """Give every sample without a cluster one of its own.

    Args:
        clusters: The cluster of each sample, int64 (B,); negative for none.

    Returns:
        int64 (B,), from 0.
    """
    if not len(clusters):
        return clusters
    alone = clusters.max() + 1 + torch.arange(len(clusters), device=clusters.device)
    return torch.where(clusters < 0, alone, clusters)
