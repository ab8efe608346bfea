"""Colour changes of a batch in place, each picture with its own strength.

All functions take pictures as float32 of shape (B, 3, H, W) with values in [0, 1] and a strength of shape
(B, 1, 1, 1). They equal the functions of the same name in `torchvision.transforms.v2.functional` on float
pictures, one picture at a time, up to float rounding.
"""

import torch
from torch import Tensor

_LUMA = (0.2989, 0.587, 0.114)  # torchvision's weights; they sum to 0.9999
_TINY = 1e-12


def adjust_brightness_(images: Tensor, factor: Tensor) -> None:
    """Multiply by `factor` (0 is black, 1 changes nothing)."""
    images.mul_(factor).clamp_(0, 1)


def adjust_contrast_(images: Tensor, factor: Tensor) -> None:
    """Move away from the picture's mean grey by `factor` (0 is that grey, 1 changes nothing)."""
    weights = images.new_tensor(_LUMA)
    mean = (images.mean((2, 3)) * weights).sum(1)
    _blend_(images, mean[:, None, None, None], factor)


def adjust_saturation_(images: Tensor, factor: Tensor) -> None:
    """Move away from each pixel's grey by `factor` (0 is that grey, 1 changes nothing)."""
    _blend_(images, luminance(images), factor)


def adjust_hue_(images: Tensor, turns: Tensor) -> None:
    """Turn each pixel's hue by `turns` of the colour circle, in [-0.5, 0.5] (0 changes nothing).

    With V and m the largest and smallest channel and C = V - m, the hue in sixths of a turn is
    h = 2 + (g + b - r - V) / C where g >= b and, as the circle is symmetric in green and blue, -h where g < b: no
    choice between three cases is needed. With a turned hue t in [0, 1) each channel is m plus a clipped ramp:
    r = m + C (clip(|6t - 3|) - 1), g = m + C (2 - clip(|6t - 2|)), b = m + C (2 - clip(|6t - 4|)), where clip
    limits to [1, 2].
    """
    red, green, blue = images.unbind(1)
    low, value = torch.minimum(green, blue), torch.maximum(green, blue)
    torch.minimum(low, red, out=low)
    torch.maximum(value, red, out=value)
    chroma = value - low
    hue = torch.add(green, blue).sub_(red).sub_(value)
    scratch = torch.mul(chroma, 6).clamp_(min=_TINY)  # a grey pixel has no hue; any will do, for its C is 0
    hue.div_(scratch).add_(1 / 3)
    torch.sub(green, blue, out=scratch)
    hue.copysign_(scratch).add_(turns[:, 0] + 1).frac_()
    rising = low.sub_(chroma)  # m + C (u - 1) = (m - C) + C u
    falling = value.add_(chroma)  # m + C (2 - u) = (V + C) - C u
    ramps = ((red, rising, 1 / 2, 6), (green, falling, 1 / 3, -6), (blue, falling, 2 / 3, -6))
    for channel, start, centre, slope in ramps:
        torch.sub(hue, centre, out=scratch).abs_().clamp_(1 / 6, 1 / 3)
        torch.addcmul(start, chroma, scratch, value=slope, out=channel)
    images.clamp_(0, 1)  # rounding alone can leave the range


def to_grey_(images: Tensor) -> None:
    """Replace all channels by the luminance."""
    images.copy_(luminance(images).expand_as(images))


def luminance(images: Tensor) -> Tensor:
    """Return each pixel's grey, the weighted sum of its channels: (B, 1, H, W)."""
    red, green, blue = torch.chunk(images, 3, dim=1)
    return torch.mul(red, _LUMA[0]).add_(green, alpha=_LUMA[1]).add_(blue, alpha=_LUMA[2])


def _blend_(images: Tensor, other: Tensor, factor: Tensor) -> None:
    images.mul_(factor).add_(other * (1 - factor)).clamp_(0, 1)
