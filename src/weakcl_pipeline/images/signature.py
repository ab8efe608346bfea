"""What bytes are by how they begin, for those that are no picture that can be read."""

_READ = {
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF8": "GIF",
    b"RIFF": "WEBP",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
}
"""First bytes -> format among those that are read."""

_OTHERS = {
    b"version https://git-lfs": "a Git LFS pointer; get the file itself with `git lfs pull`",
    b"<!doctype html": "an HTML page, which a server may have sent in place of the file",
    b"<html": "an HTML page, which a server may have sent in place of the file",
    b"<svg": "an SVG drawing",
    b"<?xml": "XML, maybe an SVG drawing",
    b"%pdf-": "a PDF",
    b"8bps\0": "a Photoshop file",
    b"pk\x03\x04": "a zip archive",
    b"\x1f\x8b": "compressed by gzip",
    b"\xd0\xcf\x11\xe0": "a document of an old Office",
    b"\0\5\x16\7": "what macOS adds to an archive, beside the file of the same name without ._",
    b"\0\0\0\x0cjxl": "JPEG XL",
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cjp": "JPEG 2000",
}
"""First bytes in lower case -> what it is."""

_BRANDS = {b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIC", b"avif": "AVIF", b"qt  ": "a video"} | dict.fromkeys(
    (b"isom", b"iso2", b"mp41", b"mp42", b"avc1", b"M4V "), "a video"
)
"""Brand of an ISO media file, from byte 8 on -> format."""


def read_format(encoded: bytes) -> str | None:
    """Return the format, among those that are read, as which the bytes begin."""
    return next((name for start, name in _READ.items() if encoded.startswith(start)), None)


def other_format(encoded: bytes) -> str | None:
    """Return what else the bytes begin as, if that is known."""
    if encoded[4:8] == b"ftyp" and encoded[8:12] in _BRANDS:
        return _BRANDS[encoded[8:12]]
    start = encoded[:64].lstrip().lower()
    return next((name for begin, name in _OTHERS.items() if start.startswith(begin)), None)
