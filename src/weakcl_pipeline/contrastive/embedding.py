"""Features of stored pictures, in batches."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from weakcl_pipeline.contrastive.device import DeviceConfig, autocast, resolve_device, resolve_precision
from weakcl_pipeline.contrastive.encoder import Encoder
from weakcl_pipeline.images import PackedImages

Rows = npt.NDArray[np.int64]


def embed(
    encoder: Encoder,
    images: PackedImages,
    device: DeviceConfig | None = None,
    *,
    rows: Rows | None = None,
    projection: bool = False,
    size: int | None = None,
    batch_size: int = 512,
) -> npt.NDArray[np.float32]:
    """Compute the features of stored pictures without augmentation, the encoder in evaluation mode.

    Args:
        encoder: Moved to the device, and left there in the mode it was in.
        images: The store.
        device: Where and in which precision to compute; by default what this machine is best at.
        rows: Which pictures, int64 (N,), in this order; all of them where not given.
        projection: Return the L2-normalised embeddings of the projection head instead of the backbone's features.
        size: Side that the pictures are shrunk to, in pixels; as they are stored where not given.
        batch_size: Pictures at a time.

    Returns:
        float32 (N, feature_dim), or (N, output_dim) for the projection.
    """
    device = device or DeviceConfig()
    target = resolve_device(device.name)
    dtype = resolve_precision(device.precision, target)
    rows = np.arange(len(images)) if rows is None else rows
    encoder = encoder.to(target)
    if device.channels_last:
        encoder = encoder.to(memory_format=torch.channels_last)
    was_training = encoder.training
    encoder.eval()
    with torch.inference_mode():
        parts = []
        for pictures in _batches(images, rows, size or images.size, batch_size, target):
            with autocast(target, dtype):
                features = encoder(pictures)
                parts.append((encoder.project(features) if projection else features).float().cpu().numpy())
    encoder.train(was_training)
    return np.concatenate(parts)


def _batches(images: PackedImages, rows: Rows, size: int, batch_size: int, device: torch.device) -> Iterator[Tensor]:
    for start in range(0, len(rows), batch_size):
        pictures = images.read(rows[start : start + batch_size]).to(device).float().div_(255)
        yield pictures if size == images.size else F.interpolate(pictures, size=size, mode="bilinear", antialias=True)
