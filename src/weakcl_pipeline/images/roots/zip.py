"""Pictures in a zip archive."""

import stat
import zipfile
from typing import BinaryIO

from weakcl_pipeline.images.decode import DecodeError, ImagesConfig, too_many_bytes
from weakcl_pipeline.images.roots.archive import Members, brief, damaged, state_of
from weakcl_pipeline.images.roots.base import PictureRoot, read_bounded

_START = b"PK"
_ENCRYPTED = 0x1
_READABLE = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # of the others, Python unpacks in steps without a bound


class Zip(PictureRoot):
    """A zip archive, read at random; a member is unpacked in memory, no further than `max_bytes`.

    Args:
        source: The archive; closed with this object.
        name: Name of the archive, for messages.
        config: Bounds.

    Raises:
        InputError: If it is not a zip archive, or its list of members is damaged.
    """

    def __init__(self, source: BinaryIO, name: str, config: ImagesConfig) -> None:
        self._source = source
        self._name = name
        self._max_bytes = config.max_bytes
        self._state = state_of(source)
        try:
            self._zip = zipfile.ZipFile(source)
        except Exception as error:  # zipfile raises nearly anything on other bytes
            with source:
                raise damaged(name, _trouble(source)) from error
        self._members = Members[zipfile.ZipInfo](name)
        for info in self._zip.infolist():
            self._index(info)

    def read(self, reference: str) -> bytes:
        """See `PictureRoot.read`."""
        info = self._members.find(reference)
        if info.file_size > self._max_bytes:
            raise too_many_bytes(self._max_bytes)
        try:
            with self._zip.open(info) as member:
                return read_bounded(member, self._max_bytes)
        except DecodeError:
            raise
        except Exception as error:  # zipfile raises nearly anything where a member's own header is damaged
            raise DecodeError(f"member {info.filename!r} of {self._name} is damaged: {brief(error)}") from error

    def state(self, reference: str) -> str:
        """Return when the archive was last changed, and its size."""
        return self._state

    def close(self) -> None:
        """Close the archive."""
        self._zip.close()
        self._source.close()

    def _index(self, info: zipfile.ZipInfo) -> None:
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
            self._members.add(info.filename, info)


def _trouble(source: BinaryIO) -> str:
    """Return what is wrong with an archive whose list of members, at its end, cannot be read."""
    source.seek(0)
    if source.read(len(_START)) != _START:
        return "it does not begin as a zip archive does"
    return "it is cut off, or the list of members at its end is broken"
