"""Pictures in a zip archive."""

import stat
import struct
import zipfile
from contextlib import ExitStack
from typing import Any, BinaryIO, cast

from weakcl_pipeline.errors import InputError
from weakcl_pipeline.images.decode import DecodeError, ImagesConfig, too_many_bytes
from weakcl_pipeline.images.roots.archive import Members, damaged, detail_of
from weakcl_pipeline.images.roots.base import PictureRoot, read_bounded

_START = b"PK"
_TOTAL = 4  # of the record at the end: how many members there are
_ENTRY = struct.Struct("<qQQIHH")
"""Of a member: where its header lies, its size packed and unpacked, checksum, flags, method; its name follows.

Python's own objects for them would take three times the memory.
"""
_NOWHERE = (1 << 63) - 1
_ENCRYPTED = 0x1
_READABLE = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # of the others, Python unpacks in steps without a bound


class Zip(PictureRoot):
    """A zip archive, read at random; a member is unpacked in memory, no further than `max_bytes`.

    Args:
        source: The archive; closed with this object.
        name: Name of the archive, for messages.
        state: What changes with its content.
        config: Bounds.

    Raises:
        InputError: If it is not a zip archive, its list of members is damaged, or too long.
    """

    def __init__(self, source: BinaryIO, name: str, state: str, config: ImagesConfig) -> None:
        self._source = source
        self._name = name
        self._max_bytes = config.max_bytes
        self._state = state
        self._members = Members[bytes](name)
        with ExitStack() as on_error:
            on_error.callback(source.close)
            try:
                self._members.expect(_declared(source))
                self._zip = zipfile.ZipFile(source)
            except InputError:
                raise
            except Exception as error:  # zipfile raises nearly anything on other bytes
                raise damaged(name, _trouble(source)) from error
            self._index()
            on_error.pop_all()

    def read(self, reference: str) -> bytes:
        """See `PictureRoot.read`."""
        info = _info(self._members.find(reference))
        if info.file_size > self._max_bytes:
            raise too_many_bytes(self._max_bytes)
        try:
            with self._zip.open(info) as member:
                return read_bounded(member, self._max_bytes)
        except DecodeError:
            raise
        except Exception as error:  # zipfile raises nearly anything where a member's own header is damaged
            raise DecodeError(f"member {info.filename!r} of {self._name} is damaged: {detail_of(error)}") from error

    def state(self, reference: str) -> str:
        """Return what changes with the content of the archive."""
        return self._state

    def close(self) -> None:
        """Close the archive."""
        self._zip.close()
        self._source.close()

    def _index(self) -> None:
        """Move zipfile's list of members to the index, one by one, so that both never exist as a whole."""
        self._zip.NameToInfo.clear()
        self._zip.filelist.reverse()
        while self._zip.filelist:
            self._enter(self._zip.filelist.pop())

    def _enter(self, info: zipfile.ZipInfo) -> None:
        kind = stat.S_IFMT(info.external_attr >> 16)
        if not info.filename or info.is_dir():
            return
        if kind == stat.S_IFLNK:
            self._members.refuse(info.filename, "is a link")
        elif kind not in (0, stat.S_IFREG):
            self._members.refuse(info.filename, "is a device")
        elif info.flag_bits & _ENCRYPTED:
            self._members.refuse(info.filename, "is encrypted")
        elif info.compress_type not in _READABLE:
            self._members.refuse(info.filename, f"is compressed by method {info.compress_type}, not deflated or stored")
        else:
            self._members.add(info.filename, _entry(info))


def _entry(info: zipfile.ZipInfo) -> bytes:
    """Return what it takes to read a member."""
    place = max(-1, min(info.header_offset, _NOWHERE))  # a damaged archive may tell any, and no file has these
    numbers = (place, info.compress_size, info.file_size, info.CRC, info.flag_bits, info.compress_type)
    return _ENTRY.pack(*numbers) + info.orig_filename.encode()


def _info(entry: bytes) -> zipfile.ZipInfo:
    """Return what zipfile wants to know of a member."""
    info = zipfile.ZipInfo(entry[_ENTRY.size :].decode())
    numbers = _ENTRY.unpack_from(entry)
    info.header_offset, info.compress_size, info.file_size, info.CRC, info.flag_bits, info.compress_type = numbers
    return info


def _declared(source: BinaryIO) -> int:
    """Return how many members an archive tells at its end; 0 if it has no end that zipfile can read.

    zipfile has no public way to tell that before it has built the list of them, at hundreds of bytes for each.
    """
    end = cast(Any, zipfile)._EndRecData(source)  # also where the record is of the 64-bit kind
    return int(end[_TOTAL]) if end else 0


def _trouble(source: BinaryIO) -> str:
    """Return what is wrong with an archive whose list of members, at its end, cannot be read."""
    source.seek(0)
    if source.read(len(_START)) != _START:
        return "it does not begin as a zip archive does"
    return "it is cut off, or the list of members at its end is broken"
