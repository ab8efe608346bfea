"""Features of stored pictures, in batches."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from weakcl_pipeline.contrastive.device import DeviceConfig, allow_tf32, autocast, resolve_device, resolve_precision
from weakcl_pipeline.contrastive.encoder import Encoder, EncoderState
from weakcl_pipeline.contrastive.feed import uploaded
from weakcl_pipeline.contrastive.group import Group
from weakcl_pipeline.images import Augmentation, ImageStore

Rows = npt.NDArray[np.int64]


def embed(
    encoder: Encoder,
    images: ImageStore,
    device: DeviceConfig | None = None,
    *,
    rows: Rows | None = None,
    projection: bool = False,
    size: int | None = None,
    batch_size: int = 512,
) -> npt.NDArray[np.float32]:
    """Compute the features of stored pictures without augmentation, the encoder in evaluation mode.

    Args:
        encoder: Moved to the device, and left there in the mode and layout it was in.
        images: The store.
        device: Where and in which precision to compute; by default what this machine is best at.
        rows: Which pictures, int64 (N,), in this order; all of them where not given.
        projection: Return the L2-normalised embeddings of the projection head instead of the backbone's features.
        size: Side that the pictures are shrunk to, in pixels; as they are stored where not given.
        batch_size: Pictures at a time.

    Returns:
        float32 (N, feature_dim), or (N, output_dim) for the projection.
    """
    rows = np.arange(len(images)) if rows is None else rows
    width = encoder.config.head.output_dim if projection else encoder.feature_dim
    embedded = torch.empty(len(rows), width)
    with _frozen(encoder, device or DeviceConfig()) as (target, dtype):
        batches = _batches(images, rows, size or images.size, batch_size, target)
        for pictures, part in zip(batches, torch.split(embedded, batch_size), strict=False):
            with autocast(target, dtype):
                features = encoder(pictures)
                part.copy_(encoder.project(features) if projection else features)
    return embedded.numpy()


@dataclass(frozen=True)
class EmbeddingJob:
    """All pictures of a store, to be embedded by an encoder.

    Attributes:
        encoder: The encoder.
        images: The store.
        device: Where and in which precision to compute.
        batch_size: Pictures at a time.
    """

    encoder: EncoderState
    images: ImageStore
    device: DeviceConfig
    batch_size: int = 512

    name = "embedding"

    def run(self, group: Group) -> npt.NDArray[np.float32]:
        """Embed whole batches on each worker, so that how many workers there are changes no batch, and so no bit."""
        rows = np.arange(len(self.images))
        batches = -(-len(rows) // self.batch_size)
        parts = [rows[self.batch_size * part.start : self.batch_size * part.stop] for part in group.parts(batches)]
        encoder = Encoder.from_state(*self.encoder)
        own = embed(encoder, self.images, self.device, rows=parts[group.rank], batch_size=self.batch_size)
        return group.collect(torch.from_numpy(own), [len(part) for part in parts]).numpy()


def embed_views(
    encoder: Encoder,
    images: ImageStore,
    augmentation: Augmentation,
    device: DeviceConfig,
    rows: Rows,
    generator: torch.Generator,
) -> Tensor:
    """Compute the features of one augmented view of each picture, the encoder in evaluation mode.

    Args:
        encoder: Moved to the device, and left there in the mode and layout it was in.
        images: The store.
        augmentation: Makes the views.
        device: Where and in which precision to compute.
        rows: Which pictures, int64 (B,).
        generator: CPU generator of the augmentation.

    Returns:
        float32 (B, feature_dim), on the device, without gradient.
    """
    with _frozen(encoder, device) as (target, dtype):
        views = augmentation(images.read(rows).to(target, non_blocking=True), generator)
        with autocast(target, dtype):
            features: Tensor = encoder(views)
        return features.float()


@contextmanager
def _frozen(encoder: Encoder, config: DeviceConfig) -> Iterator[tuple[torch.device, torch.dtype]]:
    """Put an encoder on its device and, for a while, into evaluation mode and its layout, without gradients."""
    target = resolve_device(config.name)
    allow_tf32(target, config.tf32)
    encoder.to(target)
    was_training, weights = encoder.training, [(parameter, parameter.data) for parameter in encoder.parameters()]
    try:
        if config.channels_last:
            encoder.to(memory_format=torch.channels_last)
        encoder.eval()
        with torch.no_grad():
            yield target, resolve_precision(config.precision, target)
    finally:
        for parameter, laid_out_before in weights:  # a fused optimiser walks through weights and moments side by side
            parameter.data = laid_out_before
        encoder.train(was_training)


def _batches(images: ImageStore, rows: Rows, size: int, batch_size: int, device: torch.device) -> Iterator[Tensor]:
    read = images.read_ahead(rows[start : start + batch_size] for start in range(0, len(rows), batch_size))
    for batch in uploaded(read, device):
        pictures = batch.float().div_(255)
        yield pictures if size == images.size else F.interpolate(pictures, size=size, mode="bilinear", antialias=True)
