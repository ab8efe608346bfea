"""Text files as streams of clean UTF-8: decompressed, decoded and checked block by block, in bounded memory."""

import codecs
import io
import logging
from pathlib import Path

import pyarrow as pa

from weakcl_pipeline.errors import InputError

logger = logging.getLogger(__name__)

BLOCK = 1 << 20
"""Bytes read at once."""

_COMPRESSIONS = {".gz": ("gzip", b"\x1f\x8b"), ".zst": ("zstd", b"\x28\xb5\x2f\xfd"), ".bz2": ("bz2", b"BZh")}
"""Suffix -> compression, and how its files begin."""
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


class Utf8Stream(io.RawIOBase):
    """A text file, read as UTF-8 without byte order mark that ends with a line end.

    Args:
        path: A text file, compressed or not.
        encoding: What it is written in.

    Raises:
        InputError: While reading: bytes that are no text in the encoding, a NUL character, or a broken compression;
            the message names the line.
    """

    def __init__(self, path: Path, encoding: str) -> None:
        super().__init__()
        self._path = path
        self._encoding = encoding
        self._raw = open_bytes(path)
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._pending = b""
        self._lines = 0
        self._begun = False
        self._ended = False
        self._last = b""  # the last byte so far

    def readable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return up to ``size`` bytes; none at the end."""
        parts = [self._pending]
        length = len(self._pending)
        while not self._ended and (size < 0 or length < size):
            block = self._next()
            parts.append(block)
            length += len(block)
        data = b"".join(parts)
        if size < 0:
            self._pending = b""
            return data
        self._pending = data[size:]
        return data[:size]

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        """Fill a buffer and return the number of bytes."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close the file."""
        self._raw.close()
        super().close()

    def _next(self) -> bytes:
        """Return the next block, checked."""
        try:
            raw = self._raw.read(BLOCK)
        except OSError as error:
            raise _unreadable(self._path, error, f" after line {self._lines}") from error
        try:
            text = self._decoder.decode(raw, final=not raw)
        except UnicodeDecodeError as error:
            before = error.object[: error.start].decode(error.encoding, "ignore")
            found = error.object[error.start : error.start + 4].hex(" ")
            raise InputError(
                f"{self._path}, line {self._lines + before.count(chr(10)) + 1}: the bytes {found} are no text in"
                f" {self._encoding}. Declare the `encoding` of the file in the catalog, or save it as UTF-8."
            ) from error
        if not self._begun and text:
            self._begun, text = True, text.removeprefix("\ufeff")
        block = text.encode()
        at = block.find(0)
        if at >= 0:
            raise InputError(
                f"{self._path}, line {self._lines + block.count(10, 0, at) + 1}: a NUL character, which text never has."
                " The file is damaged, or no text, or in another `encoding` than"
                f" {self._encoding}."
            )
        self._lines += block.count(10)
        self._last = block[-1:] or self._last
        if not raw:
            self._ended = True
            if self._last not in (b"", b"\n", b"\r"):
                block += b"\n"
        return block


def open_bytes(path: Path) -> io.BufferedReader | pa.NativeFile:
    """Open a file for reading, decompressed where its suffix says so.

    Raises:
        InputError: It is not compressed as its suffix says.
    """
    if path.suffix.lower() not in _COMPRESSIONS:
        return path.open("rb")
    compression, start = _COMPRESSIONS[path.suffix.lower()]
    with path.open("rb") as file:
        if file.read(len(start)) != start:
            raise InputError(
                f"{path}: cannot be read: it is not compressed by {compression}, as its name says. Rename it, or get it"
                " again."
            )
    return pa.input_stream(path.as_posix(), compression=compression)


def _unreadable(path: Path, error: OSError, where: str = "") -> InputError:
    trouble = error.strerror or "its compression is damaged, or cut off"
    return InputError(f"{path}: cannot be read{where}: {trouble}. Get the file again.")


def encoding_of(path: Path, declared: str | None) -> str:
    """Return the encoding of a text file: the declared one, or the one found in it.

    A byte order mark decides; without one, text that is UTF-8 is UTF-8, text with a NUL in every second byte is
    UTF-16, and everything else is taken for Windows-1252 (Latin-1 with more letters), which is logged.

    Raises:
        InputError: The file cannot be read.
    """
    if declared is not None:
        return declared
    try:
        with open_bytes(path) as raw:
            block = raw.read(BLOCK)
            for mark, encoding in _MARKS:
                if block.startswith(mark):
                    return encoding
            while block.isascii() and b"\0" not in block and (following := raw.read(BLOCK)):
                block = following
    except OSError as error:
        raise _unreadable(path, error) from error
    found = _guessed(block)
    if found not in ("utf-8", "utf-16-le", "utf-16-be"):
        logger.warning("%s: not UTF-8, read as %s; declare `encoding` in the catalog if it is another", path, found)
    return found


def _guessed(block: bytes) -> str:
    """Guess the encoding of the first bytes that are not ASCII."""
    pairs = max(1, len(block) // 2)
    for encoding, zeros in (("utf-16-le", block[1::2]), ("utf-16-be", block[::2])):
        if zeros.count(0) > 0.4 * pairs:
            return encoding
    text = block.decode("utf-8", "replace")
    wrong = text[:-1].count("\ufffd")  # a character may be cut at the end of the block
    right = sum(not character.isascii() for character in text) - wrong
    if right >= wrong:
        return "utf-8"
    try:
        block.decode("cp1252")
    except UnicodeDecodeError:
        return "latin-1"
    return "cp1252"
