"""The paper's augmentation for a whole batch at once, each picture with its own parameters."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import permutations
from typing import Annotated, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor

from weakcl_pipeline.config import Config
from weakcl_pipeline.images.colour import (
    adjust_brightness_,
    adjust_contrast_,
    adjust_hue_,
    adjust_saturation_,
    to_grey_,
)
from weakcl_pipeline.images.crop import Boxes, draw_boxes, sample, sampling_points
from weakcl_pipeline.images.parallel import for_each

ORDERS: tuple[tuple[str, ...], ...] = tuple(permutations(("brightness", "contrast", "saturation", "hue")))
"""The 24 orders in which the jitter's operations can be applied; `AugmentationParameters.order` indexes them."""

UNJITTERED = -1
"""Value of `AugmentationParameters.order` for a picture without colour jitter."""

_OPERATIONS = {
    "brightness": adjust_brightness_,
    "contrast": adjust_contrast_,
    "saturation": adjust_saturation_,
    "hue": adjust_hue_,
}
_ORDER_PIXELS = 64 * 32 * 32  # pictures that share an order: 64 at 32 px, 16 at 64 px, 1 from 182 px
_CHUNK_PIXELS = 128 * 32 * 32  # 1.5 MiB of float32: smaller chunks cost more calls, larger ones leave the cache
_CHUNK_PIXELS_ON_ACCELERATOR = 1 << 24  # large kernels

Probability = Annotated[float, Field(ge=0.0, le=1.0)]
Strength = Annotated[float, Field(ge=0.0, le=1.0)]


class AugmentationConfig(Config):
    """Strength of the augmentation. The defaults are those of the Cl-InfoNCE paper's code.

    Attributes:
        crop_scale: Smallest and largest area of the crop, as a share of the picture.
        crop_ratio: Smallest and largest width / height of the crop.
        flip_probability: Share of pictures that are mirrored left to right.
        brightness: The factor is uniform in 1 - brightness .. 1 + brightness.
        contrast: Likewise.
        saturation: Likewise.
        hue: The hue is turned by -hue .. hue, in turns of the colour circle.
        jitter_probability: Share of pictures whose colours are changed.
        grey_probability: Share of pictures that become grey.
    """

    crop_scale: tuple[float, float] = (0.4, 1.0)
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip_probability: Probability = 0.5
    brightness: Strength = 0.4
    contrast: Strength = 0.4
    saturation: Strength = 0.4
    hue: float = Field(0.1, ge=0.0, le=0.5)
    jitter_probability: Probability = 0.8
    grey_probability: Probability = 0.2

    @model_validator(mode="after")
    def _check_ranges(self) -> Self:
        if not 0 < self.crop_scale[0] <= self.crop_scale[1] <= 1:
            raise ValueError(f"crop_scale must be (smallest, largest) within (0, 1], not {self.crop_scale}")
        if not 0 < self.crop_ratio[0] <= self.crop_ratio[1]:
            raise ValueError(f"crop_ratio must be (smallest, largest), both positive, not {self.crop_ratio}")
        return self


@dataclass(frozen=True)
class AugmentationParameters:
    """What is done to each of B pictures; all tensors have shape (B,) and live on the CPU.

    Attributes:
        boxes: Crop boxes, int64.
        flip: Whether to mirror, bool.
        brightness: Factor, float32.
        contrast: Factor, float32.
        saturation: Factor, float32.
        hue: Turn of the colour circle, float32.
        order: Index into `ORDERS`, or `UNJITTERED`; int64.
        grey: Whether to become grey, bool.
    """

    boxes: Boxes
    flip: Tensor
    brightness: Tensor
    contrast: Tensor
    saturation: Tensor
    hue: Tensor
    order: Tensor
    grey: Tensor

    def select(self, rows: Tensor) -> "AugmentationParameters":
        """Return the parameters of the pictures at the given row numbers."""
        chosen = {field.name: getattr(self, field.name)[rows] for field in fields(self) if field.name != "boxes"}
        return AugmentationParameters(boxes=self.boxes.select(rows), **chosen)


class Augmentation:
    """Random resized crop, flip, colour jitter and greyscale, as in the Cl-InfoNCE paper, in batches.

    Each picture's parameters follow the same distribution as torchvision's `RandomResizedCrop`,
    `RandomHorizontalFlip`, `RandomApply([ColorJitter], p)` and `RandomGrayscale` in a row, and the operations equal
    torchvision's on float pictures. Two things differ from the usual per-picture pipeline on PIL pictures:

    - The order of the four jitter operations is drawn per block of consecutive pictures (65,536 pixels: 64
      pictures at 32 px, 16 at 64 px, one from 182 px upwards) instead of per picture. Each picture's order is still
      uniform over the 24, but the orders within a block are equal, not independent.
    - Values are float32 throughout: clamped to [0, 1] after each operation, but not rounded to 1/255, and the
      crop's result is not rounded before colours change.

    Args:
        config: Strengths and probabilities.
    """

    def __init__(self, config: AugmentationConfig) -> None:
        self.config = config

    def __call__(
        self,
        images: Tensor,
        generator: torch.Generator,
        size: tuple[int, int] | None = None,
        part: tuple[Tensor, int] | None = None,
    ) -> Tensor:
        """Augment a batch on the device where it is.

        Args:
            images: uint8 of shape (B, 3, H, W), in either memory format.
            generator: CPU generator; the result depends on its state and the pictures only.
            size: Height and width of the views, at most (H, W); those of the pictures where not given.
            part: Where the pictures are some of a larger batch: their row numbers in it, int64 (B,), and its size. They
                get the views that they have there.

        Returns:
            float32 of shape (B, 3, *size) in [0, 1], contiguous, on the same device.
        """
        count, _, height, width = images.shape
        rows, total = part or (None, count)
        parameters = draw_parameters(self.config, total, height, width, generator)
        return apply_augmentation(images, parameters if rows is None else parameters.select(rows), size)


def draw_parameters(
    config: AugmentationConfig, count: int, height: int, width: int, generator: torch.Generator
) -> AugmentationParameters:
    """Draw the parameters of `count` pictures of `height` x `width` pixels (see `Augmentation`)."""
    boxes = draw_boxes(count, height, width, config.crop_scale, config.crop_ratio, generator)
    block = max(1, _ORDER_PIXELS // (height * width))
    orders = torch.randint(len(ORDERS), (-(-count // block),), generator=generator)
    jittered = torch.rand(count, generator=generator) < config.jitter_probability
    brightness, contrast, saturation = (
        torch.empty(count).uniform_(1 - strength, 1 + strength, generator=generator)
        for strength in (config.brightness, config.contrast, config.saturation)
    )
    return AugmentationParameters(
        boxes=boxes,
        flip=torch.rand(count, generator=generator) < config.flip_probability,
        brightness=brightness,
        contrast=contrast,
        saturation=saturation,
        hue=torch.empty(count).uniform_(-config.hue, config.hue, generator=generator),
        order=orders.repeat_interleave(block)[:count].masked_fill(~jittered, UNJITTERED),
        grey=torch.rand(count, generator=generator) < config.grey_probability,
    )


def apply_augmentation(
    images: Tensor, parameters: AugmentationParameters, size: tuple[int, int] | None = None
) -> Tensor:
    """Apply given parameters to a batch.

    Pictures with the same order of operations are worked on together, in chunks that fit the cache, with the grey
    ones last; no operation touches a picture that does not need it.

    Args:
        images: uint8 of shape (B, 3, H, W), in either memory format, on any device.
        parameters: B parameters, on the CPU.
        size: Height and width of the views, at most (H, W); those of the pictures where not given.

    Returns:
        float32 of shape (B, 3, *size) in [0, 1], contiguous, on the device of the pictures.
    """
    (count, _, *stored), device = images.shape, images.device
    size = size or (stored[0], stored[1])
    ranked = torch.argsort(2 * parameters.order + parameters.grey, stable=True)
    ordered = parameters.select(ranked)
    columns, lines = (axis.to(device) for axis in sampling_points(ordered.boxes, ordered.flip, *stored))
    strengths = {name: getattr(ordered, name).to(device)[:, None, None, None] for name in _OPERATIONS}
    places = ranked.to(device)
    output = torch.empty((count, 3, *size), device=device)

    def fill(chunk: slice) -> None:
        part = sample(_take(images, places[chunk]).float(), columns[chunk], lines[chunk]).mul_(1 / 255)
        if list(size) != stored:  # before the colours change, which is cheaper on fewer pixels
            part = F.interpolate(part, size=size, mode="bilinear", antialias=True)
        order = int(ordered.order[chunk.start])
        for name in ORDERS[order] if order != UNJITTERED else ():
            _OPERATIONS[name](part, strengths[name][chunk])
        to_grey_(part[len(part) - int(ordered.grey[chunk].sum()) :])
        output.index_copy_(0, places[chunk], part)

    on_cpu = device.type == "cpu"
    pixels = _CHUNK_PIXELS if on_cpu else _CHUNK_PIXELS_ON_ACCELERATOR
    chunks = _chunks(ordered.order, limit=max(1, pixels // math.prod(stored)))
    if on_cpu:
        for_each(fill, chunks)
    else:
        for chunk in chunks:
            fill(chunk)
    return output


def _chunks(order: Tensor, limit: int) -> Iterator[slice]:
    """Cut sorted orders into runs of one order and at most `limit` pictures, as equal as possible."""
    end = 0
    for run in torch.unique_consecutive(order, return_counts=True)[1].tolist():
        parts = math.ceil(run / limit)
        for part in range(parts):
            start, end = end, end + run // parts + (part < run % parts)
            yield slice(start, end)


def _take(images: Tensor, rows: Tensor) -> Tensor:
    """Copy some pictures; in channels_last memory, whole pictures at a time only if seen as (B, H, W, 3)."""
    if images.is_contiguous(memory_format=torch.channels_last):
        return images.permute(0, 2, 3, 1).index_select(0, rows).permute(0, 3, 1, 2)
    return images.index_select(0, rows)
