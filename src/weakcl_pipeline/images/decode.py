"""One encoded picture -> checked uint8 RGB pixels at the training size."""

import io
import logging
import math
from typing import Annotated, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError
from pydantic import Field

from weakcl_pipeline.config import Config
from weakcl_pipeline.images.signature import other_format, read_format

logger = logging.getLogger(__name__)

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
"""The formats that are read. Pillow knows more, but its rarer parsers are attack surface nobody needs."""

SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".webp", ".bmp", ".gif", ".tif", ".tiff")
"""How names of pictures in these formats end, in lower case."""

_PILLOW_BOMB_LIMIT = 89_478_485
_EXIF_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_GREY_STEPS = {"L;2": 85, "L;4": 17}  # Pillow's name for pixels as stored -> what one step is in eight bits
_TIFF_BITS = 258
_TIFF_PHOTOMETRIC = 262
_WHITE_IS_ZERO = 0
_TIFF_TILE_WIDTH = 322
_TIFF_TILE_LENGTH = 323

Byte = Annotated[int, Field(ge=0, le=255)]


class ImagesConfig(Config):
    """How pictures are read, checked and packed.

    Attributes:
        size: Side of the packed square pictures, in pixels.
        storage: ``pixels`` decodes every picture once, when it is packed; ``encoded`` keeps the files, which
            threads decode ahead of the training whenever they are read, for pixels that would not fit on the disk.
        max_pixels: Largest width x height that is decoded; read from the header, before any decoding. It
            cannot exceed 89,478,485, where Pillow itself begins to suspect a decompression bomb.
        max_bad_fraction: Share of the pictures that may be rejected before packing stops with an error.
        background: RGB colour under transparent pixels.
        root: What path references are relative to: a folder, a zip or tar archive, or the URL of one; None if
            the table embeds the pictures. In a run of the pipeline a path is itself relative to the project.
        max_bytes: Largest encoded picture; of an archive's member, of its unpacked bytes.
        max_archive_bytes: Largest temporary copy of an archive that is at a URL or is a compressed tar.
        timeout: Seconds to wait for a server.
        retries: Further tries when a server does not answer.
    """

    size: int = Field(32, ge=8, le=1024)
    storage: Literal["pixels", "encoded"] = "pixels"
    max_pixels: int = Field(50_000_000, ge=1, le=_PILLOW_BOMB_LIMIT)
    max_bad_fraction: float = Field(0.01, ge=0.0, le=1.0)
    background: tuple[Byte, Byte, Byte] = (255, 255, 255)
    root: str | None = None
    max_bytes: int = Field(200_000_000, ge=1)
    max_archive_bytes: int = Field(100_000_000_000, ge=1)
    timeout: float = Field(30.0, gt=0.0)
    retries: int = Field(3, ge=0)


class Box(NamedTuple):
    """A part of a picture, in pixels of the upright picture from its upper left corner; fractions are allowed."""

    left: float
    top: float
    width: float
    height: float

    def cut_out(self, image: Image.Image) -> Image.Image:
        """Return the pixels that the box touches, as far as they lie inside the picture.

        Raises:
            DecodeError: If those are none.
        """
        left, top = max(self.left, 0), max(self.top, 0)
        right, bottom = min(self.left + self.width, image.width), min(self.top + self.height, image.height)
        if not (left < right and top < bottom):  # also where a side is negative or not a number
            raise DecodeError(
                f"the box of {self.width:g}x{self.height:g} pixels at ({self.left:g}, {self.top:g}) has nothing of the"
                f" picture of {image.width}x{image.height} pixels"
            )
        return image.crop((math.floor(left), math.floor(top), math.ceil(right), math.ceil(bottom)))


class DecodeError(ValueError):
    """A picture that cannot be used.

    Attributes:
        reason: What is wrong, in words for the quarantine table.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def too_many_bytes(max_bytes: int) -> DecodeError:
    """Return the error for an encoded picture beyond `ImagesConfig.max_bytes`."""
    return DecodeError(f"too large: more than images.max_bytes = {max_bytes:,} bytes")


def decode(encoded: bytes, config: ImagesConfig, box: Box | None = None) -> NDArray[np.uint8]:
    """Decode one picture and bring it to the training size.

    The size bound is checked from the header before pixels are allocated; PNG checksums are verified, and
    incomplete data is refused. Of an animation or of several pages, the first is taken; EXIF rotation is applied;
    transparent pixels are put on the background; brightness of more than eight bits is scaled. Colour profiles are
    ignored: pixels are taken for sRGB, and CMYK inks for ideal ones. The short side (of the box, if there is one) is
    resized to `config.size` (bicubic, antialiased) and the centre is cropped in the same step; a picture of the right
    size is not resampled.

    Args:
        encoded: The file's bytes.
        config: Size, bounds and background.
        box: What to use of the picture, as far as it lies inside; everything where not given.

    Returns:
        Pixels, uint8 of shape (size, size, 3), RGB.

    Raises:
        DecodeError: If the picture cannot be used; `reason` says why.
    """
    if encoded == b"":
        raise DecodeError("empty: zero bytes")
    if len(encoded) > config.max_bytes:
        raise too_many_bytes(config.max_bytes)
    try:
        with _open(encoded) as header:
            _check_bound(header, config.max_pixels)
            header.verify()  # checks a PNG's checksums, and uses the object up
        with _open(encoded) as image:
            if box is None:  # a box is given in pixels of the full size
                _reduce_while_decoding(image, config.size)
            _scale_transparent_colour(image)
            image.load()
            upright = _turn(_to_rgb(image, config.background), _orientation(image))
            square = _resize(upright if box is None else box.cut_out(upright), config.size)
    except DecodeError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DecodeError(f"too large: more than images.max_pixels = {config.max_pixels:,} pixels") from error
    except UnidentifiedImageError as error:
        raise _unidentified(encoded) from error
    except Exception as error:  # Pillow's parsers raise nearly anything on damaged bytes
        logger.debug("A picture cannot be decoded", exc_info=True)
        raise DecodeError(f"damaged or truncated {read_format(encoded) or 'picture'}") from error
    return np.asarray(square, dtype=np.uint8)


def short_side(encoded: bytes) -> int:
    """Return the shorter side of a picture in pixels, by its header alone.

    Args:
        encoded: A picture that `decode` accepts.
    """
    with _open(encoded) as header:
        return min(header.size)


def _open(encoded: bytes) -> ImageFile.ImageFile:
    return Image.open(io.BytesIO(encoded), formats=FORMATS)


def _unidentified(encoded: bytes) -> DecodeError:
    kind = read_format(encoded)
    if kind is not None:
        return DecodeError(f"damaged or truncated, or a rare variant of {kind}")
    other = other_format(encoded)
    return DecodeError(
        f"not a picture in one of the formats {', '.join(FORMATS)}" + (f", but {other}" if other else "")
    )


def _check_bound(image: Image.Image, max_pixels: int) -> None:
    tags = getattr(image, "tag_v2", {})  # of a TIFF, whose tiles may be larger than the picture, and are decoded whole
    tile = tags.get(_TIFF_TILE_WIDTH, 0), tags.get(_TIFF_TILE_LENGTH, 0)
    if not all(isinstance(side, int) for side in tile):  # a text times a number would be a long text
        raise DecodeError("damaged or truncated TIFF")
    for what, (width, height) in {"": image.size, "a tile of ": tile}.items():
        if width * height > max_pixels:
            raise DecodeError(
                f"too large: {what}{width}x{height} = {width * height:,} pixels, "
                f"more than images.max_pixels = {max_pixels:,}"
            )


def _reduce_while_decoding(image: Image.Image, size: int) -> None:
    """Let a JPEG's decoder scale down by a power of two, to no less than twice the training size.

    The remaining factor of two is left to the antialiased resize, which hides the coarser filter.
    """
    image.draft("RGB", (2 * size, 2 * size))


def _scale_transparent_colour(image: ImageFile.ImageFile) -> None:
    """Bring the one colour that a PNG may declare transparent to eight bits; Pillow does so with its pixels alone."""
    colour = image.info.get("transparency")
    if image.format != "PNG" or colour is None:
        return
    stored = image.tile[0].args
    if stored in _GREY_STEPS:
        image.info["transparency"] = colour * _GREY_STEPS[stored]
    elif stored == "RGB;16B":
        image.info["transparency"] = tuple(channel >> 8 for channel in colour)


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation; with unreadable EXIF the picture stays as stored, for its pixels are whole."""
    try:
        return int(image.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:
        return 1


def _turn(image: Image.Image, orientation: int) -> Image.Image:
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def _to_rgb(image: Image.Image, background: tuple[int, int, int]) -> Image.Image:
    if image.mode == "F":
        raise DecodeError("floating-point pixels have no defined range of brightness")
    if image.mode == "I":
        raise DecodeError("signed or 32-bit pixels have no defined range of brightness")
    if image.mode.startswith("I;16"):
        image = _to_eight_bits(image)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        canvas = Image.new("RGBA", image.size, (*background, 255))
        return Image.alpha_composite(canvas, rgba).convert("RGB")
    return image.convert("RGB")


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Scale grey of 16 bits, or of 12 in a TIFF, to 0..255 with rounding, with transparency if one grey is declared so.

    Pillow's own conversion clips at 255 in some modes, and forgets that zero may be white.
    """
    tags = getattr(image, "tag_v2", {})  # of a TIFF
    top = 2 ** tags.get(_TIFF_BITS, (16,))[0] - 1
    values = np.asarray(image).astype(np.int64).clip(0, top)
    scaled = ((values * 255 + top // 2) // top).astype(np.uint8)
    grey = Image.fromarray(255 - scaled if tags.get(_TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO else scaled)
    transparent = image.info.get("transparency")
    if transparent is not None:
        grey.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))
    return grey


def _resize(image: Image.Image, size: int) -> Image.Image:
    if image.size == (size, size):
        return image
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    return image.resize((size, size), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side))
