"""What the kinds of archives share: the index of their members, and the copy of what cannot be read at random."""

import contextlib
import os
import tempfile
import unicodedata
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import BinaryIO, Generic, TypeVar, cast

from weakcl_pipeline.errors import InputError, brief
from weakcl_pipeline.images.decode import DecodeError
from weakcl_pipeline.images.roots.base import not_found, relative_path

MAX_MEMBERS = 20_000_000
"""Of an archive. Measured with names of 37 characters, the index keeps about 230 bytes for each; a zip takes 660 while
it is opened, as Python's list of members is made whole before it can be moved to the index."""

_CHUNK = 1 << 20

Place = TypeVar("Place")


class Members(Generic[Place]):
    """The members of an archive by name, and for those that are no plain files the reason why they are not read.

    Names are compared with their accents composed and without a leading './'. Names that are absolute or contain '..'
    are never found, as no reference may be so.

    Args:
        archive: Name of the archive, for messages.
    """

    def __init__(self, archive: str) -> None:
        self._archive = archive
        self._members: dict[str, Place | DecodeError] = {}
        self._example = ""

    def expect(self, count: int) -> None:
        """Refuse an archive of more members than an index should hold.

        Raises:
            InputError: If there are so many.
        """
        if count > MAX_MEMBERS:
            raise InputError(
                f"images.root: {self._archive} has more than {MAX_MEMBERS:,} members. Unpack it and set images.root "
                "to the folder."
            )

    def add(self, name: str, place: Place) -> None:
        """Enter a file.

        Raises:
            InputError: If the archive has too many members.
        """
        self._enter(name, place)
        self._example = self._example or str(PurePosixPath(name))

    def refuse(self, name: str, what: str) -> None:
        """Enter a member that is not read, with what it is: "is a link"."""
        self._enter(name, DecodeError(f"member {name!r} of {self._archive} {what}; only plain files are read"))

    def find(self, reference: str) -> Place:
        """Return where the member of this name lies.

        Raises:
            DecodeError: If the reference leaves the archive, or names none of its files, or several.
        """
        found = self._members.get(_key(str(relative_path(reference))))
        if isinstance(found, DecodeError):
            raise DecodeError(found.reason)
        if found is None:
            example = f" (which has, for example, {self._example!r})" if self._example else " (which has no files)"
            raise not_found(reference, f"in {self._archive}{example}")
        return found

    def _enter(self, name: str, entry: Place | DecodeError) -> None:
        key = _key(name)
        if key in self._members:
            entry = DecodeError(f"member {name!r} is in {self._archive} more than once; which one is meant is unknown")
        self._members[key] = entry
        self.expect(len(self._members))


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", str(PurePosixPath(name)))


def state_of(source: BinaryIO) -> str:
    """Return when an archive on this machine was last changed, and its size."""
    status = os.fstat(source.fileno())
    return f"{status.st_mtime_ns} {status.st_size}"


def damaged(archive: str, detail: object) -> InputError:
    """Return the error for an archive that cannot be used at all."""
    return InputError(f"images.root: the archive {archive} is damaged: {detail_of(detail)}. Get or make it again.")


def detail_of(error: object) -> str:
    """Return the text of a library's error, which may quote an archive at any length."""
    return brief(str(error), 200)


def copy_to_temporary_file(read: Callable[[int], bytes], archive: str, max_archive_bytes: int) -> BinaryIO:
    """Copy a stream to a file without a name, which the system removes when it is closed, whatever happens.

    Args:
        read: Returns at most so many bytes, and none at the end.
        archive: Name of the archive, for messages.
        max_archive_bytes: Largest copy.

    Raises:
        InputError: If there is more to copy than `max_archive_bytes`, or no room for it.
    """
    with contextlib.ExitStack() as on_error:
        copy = cast(BinaryIO, on_error.enter_context(tempfile.TemporaryFile(prefix="weakcl-")))
        copied = 0
        while piece := read(_CHUNK):
            copied += len(piece)
            if copied > max_archive_bytes:
                raise InputError(
                    f"images.root: {archive} needs a temporary copy of more than images.max_archive_bytes = "
                    f"{max_archive_bytes:,} bytes. If that is right, raise it; or unpack the archive and set "
                    "images.root to the folder."
                )
            _append(copy, piece, archive)
        copy.seek(0)
        on_error.pop_all()
    return copy


def _append(copy: BinaryIO, piece: bytes, archive: str) -> None:
    try:
        copy.write(piece)
        copy.flush()
    except OSError as error:
        raise InputError(
            f"images.root: no room for a temporary copy of {archive} in {tempfile.gettempdir()} ({error.strerror}). "
            "Set the environment variable TMPDIR to a folder with more room, or unpack the archive and set "
            "images.root to the folder."
        ) from error
