"""Pictures in a tar archive, also a compressed one."""

import bz2
import gzip
import lzma
import os
import tarfile
import zlib
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, BinaryIO, NamedTuple, cast

from weakcl_pipeline.errors import InputError
from weakcl_pipeline.images.decode import DecodeError, ImagesConfig, too_many_bytes
from weakcl_pipeline.images.roots.archive import Members, copy_to_temporary_file, damaged, detail_of
from weakcl_pipeline.images.roots.base import PictureRoot

_COMPRESSED: dict[bytes, Callable[[BinaryIO], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\0": lzma.open,
}
"""First bytes -> what unpacks it."""

_MAX_HEADER = 1 << 20
_UNREADABLE = (tarfile.TarError, zlib.error, lzma.LZMAError, OSError, EOFError, ValueError)


class _Span(NamedTuple):
    start: int
    size: int


class Tar(PictureRoot):
    """A tar archive: its headers are read once, in one pass, and then its members at random.

    A compressed one cannot be read at random. It is unpacked, as one piece, to a temporary file without a name; no
    member becomes a file of its own.

    Args:
        source: The archive; closed with this object.
        name: Name of the archive, for messages.
        state: What changes with its content.
        config: Bounds.

    Raises:
        InputError: If it is not a tar archive, is damaged, or unpacks to more than `max_archive_bytes`.
    """

    def __init__(self, source: BinaryIO, name: str, state: str, config: ImagesConfig) -> None:
        self._max_bytes = config.max_bytes
        self._state = state
        self._name = name
        self._source = _unpacked(source, name, config.max_archive_bytes)
        self._members = Members[_Span](name)
        with ExitStack() as on_error:
            on_error.callback(self._source.close)
            try:
                self._index()
            except InputError:
                raise
            except RecursionError as error:
                raise damaged(name, "one extended header follows another") from error
            except Exception as error:  # tarfile raises nearly anything on other bytes
                raise damaged(name, error) from error
            on_error.pop_all()

    def read(self, reference: str) -> bytes:
        """See `PictureRoot.read`."""
        span = self._members.find(reference)
        if span.size > self._max_bytes:
            raise too_many_bytes(self._max_bytes)
        try:
            return os.pread(self._source.fileno(), span.size, span.start)
        except OSError as error:
            raise DecodeError(f"reference {reference!r} cannot be read: {error.strerror}") from error

    def state(self, reference: str) -> str:
        """Return what changes with the content of the archive."""
        return self._state

    def close(self) -> None:
        """Close the archive."""
        self._source.close()

    def _index(self) -> None:
        headers = _Headers(self._source)
        with tarfile.open(fileobj=cast(BinaryIO, headers), mode="r:") as archive:
            while (member := archive.next()) is not None:
                headers.next()
                cast(Any, archive).members = []  # tarfile would keep them all
                if member.size < 0:  # some versions of tarfile would go back, and round in circles
                    raise tarfile.ReadError(f"{detail_of(repr(member.name))} has {member.size} bytes")
                if member.isreg() and not member.issparse():
                    self._members.add(member.name, _Span(member.offset_data, member.size))
                elif not member.isdir():
                    self._members.refuse(member.name, _kind(member))
            # tarfile takes a header that it cannot read for the end
            if any(os.pread(self._source.fileno(), tarfile.BLOCKSIZE, archive.offset)):
                raise tarfile.ReadError(f"what follows byte {archive.offset:,} is no header of a member")


class _Headers:
    """A file of which headers alone are read; extended ones of any length or number would otherwise fill the memory."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._left = _MAX_HEADER
        self.seek = file.seek
        self.tell = file.tell

    def next(self) -> None:
        """Begin with the headers of the next member."""
        self._left = _MAX_HEADER

    def read(self, size: int) -> bytes:
        self._left -= size
        if size < 0 or self._left < 0:
            raise tarfile.ReadError(f"a header of {size if size < 0 else _MAX_HEADER - self._left:,} bytes")
        return self._file.read(size)


def _kind(member: tarfile.TarInfo) -> str:
    if member.issym() or member.islnk():
        return "is a link"
    return "is a sparse file" if member.issparse() else "is a device"


def _unpacked(source: BinaryIO, name: str, max_archive_bytes: int) -> BinaryIO:
    """Return the plain tar of a possibly compressed one."""
    start = source.read(6)
    source.seek(0)
    for magic, unpack in _COMPRESSED.items():
        if start.startswith(magic):
            with source, unpack(source) as stream:
                return copy_to_temporary_file(_reader(stream, name), name, max_archive_bytes)
    return source


def _reader(stream: BinaryIO, name: str) -> Callable[[int], bytes]:
    def read(size: int) -> bytes:
        try:
            return stream.read(size)
        except _UNREADABLE as error:
            raise damaged(name, error) from error

    return read
