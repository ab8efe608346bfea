"""Every variant of the formats against pixels that numpy computes from the stored values, as the format has them."""

import struct

import numpy as np
import pytest
from PIL import Image

from tests.images.encoders import bmp, gif, packed, png, png_chunk, tiff
from tests.images.test_decode import encode, memory, reset_peak_memory
from weakcl_pipeline.images.decode import DecodeError, ImagesConfig, decode

SIDE = 32
BACKGROUND = np.array([10, 20, 30])
CONFIG = ImagesConfig(size=SIDE, background=(10, 20, 30))
ORDERS = pytest.mark.parametrize("order", ["<", ">"])
Y, X = np.mgrid[0:SIDE, 0:SIDE]
SMOOTH = np.stack([X * 8, Y * 8, (X + Y) * 4], -1).astype(np.uint8)


def stored(bits, *channels):
    return np.random.default_rng(0).integers(0, 1 << bits, (SIDE, SIDE, *channels))


def scaled(values, bits):
    return values * 255 / ((1 << bits) - 1)


def grey(values):
    return np.repeat(np.asarray(values)[..., None], 3, -1)


def over_background(colours, opacity):
    return colours * opacity + BACKGROUND * (1 - opacity)


def check(encoded, expected, tolerance=0.5):
    """Half a step is what rounding leaves; two roundings in a row leave more."""
    assert np.abs(decode(encoded, CONFIG) - np.asarray(expected, float)).max() <= tolerance


class TestPng:
    @pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
    @pytest.mark.parametrize("transparent", [False, True])
    def test_grey(self, bits, transparent):
        values = stored(bits)
        key = values[3, 3]
        expected = grey(scaled(values, bits))
        if transparent:
            expected = np.where((values == key)[..., None], BACKGROUND, expected)
        chunk = png_chunk(b"tRNS", struct.pack(">H", key)) if transparent else b""
        check(png(values, bits, 0, chunk), expected)

    @pytest.mark.parametrize("bits", [8, 16])
    @pytest.mark.parametrize("transparent", [False, True])
    def test_colour(self, bits, transparent):
        values = stored(bits, 3)
        values[4:9] = key = values[3, 3]
        expected = scaled(values, bits)
        if transparent:
            expected = np.where((values == key).all(-1)[..., None], BACKGROUND, expected)
        chunk = png_chunk(b"tRNS", struct.pack(">HHH", *key)) if transparent else b""
        check(png(values, bits, 2, chunk), expected, 1)

    @pytest.mark.parametrize("bits", [8, 16])
    @pytest.mark.parametrize("channels", [2, 4])
    def test_opacity(self, bits, channels):
        values = stored(bits, channels)
        colours = np.broadcast_to(scaled(values[..., :-1], bits), (SIDE, SIDE, 3))
        expected = over_background(colours, scaled(values[..., -1:], bits) / 255)
        check(png(values, bits, {2: 4, 4: 6}[channels]), expected, 2)

    @pytest.mark.parametrize("bits", [1, 2, 4, 8])
    @pytest.mark.parametrize("transparent", [False, True])
    def test_palette(self, bits, transparent):
        values, colours = stored(bits), stored(8, 3).reshape(-1, 3)[: 1 << bits]
        opacity = np.full(1 << bits, 255)
        chunks = png_chunk(b"PLTE", colours.astype(np.uint8).tobytes())
        if transparent:  # the first half of the palette is; opacities of the others may be left out
            opacity[: 1 << bits >> 1] = stored(8).reshape(-1)[: 1 << bits >> 1]
            chunks += png_chunk(b"tRNS", opacity[: 1 << bits >> 1].astype(np.uint8).tobytes())
        check(png(values, bits, 3, chunks), over_background(colours[values], opacity[values][..., None] / 255), 1)

    @pytest.mark.parametrize(("bits", "colour", "channels"), [(8, 2, 3), (16, 0, 1), (1, 0, 1), (8, 6, 4)])
    def test_interlaced(self, bits, colour, channels):
        values = stored(bits, channels) if channels > 1 else stored(bits)
        straight = decode(png(values, bits, colour), CONFIG)
        assert np.array_equal(decode(png(values, bits, colour, interlaced=True), CONFIG), straight)

    @pytest.mark.parametrize("first_is_shown", [True, False])
    def test_animation(self, first_is_shown):
        frames = [Image.fromarray(SMOOTH), Image.new("RGB", (SIDE, SIDE))]
        data = encode(frames[0], save_all=True, append_images=frames[1:], default_image=not first_is_shown)
        check(data, SMOOTH)


class TestJpeg:
    """Lossy even at quality 100, hence the tolerances."""

    @pytest.mark.parametrize("progressive", [False, True])
    @pytest.mark.parametrize("subsampling", [0, 2])
    def test_colour(self, progressive, subsampling):
        image = Image.fromarray(SMOOTH)
        check(encode(image, "JPEG", quality=100, progressive=progressive, subsampling=subsampling), SMOOTH, 8)

    def test_grey(self):
        check(encode(Image.fromarray(SMOOTH[..., 0]), "JPEG", quality=100), grey(SMOOTH[..., 0]), 2)

    def test_stored_as_rgb(self):
        check(encode(Image.fromarray(SMOOTH), "JPEG", quality=100, keep_rgb=True), SMOOTH, 2)

    INKS = np.stack([X * 5, Y * 5, (X + Y) * 3, np.full_like(X, 40)], -1)
    SHINE = (255 - INKS[..., :3]) * (255 - INKS[..., 3:]) / 255

    def test_cmyk_as_adobe_writes_it_inverted(self):
        data = encode(Image.fromarray(self.INKS.astype(np.uint8), "CMYK"), "JPEG", quality=100)
        assert data[data.index(b"Adobe") + 11] == 0
        check(data, self.SHINE, 4)

    def test_ycck(self):
        red, green, blue = self.INKS[..., 0], self.INKS[..., 1], self.INKS[..., 2]  # inverted twice
        luma = 0.299 * red + 0.587 * green + 0.114 * blue
        values = [luma, 128 + (blue - luma) * 0.564334, 128 + (red - luma) * 0.713267, 255 - self.INKS[..., 3]]
        inverted = 255 - np.stack(values, -1).round().clip(0, 255).astype(np.uint8)  # Pillow's writer inverts
        data = bytearray(encode(Image.fromarray(inverted, "CMYK"), "JPEG", quality=100))
        data[data.index(b"Adobe") + 11] = 2
        check(bytes(data), self.SHINE, 6)

    def test_large_cmyk_that_is_reduced_while_decoding(self):
        large = np.kron(self.INKS.astype(np.uint8), np.ones((16, 16, 1), np.uint8))
        check(encode(Image.fromarray(large, "CMYK"), "JPEG", quality=100), self.SHINE, 8)

    def test_several_pictures_as_phones_store_them(self):
        others = {"save_all": True, "append_images": [Image.new("RGB", (64, 64))]}
        check(encode(Image.fromarray(SMOOTH), "MPO", quality=100, **others), SMOOTH, 8)


class TestTiff:
    @ORDERS
    @pytest.mark.parametrize("bits", [1, 4, 8, 16])
    @pytest.mark.parametrize("white_is_zero", [False, True])
    def test_grey(self, order, bits, white_is_zero):
        values = stored(bits)
        data = values.astype(f"{order}u2").tobytes() if bits == 16 else b"".join(packed(values, bits))
        encoded = tiff(data, values.shape, [bits], 0 if white_is_zero else 1, order)
        if (order, bits, white_is_zero) == (">", 16, True):
            with pytest.raises(DecodeError, match="damaged or truncated, or a rare variant of TIFF"):
                decode(encoded, CONFIG)
            return
        expected = scaled(values, bits)
        check(encoded, grey(255 - expected if white_is_zero else expected))

    def test_grey_of_twelve_bits(self):
        values = stored(12)
        check(tiff(b"".join(packed(values, 12)), values.shape, [12], 1), grey(scaled(values, 12)))

    @ORDERS
    @pytest.mark.parametrize("bits", [8, 16])
    def test_colour(self, order, bits):
        values = stored(bits, 3)
        check(self._samples(values, bits, 2, order), scaled(values, bits), 1)

    @ORDERS
    @pytest.mark.parametrize(("bits", "channels"), [(8, 2), (8, 4), (16, 4)])
    def test_opacity(self, order, bits, channels):
        values = stored(bits, channels)
        colours = np.broadcast_to(scaled(values[..., :-1], bits), (SIDE, SIDE, 3))
        data = self._samples(values, bits, 1 if channels == 2 else 2, order, {338: (3, [2])})
        check(data, over_background(colours, scaled(values[..., -1:], bits) / 255), 2)

    @ORDERS
    def test_colours_that_are_multiplied_by_opacity(self, order):
        values = stored(8, 4)
        values[..., :3] = values[..., :3] * values[..., 3:] // 255
        expected = values[..., :3] + BACKGROUND * (1 - values[..., 3:] / 255)
        check(self._samples(values, 8, 2, order, {338: (3, [1])}), expected, 2)

    @ORDERS
    def test_a_fourth_channel_without_meaning(self, order):
        values = stored(8, 4)
        check(self._samples(values, 8, 2, order, {338: (3, [0])}), values[..., :3])

    @ORDERS
    @pytest.mark.parametrize("bits", [8, 16])
    def test_inks(self, order, bits):
        values = stored(bits, 4)
        shares = 1 - scaled(values, bits) / 255
        check(self._samples(values, bits, 5, order), 255 * shares[..., :3] * shares[..., 3:], 2)

    @ORDERS
    def test_palette(self, order):
        values, colours = stored(8), stored(8, 3).reshape(-1, 3)[:256]
        tags = {320: (3, [int(value) * 257 for value in colours.T.reshape(-1)])}
        check(tiff(values.astype(np.uint8).tobytes(), values.shape, [8], 3, order, tags), colours[values])

    @pytest.mark.parametrize(
        ("lab", "rgb"), [((255, 0, 0), (255, 255, 255)), ((0, 0, 0), (0, 0, 0)), ((136, 81, 70), (255, 0, 0))]
    )
    def test_lab(self, lab, rgb):
        check(tiff(bytes(lab) * SIDE**2, (SIDE, SIDE), [8] * 3, 8), np.broadcast_to(rgb, (SIDE, SIDE, 3)), 6)

    @pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
    def test_compression(self, compression):
        check(encode(Image.fromarray(SMOOTH), "TIFF", compression=compression), SMOOTH)

    def test_jpeg_compression(self):
        check(encode(Image.fromarray(SMOOTH), "TIFF", compression="jpeg", quality=100), SMOOTH, 4)

    @pytest.mark.parametrize("compression", ["group3", "group4", "tiff_ccitt"])
    def test_fax(self, compression):
        black = (X + Y) % 3 == 0
        check(encode(Image.fromarray(~black), "TIFF", compression=compression), grey(np.where(black, 0, 255)))

    @pytest.mark.parametrize("compression", [None, "tiff_lzw"])
    def test_the_first_of_several_pages(self, compression):
        pages = {"save_all": True, "append_images": [Image.new("RGB", (64, 64))] * 2}
        check(encode(Image.fromarray(SMOOTH), "TIFF", compression=compression, **pages), SMOOTH)

    @pytest.mark.parametrize(
        ("kind", "form", "reason"),
        [
            ("<f4", 3, "floating-point pixels have no defined range"),
            ("<f8", 3, "a rare variant of TIFF"),
            ("<u4", 1, "signed or 32-bit pixels have no defined range"),
            ("<i4", 2, "signed or 32-bit pixels have no defined range"),
            ("<i2", 2, "signed or 32-bit pixels have no defined range"),
        ],
    )
    def test_pixels_without_a_range_of_brightness_are_refused(self, kind, form, reason):
        data = stored(8).astype(kind)
        with pytest.raises(DecodeError, match=reason):
            decode(tiff(data.tobytes(), data.shape, [8 * data.itemsize], 1, tags={339: (3, [form])}), CONFIG)

    @pytest.mark.parametrize("compression", [5, 8])
    def test_a_tile_far_larger_than_the_picture_is_refused_without_memory(self, compression):
        tile = {322: (4, [16384]), 323: (4, [16384]), 324: (4, [8]), 325: (4, [3072]), 259: (3, [compression])}
        reset_peak_memory()
        before = memory("VmHWM")
        with pytest.raises(DecodeError, match="too large: a tile of 16384x16384 = 268,435,456 pixels"):
            decode(tiff(bytes(3072), (SIDE, SIDE), [8] * 3, 2, tags=tile), CONFIG)
        assert memory("VmHWM") - before < 8 << 20

    def test_a_tile_that_is_given_in_words_is_refused_without_memory(self):
        tags = {322: (2, b"AA\0"), 323: (4, [200_000_000])}
        reset_peak_memory()
        before = memory("VmHWM")
        with pytest.raises(DecodeError, match="damaged or truncated TIFF"):
            decode(tiff(bytes(SIDE * SIDE), (SIDE, SIDE), [8], 1, tags=tags), CONFIG)
        assert memory("VmHWM") - before < 8 << 20

    def _samples(self, values, bits, photometric, order, tags=()):
        data = values.astype(f"{order}u{bits // 8}").tobytes()
        return tiff(data, values.shape[:2], [bits] * values.shape[2], photometric, order, tags)


class TestGif:
    PALETTE = stored(8, 3).reshape(-1, 3)[:16]

    @pytest.mark.parametrize("options", [{}, {"interlaced": True}, {"local": True}], ids=str)
    @pytest.mark.parametrize("transparent", [None, 3])
    def test_palette(self, options, transparent):
        values = stored(4)
        expected = np.where((values == transparent)[..., None], BACKGROUND, self.PALETTE[values])
        check(gif(values, self.PALETTE, transparent=transparent, **options), expected)

    @pytest.mark.parametrize("transparent", [None, 3])
    def test_grey_palette(self, transparent):
        values, palette = stored(8), np.repeat(np.arange(256)[:, None], 3, 1)
        expected = np.where((values == transparent)[..., None], BACKGROUND, palette[values])
        check(gif(values, palette, transparent=transparent), expected)

    def test_a_frame_that_leaves_part_of_a_transparent_canvas_free(self):
        values = stored(4)[:16, :16]
        expected = np.tile(BACKGROUND, (SIDE, SIDE, 1))
        expected[10:26, 8:24] = np.where((values == 3)[..., None], BACKGROUND, self.PALETTE[values])
        check(gif(values, self.PALETTE, offset=(8, 10), canvas=(SIDE, SIDE), transparent=3), expected)


class TestWebp:
    OPACITY = X[..., None] / SIDE
    IMAGE = Image.fromarray(np.dstack([SMOOTH, X * 255 // SIDE]).astype(np.uint8))

    @pytest.mark.parametrize("frames", [1, 2])
    def test_opacity(self, frames):
        others = [Image.new("RGBA", (SIDE, SIDE), (255, 0, 0, 255))] * (frames - 1)
        data = encode(self.IMAGE, "WEBP", lossless=True, exact=True, save_all=frames > 1, append_images=others)
        check(data, over_background(SMOOTH, self.OPACITY), 2)

    def test_lossy(self):
        check(encode(Image.fromarray(SMOOTH), "WEBP", quality=100), SMOOTH, 12)


class TestBmp:
    @pytest.mark.parametrize("from_the_top", [False, True])
    def test_24_bits(self, from_the_top):
        values = stored(8, 3)
        rows = [row.tobytes() for row in values[..., ::-1].astype(np.uint8)]
        check(bmp(rows if from_the_top else rows[::-1], (-SIDE if from_the_top else SIDE, SIDE), 24), values)

    @pytest.mark.parametrize("padding", [0, 200])
    def test_32_bits_of_which_the_last_mean_nothing(self, padding):
        values = stored(8, 3)
        pixels = np.dstack([values[..., ::-1], np.full((SIDE, SIDE), padding)]).astype(np.uint8)
        check(bmp([row.tobytes() for row in pixels[::-1]], (SIDE, SIDE), 32), values)

    @pytest.mark.parametrize("has_opacity", [False, True])
    def test_32_bits_with_masks(self, has_opacity):
        values = stored(8, 4)
        masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000 if has_opacity else 0)
        rows = [row.tobytes() for row in values[::-1][..., [2, 1, 0, 3]].astype(np.uint8)]
        opacity = values[..., 3:] / 255 if has_opacity else 1
        check(bmp(rows, (SIDE, SIDE), 32, compression=3, masks=masks), over_background(values[..., :3], opacity), 1)

    def test_16_bits(self):
        values = stored(5, 3)
        words = (values[..., 0] << 10 | values[..., 1] << 5 | values[..., 2]).astype("<u2")
        check(bmp([row.tobytes() for row in words[::-1]], (SIDE, SIDE), 16), scaled(values, 5), 1)

    @pytest.mark.parametrize("bits", [1, 4, 8])
    def test_palette(self, bits):
        values, palette = stored(bits), stored(8, 4).reshape(-1, 4)[: 1 << bits]
        rows = packed(values, bits)[::-1]
        check(bmp(rows, (SIDE, SIDE), bits, palette=palette.astype(np.uint8).tobytes()), palette[values][..., 2::-1])


TURNED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, 1),
}
SECOND = {"save_all": True, "append_images": [Image.new("RGB", (SIDE, SIDE))]}


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", SECOND),
        ("TIFF", {"compression": "tiff_lzw", **SECOND}),
        ("JPEG", {"quality": 100, "subsampling": 0}),
        ("MPO", {"quality": 100, "subsampling": 0, **SECOND}),
    ],
    ids=lambda value: value if isinstance(value, str) else "+".join(value),
)
def test_orientation(kind, options, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(Image.fromarray(SMOOTH), kind, exif=exif, **options)
    check(data, TURNED[orientation](SMOOTH), 8 if kind in {"JPEG", "MPO"} else 0)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_colour_profiles_are_ignored(kind):
    options = {"lossless": True} if kind == "WEBP" else {"quality": 100} if kind == "JPEG" else {}
    plain = decode(encode(Image.fromarray(SMOOTH), kind, **options), CONFIG)
    profile = b"\0" * 128 + b"no profile at all"
    assert np.array_equal(decode(encode(Image.fromarray(SMOOTH), kind, icc_profile=profile, **options), CONFIG), plain)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "a Git LFS pointer"),
        (b"\n<!DOCTYPE html><html>", "an HTML page"),
        (b'<svg xmlns="http://www.w3.org/2000/svg">', "an SVG drawing"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
        (b"\0\0\0\x1cftypavif\0\0\0\0", "AVIF"),
        (b"%PDF-1.7", "a PDF"),
    ],
)
def test_other_files_are_called_by_their_name(data, what):
    with pytest.raises(DecodeError, match=f"^not a picture in one of the formats PNG, .*, TIFF, but {what}"):
        decode(data, CONFIG)
