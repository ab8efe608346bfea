import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFile, ImageOps
from pydantic import ValidationError

from tests.images.encoders import png_chunk
from weakcl_pipeline.images.decode import FORMATS, Box, DecodeError, ImagesConfig, decode

CONFIG = ImagesConfig(size=32)


def encode(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def smooth(height, width):
    """A picture without sharp edges, so that lossy formats change it little."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack((x * 255 // width, y * 255 // height, (x + y) * 255 // (width + height)), -1).astype(np.uint8)


def png_header(width, height):
    """A valid PNG of any size in a few bytes; its pixel data is missing."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + png_chunk(b"IDAT", zlib.compress(b""))
        + png_chunk(b"IEND", b"")
    )


def webp_header(width, height):
    body = struct.pack("<I", 0) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    chunk = b"VP8X" + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


def gif_header(width, height):
    screen = b"GIF89a" + struct.pack("<HHBBB", width, height, 0, 0, 0)
    return screen + b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x4c\x01\x00;"


def bmp_header(width, height):
    return (
        b"BM"
        + struct.pack("<IHHI", 54, 0, 0, 54)
        + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    )


class TestPixels:
    def test_picture_of_the_right_size_is_not_changed(self):
        pixels = noise(32, 32, 3)
        decoded = decode(encode(Image.fromarray(pixels)), CONFIG)
        assert decoded.dtype == np.uint8
        assert np.array_equal(decoded, pixels)

    @pytest.mark.parametrize("kind", FORMATS)
    def test_every_allowed_format(self, kind):
        pixels = smooth(32, 32)
        options = {"lossless": True} if kind == "WEBP" else {}
        decoded = decode(encode(Image.fromarray(pixels), kind, **options), CONFIG)
        lossy = kind in {"JPEG", "GIF"}
        assert np.abs(decoded.astype(int) - pixels).max() <= (48 if lossy else 0)

    @pytest.mark.parametrize(("height", "width"), [(64, 48), (50, 97), (20, 31), (1, 200), (3000, 33)])
    def test_resizes_the_short_side_and_crops_the_centre(self, height, width):
        image = Image.fromarray(smooth(height, width))
        side = min(height, width)
        left, top = (width - side) // 2, (height - side) // 2
        square = image.crop((left, top, left + side, top + side))
        expected = np.asarray(square.resize((32, 32), Image.Resampling.BICUBIC)).astype(int)
        tolerance = 2 + 255 * 32 // (32 * max(width, height))  # half a source pixel where the margin is odd
        assert np.abs(decode(encode(image), CONFIG) - expected).max() <= tolerance

    def test_shrinking_is_antialiased(self):
        stripes = np.zeros((256, 256, 3), np.uint8)
        stripes[:, ::2] = 255
        assert np.abs(decode(encode(Image.fromarray(stripes)), CONFIG)[:, 2:-2].astype(int) - 127).max() <= 3

    @pytest.mark.parametrize(("pixels", "tolerance"), [(smooth(700, 600), 6), (noise(256, 256, 3), 12)])
    def test_large_jpeg_is_close_to_full_decoding(self, pixels, tolerance):
        encoded = encode(Image.fromarray(pixels), "JPEG", quality=95)
        whole = Image.open(io.BytesIO(encoded))
        expected = np.asarray(ImageOps.fit(whole, (32, 32), Image.Resampling.BICUBIC)).astype(int)
        assert np.abs(decode(encoded, CONFIG) - expected).max() <= tolerance


class TestModes:
    @pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK"])
    def test_opaque_modes_become_rgb(self, mode):
        image = Image.fromarray(smooth(32, 32)).convert(mode)
        decoded = decode(encode(image, "TIFF" if mode == "CMYK" else "PNG"), CONFIG)
        assert np.array_equal(decoded, np.asarray(image.convert("RGB")))

    def test_sixteen_bits_are_scaled_not_clipped(self):
        values = np.linspace(0, 65535, 32 * 32).reshape(32, 32)
        decoded = decode(encode(Image.fromarray(values.astype(np.uint16))), CONFIG)
        assert np.array_equal(decoded, np.repeat(np.round(values.astype(np.uint16) / 257.0)[..., None], 3, -1))

    @pytest.mark.parametrize("mode", ["RGBA", "LA"])
    def test_transparency_shows_the_background(self, mode):
        alpha = Image.fromarray(np.repeat(np.array([[0, 255]], np.uint8), 16, 1).repeat(32, 0))
        image = Image.new(mode[:-1], (32, 32), 10 if mode == "LA" else (10, 10, 10))
        image.putalpha(alpha)
        decoded = decode(encode(image), ImagesConfig(size=32, background=(1, 2, 3)))
        assert (decoded[:, :16] == (1, 2, 3)).all()
        assert (decoded[:, 16:] == 10).all()

    def test_half_transparency_is_mixed(self):
        image = Image.new("RGBA", (32, 32), (0, 0, 0, 128))
        assert np.abs(decode(encode(image), CONFIG).astype(int) - 127).max() <= 1

    def test_transparent_palette_entry(self):
        image = Image.fromarray(np.repeat(np.array([[0, 1]], np.uint8), 16, 1).repeat(32, 0), mode="P")
        image.putpalette([200, 0, 0, 0, 0, 200])
        decoded = decode(encode(image, transparency=0), ImagesConfig(size=32, background=(9, 9, 9)))
        assert (decoded[:, :16] == 9).all()
        assert (decoded[:, 16:] == (0, 0, 200)).all()

    def test_floating_point_pixels_are_refused(self):
        with pytest.raises(DecodeError, match="floating-point"):
            decode(encode(Image.new("F", (32, 32)), "TIFF"), CONFIG)

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_exif_rotation(self, orientation):
        stored = Image.fromarray(noise(32, 32, 3))
        exif = Image.Exif()
        exif[0x0112] = orientation
        data = encode(stored, exif=exif)
        expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
        assert np.array_equal(decode(data, CONFIG), expected)
        assert (orientation == 1) == np.array_equal(expected, np.asarray(stored))

    def test_unreadable_exif_leaves_the_picture_as_stored(self):
        image = Image.fromarray(noise(32, 32, 3))
        assert np.array_equal(decode(encode(image, exif=b"Exif\0\0no tiff here"), CONFIG), np.asarray(image))

    @pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
    def test_first_frame_of_an_animation(self, kind):
        frames = [Image.new("RGB", (32, 32), colour) for colour in ((255, 0, 0), (0, 0, 255))]
        data = encode(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True)
        assert np.abs(decode(data, CONFIG).astype(int) - (255, 0, 0)).max() <= 2


class TestRefusals:
    @pytest.mark.parametrize("kind", FORMATS)
    @pytest.mark.parametrize("kept", [0.05, 0.5, 0.9])
    def test_truncated(self, kind, kept):
        data = encode(Image.fromarray(noise(64, 64, 3)), kind)
        with pytest.raises(DecodeError) as caught:
            decode(data[: int(len(data) * kept)], CONFIG)
        assert caught.value.reason.startswith(("damaged or truncated", "not a picture"))

    def test_truncated_png_at_its_end(self):
        # The last four bytes are the checksum of the empty end marker, which nobody needs.
        data = encode(Image.fromarray(noise(32, 32, 3)))
        for cut in (5, 12, 13, 20):
            with pytest.raises(DecodeError, match="damaged or truncated"):
                decode(data[:-cut], CONFIG)

    def test_a_flipped_bit_in_a_png(self):
        data = bytearray(encode(Image.fromarray(noise(32, 32, 3))))
        data[len(data) // 2] ^= 1
        with pytest.raises(DecodeError, match="damaged or truncated"):
            decode(bytes(data), CONFIG)

    @pytest.mark.parametrize("data", [b"no picture", b"\x89PNG\r\n\x1a\n", b"%PDF-1.4", b"<svg/>"])
    def test_other_bytes(self, data):
        with pytest.raises(DecodeError):
            decode(data, CONFIG)

    def test_empty(self):
        with pytest.raises(DecodeError, match="zero bytes"):
            decode(b"", CONFIG)

    def test_formats_off_the_list(self):
        with pytest.raises(DecodeError, match="not a picture in one of the formats PNG"):
            decode(encode(Image.new("RGB", (32, 32)), "PPM"), CONFIG)

    @pytest.mark.parametrize(
        "data",
        [
            png_header(30_000, 30_000),
            png_header(10_000, 10_000),
            png_header(8_000, 8_000),
            webp_header(16_383, 16_383),
            gif_header(65_535, 65_535),
            bmp_header(30_000, 30_000),
        ],
        ids=["png-30000", "png-10000", "png-8000", "webp", "gif", "bmp"],
    )
    @pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
    def test_huge_header_is_refused_without_memory(self, data):
        reset_peak_memory()
        before = memory("VmHWM")
        with pytest.raises(DecodeError, match="too large") as caught:
            decode(data, CONFIG)
        assert memory("VmHWM") - before < 8 << 20
        assert "images.max_pixels = 50,000,000" in caught.value.reason

    def test_the_bound_is_inclusive_and_names_the_size(self):
        data = encode(Image.new("RGB", (40, 50)))
        assert decode(data, ImagesConfig(size=32, max_pixels=2000)).shape == (32, 32, 3)
        with pytest.raises(DecodeError, match=r"40x50 = 2,000 pixels, more than images\.max_pixels = 1,999"):
            decode(data, ImagesConfig(size=32, max_pixels=1999))

    def test_the_bound_on_bytes_is_inclusive(self):
        data = encode(Image.new("RGB", (32, 32)))
        assert decode(data, ImagesConfig(max_bytes=len(data))).shape == (32, 32, 3)
        with pytest.raises(DecodeError, match=r"too large: more than images\.max_bytes = \d+ bytes"):
            decode(data, ImagesConfig(max_bytes=len(data) - 1))

    @pytest.mark.filterwarnings("error")
    def test_bombs_are_refused_where_warnings_are_errors(self):
        with pytest.raises(DecodeError, match="too large"):
            decode(png_header(10_000, 10_000), CONFIG)

    def test_truncated_pictures_are_never_tolerated(self):
        assert ImageFile.LOAD_TRUNCATED_IMAGES is False


class TestConfig:
    @pytest.mark.parametrize(
        "values",
        [
            {"size": 0},
            {"max_pixels": 10**9},
            {"max_bad_fraction": 1.5},
            {"background": (0, 0, 256)},
            {"sise": 32},
            {"timeout": 0},
        ],
    )
    def test_bad_values_are_refused(self, values):
        with pytest.raises(ValidationError):
            ImagesConfig(**values)


def reset_peak_memory():
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pytest.skip("peak memory can be reset on Linux only")


def memory(name):
    """A line of /proc/self/status, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


class TestBoxes:
    def test_a_box_is_decoded_as_the_picture_cut_out_before(self):
        pixels = noise(120, 200, 3)
        cut = decode(encode(Image.fromarray(pixels[30:94, 50:114])), CONFIG)
        assert np.array_equal(decode(encode(Image.fromarray(pixels)), CONFIG, Box(50, 30, 64, 64)), cut)

    def test_the_centre_of_an_oblong_box_is_taken(self):
        pixels = noise(120, 200, 3)
        cut = decode(encode(Image.fromarray(pixels[10:90, 50:90])), CONFIG)
        assert np.array_equal(decode(encode(Image.fromarray(pixels)), CONFIG, Box(50, 10, 40, 80)), cut)

    def test_what_lies_outside_the_picture_is_cut_off(self):
        encoded = encode(Image.fromarray(noise(120, 200, 3)))
        inside = decode(encoded, CONFIG, Box(0, 80, 30, 40))
        assert np.array_equal(decode(encoded, CONFIG, Box(-25, 80, 55, 400)), inside)

    def test_fractions_take_every_pixel_that_is_touched(self):
        encoded = encode(Image.fromarray(noise(60, 90, 3)))
        whole = decode(encoded, CONFIG, Box(10, 20, 41, 41))
        assert np.array_equal(decode(encoded, CONFIG, Box(10.7, 20.2, 39.6, 40.5)), whole)

    def test_a_box_is_in_pixels_of_a_large_jpeg(self):
        pixels = smooth(1200, 1600)
        found = decode(encode(Image.fromarray(pixels), "JPEG", quality=95), CONFIG, Box(800, 600, 400, 400))
        expected = decode(encode(Image.fromarray(pixels[600:1000, 800:1200])), CONFIG)
        assert np.abs(found.astype(int) - expected).max() <= 3

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_a_box_is_in_pixels_of_the_upright_picture(self, orientation):
        stored = Image.fromarray(noise(60, 90, 3))
        exif = Image.Exif()
        exif[0x0112] = orientation
        encoded = encode(stored, "PNG", exif=exif)
        upright = ImageOps.exif_transpose(Image.open(io.BytesIO(encoded)))
        cut = decode(encode(upright.crop((5, 10, 45, 50))), CONFIG)
        assert np.array_equal(decode(encoded, CONFIG, Box(5, 10, 40, 40)), cut)

    @pytest.mark.parametrize(
        "box",
        [Box(90, 0, 10, 10), Box(-20, 0, 20, 10), Box(5, 5, 0, 10), Box(5, 5, 10, -3), Box(0, 0, float("nan"), 9)],
    )
    def test_a_box_with_nothing_of_the_picture_is_refused(self, box):
        with pytest.raises(DecodeError, match="has nothing of the picture of 90x60 pixels") as error:
            decode(encode(Image.fromarray(noise(60, 90, 3))), CONFIG, box)
        assert f"at ({box.left:g}, {box.top:g})" in error.value.reason

    @given(st.tuples(*[st.floats(-100, 300, allow_nan=False)] * 4))
    def test_any_box_gives_a_picture_or_its_reason(self, sides):
        encoded = encode(Image.fromarray(smooth(60, 90)))
        left, top, width, height = sides
        if max(left, 0) < min(left + width, 90) and max(top, 0) < min(top + height, 60):
            assert decode(encoded, ImagesConfig(size=8), Box(*sides)).shape == (8, 8, 3)
        else:
            with pytest.raises(DecodeError, match="has nothing of the picture"):
                decode(encoded, ImagesConfig(size=8), Box(*sides))
