"""Random resized crop and flip of a whole batch, each picture with its own box."""

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

_ATTEMPTS = 10


@dataclass(frozen=True)
class Boxes:
    """Crop boxes in whole pixels: four int64 tensors of shape (B,)."""

    top: Tensor
    left: Tensor
    height: Tensor
    width: Tensor

    def select(self, rows: Tensor) -> "Boxes":
        """Return the boxes at the given row numbers."""
        return Boxes(self.top[rows], self.left[rows], self.height[rows], self.width[rows])


def draw_boxes(
    count: int,
    height: int,
    width: int,
    scale: tuple[float, float],
    ratio: tuple[float, float],
    generator: torch.Generator,
) -> Boxes:
    """Draw crop boxes as torchvision's `RandomResizedCrop.get_params` does, for all pictures at once.

    For each picture ten areas (uniform) and aspect ratios (log-uniform) are drawn, and the first box that fits is
    taken; if none does, the largest central box whose ratio is allowed.

    Args:
        count: Number of boxes B.
        height: Height of the pictures in pixels.
        width: Width of the pictures in pixels.
        scale: Smallest and largest area, as a share of the picture.
        ratio: Smallest and largest width / height.
        generator: CPU generator.
    """
    shape = (count, _ATTEMPTS)
    area = _uniform(shape, scale, generator) * (height * width)
    aspect = np.exp(_uniform(shape, (math.log(ratio[0]), math.log(ratio[1])), generator))
    heights, widths = np.rint(np.sqrt(area / aspect)), np.rint(np.sqrt(area * aspect))
    fits = (widths > 0) & (widths <= width) & (heights > 0) & (heights <= height)
    first = (np.arange(count), fits.argmax(axis=1))
    box_height, box_width = heights[first], widths[first]
    place = _uniform((2, count), (0.0, 1.0), generator)
    top = np.floor(place[0] * (height - box_height + 1))
    left = np.floor(place[1] * (width - box_width + 1))
    drawn, central = (top, left, box_height, box_width), _central_box(height, width, ratio)
    sides = (np.where(fits[first], a, b).astype(np.int64) for a, b in zip(drawn, central, strict=True))
    return Boxes(*map(torch.from_numpy, sides))


def sampling_points(boxes: Boxes, flip: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Return where the pixels of the stretched and mirrored crops lie in the pictures.

    Along each axis output pixel i of `size` lies at start + (i + 1/2) length / size - 1/2, in pixels, moved to
    the box's outermost pixel centres where it would leave them, so that nothing outside the box bleeds in.

    Args:
        boxes: B boxes.
        flip: Which crops to mirror left to right, bool of shape (B,).
        height: Height of the pictures, before and after, in pixels.
        width: Width, likewise.

    Returns:
        Columns (B, width) and rows (B, height), float32, in the units of `grid_sample` (-1 and 1 are the
        picture's edges).
    """
    columns = _points_of_axis(boxes.left, boxes.width, width)
    rows = _points_of_axis(boxes.top, boxes.height, height)
    return torch.where(flip[:, None], columns.flip(1), columns), rows


def sample(images: Tensor, columns: Tensor, rows: Tensor) -> Tensor:
    """Read pictures at the given points, bilinearly.

    With the points of `sampling_points` this equals torchvision's `resized_crop` (bilinear; antialiasing has no
    effect, as a box is never larger than the result) followed by `horizontal_flip`.

    Args:
        images: float32 of shape (B, 3, H, W), in either memory format.
        columns: As `sampling_points` returns them, on the same device.
        rows: Likewise.

    Returns:
        float32 of shape (B, 3, H, W), contiguous.
    """
    shape = (len(images), rows.shape[1], columns.shape[1])
    grid = torch.stack((columns[:, None, :].expand(shape), rows[:, :, None].expand(shape)), dim=-1)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _points_of_axis(start: Tensor, length: Tensor, size: int) -> Tensor:
    centres = torch.arange(size, dtype=torch.float64) + 0.5
    offsets = (centres * length[:, None] / size - 0.5).clamp_(min=0).minimum(length[:, None] - 1.0)
    return ((2 * (start[:, None] + offsets) + 1) / size - 1).float()


def _uniform(shape: tuple[int, int], bounds: tuple[float, float], generator: torch.Generator) -> NDArray[np.float64]:
    """Draw float64 numbers, for NumPy: PyTorch splits roots and exponentials of even a few thousand over its threads.

    Waiting for those threads takes longer than the work where another program has the cores.
    """
    return torch.empty(shape, dtype=torch.float64).uniform_(*bounds, generator=generator).numpy()


def _central_box(height: int, width: int, ratio: tuple[float, float]) -> tuple[int, int, int, int]:
    box_height, box_width = height, width
    if width / height < ratio[0]:
        box_height = round(width / ratio[0])
    elif width / height > ratio[1]:
        box_width = round(height * ratio[1])
    return (height - box_height) // 2, (width - box_width) // 2, box_height, box_width
