"""What every kind of picture root shares: the interface, the rule for references, and the bound on bytes."""

from abc import ABC, abstractmethod
from pathlib import PurePath, PurePosixPath, PureWindowsPath
from types import TracebackType
from typing import Protocol, Self

from weakcl_pipeline.images.decode import DecodeError, too_many_bytes

_CHUNK = 1 << 20
_LONGEST = 4096  # characters of a path
_SHOWN = 40


class Readable(Protocol):
    """A stream of bytes."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, none at the end."""


class PictureRoot(ABC):
    """Where the references of a sample table are looked up, and nowhere else.

    Reading is safe from several threads at once.

    Attributes:
        readers: How many threads should read at a time; None for as many as there are cores.
    """

    readers: int | None = None

    @abstractmethod
    def read(self, reference: str) -> bytes:
        """Return the encoded picture that a reference names.

        Args:
            reference: Path relative to the root, as the sample table has it.

        Raises:
            DecodeError: If this picture cannot be read, or the reference leaves the root.
            InputError: If no picture can be read any more.
        """

    def state(self, reference: str) -> str:
        """Return what changes with the picture, as far as that can be told without reading it."""
        return ""

    def close(self) -> None:
        """Give back what was opened."""
        return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def relative_path(reference: str) -> PurePosixPath:
    """Return a reference as a path that stays below any root.

    Raises:
        DecodeError: If the reference is empty, a URL, longer than any path, or absolute, here or on Windows, or
            contains '..'.
    """
    if not reference:
        raise DecodeError("reference '' is empty")
    if len(reference) > _LONGEST:
        raise DecodeError(
            f"reference '{reference[:_SHOWN]}...' has {len(reference):,} characters; paths have at most {_LONGEST:,}."
            " Encoded pictures must be in a column of bytes, not of text"
        )
    if "://" in reference:
        raise DecodeError(
            f"reference {reference!r} is a URL; set images.root to how all URLs begin, and leave the rest in the column"
        )
    if PurePath(reference).is_absolute() or PureWindowsPath(reference).is_absolute():
        raise DecodeError(f"reference {reference!r} is absolute; it must be relative to images.root")
    if ".." in PureWindowsPath(reference).parts:  # Windows knows both separators
        raise DecodeError(f"reference {reference!r} contains '..'; it must stay below images.root")
    return PurePosixPath(reference)


def not_found(reference: str, where: str) -> DecodeError:
    """Return the error for a reference that names nothing, with a hint where a mistake is likely."""
    hint = "; folders must be separated by '/'" if "\\" in reference else ""
    return DecodeError(f"reference {reference!r}: no such file {where}{hint}")


def read_bounded(stream: Readable, max_bytes: int) -> bytes:
    """Read a stream to its end, in pieces.

    Raises:
        DecodeError: If it has more than `max_bytes`; no more than one piece beyond them is read.
    """
    content = bytearray()
    while piece := stream.read(min(_CHUNK, max_bytes + 1 - len(content))):
        content += piece
        if len(content) > max_bytes:
            raise too_many_bytes(max_bytes)
    return bytes(content)
