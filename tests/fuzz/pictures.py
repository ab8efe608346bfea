"""Archives of pictures, and pictures."""

import io
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.broken.archives import tarred, zipped
from tests.fuzz.tables import written
from tests.fuzz.trial import CHARACTERS, FindingError, Target
from tests.images.encoders import gif, png, png_chunk, tiff
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.images.decode import DecodeError, ImagesConfig, decode
from weakcl_pipeline.images.roots import open_root

_IMAGES = ImagesConfig(size=8, max_pixels=1_000_000, max_bytes=10_000_000, max_archive_bytes=20_000_000)


def _pixels(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def _encoded(mode: str, kind: str, **options: Any) -> bytes:
    encoded = io.BytesIO()
    Image.fromarray(_pixels((9, 12, 3))).convert(mode).save(encoded, kind, **options)
    return encoded.getvalue()


def _animated(kind: str) -> bytes:
    frames = [Image.fromarray(_pixels((9, 12, 3)) // step) for step in (1, 2)]
    encoded = io.BytesIO()
    frames[0].save(encoded, kind, save_all=True, append_images=frames[1:])
    return encoded.getvalue()


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


_ENCODED = {
    "rgb.png": _encoded("RGB", "PNG", exif=_exif()),
    "palette.png": _encoded("P", "PNG", transparency=3),
    "deep.png": png(_pixels((9, 12)).astype(np.uint16) << 7, 16, 0, png_chunk(b"tRNS", b"\1\2")),
    "interlaced.png": png(
        _pixels((9, 12, 2)), 8, 4, png_chunk(b"zTXt", b"a\0\0" + zlib.compress(b"b")), interlaced=True
    ),
    "animated.png": _animated("PNG"),
    "rgb.jpg": _encoded("RGB", "JPEG", exif=_exif(), progressive=True),
    "cmyk.jpg": _encoded("CMYK", "JPEG"),
    "grey.jpg": _encoded("L", "JPEG", comment=b"a"),
    "lossy.webp": _encoded("RGB", "WEBP", exif=_exif()),
    "animated.webp": _animated("WEBP"),
    "rgb.bmp": _encoded("RGB", "BMP"),
    "palette.bmp": _encoded("P", "BMP"),
    "plain.gif": gif(_pixels((9, 12)) % 4, _pixels((4, 3)), transparent=1, interlaced=True),
    "animated.gif": _animated("GIF"),
    "deep.tif": tiff(_pixels((9, 24)).tobytes(), (9, 12), [16], 1, order=">"),
    "raw.tif": _encoded("RGB", "TIFF"),
    "lzw.tif": _encoded("RGBA", "TIFF", compression="tiff_lzw"),
    "deflate.tif": _encoded("RGB", "TIFF", compression="tiff_adobe_deflate"),
    "jpeg.tif": _encoded("RGB", "TIFF", compression="jpeg"),
    "fax.tif": _encoded("1", "TIFF", compression="group4"),
}
_MEMBERS = [("a/one.png", _encoded("P", "PNG")), ("two.jpg", _encoded("L", "JPEG")), ("a/ü.gif", _encoded("P", "GIF"))]
_REFERENCES = (
    *(name for name, _ in _MEMBERS),
    "a/one.png/",
    "../a/one.png",
    "/etc/hostname",
    "a",
    "",
    "\0",
    "x" * 9999,
)


def _read_picture(file: Path) -> None:
    if file.is_file():
        try:
            decode(file.read_bytes(), _IMAGES)
        except DecodeError as error:
            raise InputError(f"{file}: {error.reason}") from error


def _decoded(encoded: bytes) -> None:
    try:
        pixels = decode(encoded, _IMAGES)
    except DecodeError as error:
        _check(error)
    else:
        if pixels.shape != (8, 8, 3):
            raise FindingError(f"pixels of shape {pixels.shape}")


def _check(error: DecodeError) -> None:
    if not 0 < len(error.reason) < CHARACTERS:
        raise FindingError(f"a reason of {len(error.reason):,} characters: {error.reason[:200]}")


def _read_archive(file: Path) -> None:
    """Read and decode members, and others that must not be found."""
    with open_root(_IMAGES.model_copy(update={"root": str(file)})) as root:
        for reference in _REFERENCES:
            root.state(reference)
            try:
                encoded = root.read(reference)
            except DecodeError as error:
                _check(error)
            else:
                _decoded(encoded)


def _with_headers() -> bytes:
    """A tar archive with extended headers of all kinds."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"comment": "all"}) as archive:
        for name, content in _MEMBERS:
            member = tarfile.TarInfo(name)
            member.size, member.mtime, member.pax_headers = len(content), 0.5, {"path": name, "size": str(len(content))}
            archive.addfile(member, io.BytesIO(content))
    packed.seek(0)
    with tarfile.open(fileobj=packed, mode="a", format=tarfile.GNU_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo("n" * 200))
    return packed.getvalue()


def _sealed_tar(content: bytes) -> bytes:
    """Write the checksum of every header."""
    sealed = bytearray(content)
    for at in range(0, len(content) - 511, 512):
        if content[at + 257 : at + 262] == b"ustar":
            sealed[at + 148 : at + 156] = b" " * 8
            sealed[at + 148 : at + 156] = b"%06o\0 " % sum(sealed[at : at + 512])
    return bytes(sealed)


def _sealed_png(content: bytes) -> bytes:
    """Write the checksum of every chunk of a PNG; other formats have none."""
    start = b"\x89PNG\r\n\x1a\n"
    if not content.startswith(start):
        return content
    sealed, at = start, len(start)
    while at + 8 <= len(content):
        length = int.from_bytes(content[at : at + 4], "big")
        sealed += png_chunk(content[at + 4 : at + 8], content[at + 8 : at + 8 + length])
        at += length + 12
    return sealed


TARGETS: dict[str, Target] = {
    "zip": Target(
        make=written({"deflated.zip": zipped(_MEMBERS), "stored.zip": zipped(_MEMBERS, zipfile.ZIP_STORED)}),
        read=_read_archive,
        files=("*",),
        apart=True,
        words=(b"PK\1\2", b"PK\3\4", b"PK\5\6", b"PK\6\6", b"PK\6\7", b"\1\0\x18\0"),
    ),
    "tar": Target(
        make=written({"plain.tar": tarred(_MEMBERS), "headers.tar": _with_headers()}),
        read=_read_archive,
        files=("*",),
        apart=True,
        words=(b"ustar", b"size", b"path", b"17 size=-1000\n", b"21 GNU.sparse.major=1\n", b"L", b"x", b"g", b"S"),
        seal=_sealed_tar,
    ),
    "tar_compressed": Target(
        make=written({f"a.tar.{kind}": tarred(_MEMBERS, kind) for kind in ("gz", "bz2", "xz")}),
        read=_read_archive,
        files=("*",),
        apart=True,
    ),
    "pictures": Target(
        make=written(_ENCODED),
        read=_read_picture,
        files=("*",),
        apart=True,
        words=(b"IHDR", b"tRNS", b"PLTE", b"iCCP", b"eXIf", b"acTL", b"zTXt", b"Exif\0\0", b"\xff\xd9", b"\xff\xc2"),
        seal=_sealed_png,
    ),
}
