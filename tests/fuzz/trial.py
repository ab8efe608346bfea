"""One try of a target: what may come of it, and the limits in which it must stay."""

import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polars.exceptions import PanicException

from tests.fuzz.choices import Choices
from tests.fuzz.edits import WHOLE, spoil
from weakcl_pipeline.errors import InputError

SECONDS = 10.0
"""That a try may take."""
BYTES = 400 << 20
"""That the memory's peak may rise by in a try."""
CHARACTERS = 5000
"""That a message may have."""

_PLACES = ("raw_samples", "images.root", "ingestion.")


class FindingError(AssertionError):
    """What must not come of a try."""


def unsealed(content: bytes) -> bytes:
    """Return the content of a format without checksums as it is."""
    return content


@dataclass(frozen=True)
class Target:
    """A reader, and a data set that it reads.

    Attributes:
        make: Writes the data set, small and right, into a folder.
        read: Reads it, as a run would.
        files: Patterns of the files that are spoilt.
        apart: Whether each of the files is a data set of its own; then `read` is given one of them, not the folder.
        words: What has a meaning in the format.
        seal: Repairs the checksums of a spoilt file.
    """

    make: Callable[[Path], object]
    read: Callable[[Path], object]
    files: tuple[str, ...]
    apart: bool = False
    words: tuple[bytes, ...] = ()
    seal: Callable[[bytes], bytes] = unsealed


class Trials:
    """Tries of a target, in a folder where they may write.

    Args:
        target: What is tried.
        folder: An empty folder.
    """

    def __init__(self, target: Target, folder: Path) -> None:
        self._target = target
        self._data, self._right, self._temporary = (folder / name for name in ("data", "right", "temporary"))
        self._temporary.mkdir()
        self._right.mkdir()
        target.make(self._right)
        shutil.copytree(self._right, self._data)
        self._files = [file for pattern in target.files for file in sorted(self._data.glob(pattern))]
        for each in self._files if target.apart else [self._data]:
            target.read(each)  # it is right, and what that imports is there

    def seeds(self) -> Iterator[bytes]:
        """Yield inputs to begin with: each file, put in its own place."""
        for at, file in enumerate(self._files):
            yield bytes([at, *WHOLE]) + file.read_bytes()

    def run(self, data: bytes) -> str | None:
        """Spoil the data set as an input says, and read it.

        Returns:
            The message with which it is refused, if it is.

        Raises:
            FindingError: It is not refused as it should be, or the reader left its limits.
        """
        choices = Choices(data)
        read = choices.pick(self._files) if self._target.apart else self._data
        spoil([read] if self._target.apart else self._files, choices, self._target.words, self._target.seal)
        before, began = _peak(), time.monotonic()
        message = None
        try:
            with writes(allowed=self._temporary) as elsewhere:
                self._target.read(read)
        except InputError as error:
            message = str(error)
            self._check(message)
        except FindingError:
            raise
        except (Exception, PanicException) as error:
            raise FindingError(f"not an InputError, but {error!r}") from error
        finally:
            self._restore()
        if elsewhere:
            raise FindingError(f"writes outside: {elsewhere}")
        if _peak() - before > BYTES:
            raise FindingError(f"takes {_peak() - before:,} bytes of memory")
        if time.monotonic() - began > SECONDS:
            raise FindingError(f"takes {time.monotonic() - began:.1f} s")
        return message

    def _check(self, message: str) -> None:
        names = (str(self._data), *_PLACES, *(file.name for file in self._files))
        if not any(name in message for name in names):
            raise FindingError(f"names no place: {message}")
        if len(message) > CHARACTERS:
            raise FindingError(f"a message of {len(message):,} characters: {message[:200]}")

    def _restore(self) -> None:
        """Make the data set right again; only folders with spoilt files are looked through."""
        for folder in {file.parent for file in self._files}:
            right = self._right / folder.relative_to(self._data)
            for name in os.listdir(folder):  # noqa: PTH208 - of any bytes
                if not (right / name).is_file() and not (right / name).is_dir():
                    _remove(folder / name)
        for file in self._files:
            right = self._right / file.relative_to(self._data)
            if not file.is_file() or file.read_bytes() != right.read_bytes():
                _remove(file)
                shutil.copyfile(right, file)


@contextmanager
def writes(allowed: Path) -> Iterator[list[str]]:
    """Note what Python writes, removes or renames in here that does not lie below a folder; temporary files do."""
    _watched[:] = [(str(allowed), found := [])]
    was, tempfile.tempdir = tempfile.tempdir, str(allowed)
    bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    if not _hooked:
        sys.addaudithook(_note)
        _hooked.append(True)
    try:
        yield found
    finally:
        tempfile.tempdir, sys.dont_write_bytecode = was, bytecode
        _watched.clear()


_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = {
    "os.mkdir": 1, "os.remove": 1, "os.rmdir": 1, "os.rename": 2, "os.link": 2, "os.symlink": 2, "os.truncate": 1,
    "os.chmod": 1, "os.chown": 1, "os.utime": 1, "os.mkfifo": 1, "os.mknod": 1,
}  # fmt: skip
"""Event -> how many of its arguments are paths."""
_watched: list[tuple[str, list[str]]] = []
_hooked: list[bool] = []  # a hook stays for ever


def _note(event: str, arguments: Sequence[Any]) -> None:
    if not _watched:
        return
    allowed, found = _watched[0]
    paths = 1 if event == "open" and arguments[2] & _WRITING else _CHANGES.get(event, 0)
    for path in arguments[:paths]:
        if isinstance(path, str | bytes):
            absolute = os.path.realpath(os.path.join(_base(event, arguments), os.fsdecode(path)))  # noqa: PTH118
            if not Path(absolute).is_relative_to(allowed) and absolute != os.devnull:
                found.append(f"{event} {absolute}")


def _base(event: str, arguments: Sequence[Any]) -> str:
    """Return what a path is relative to: the last argument may be an open folder."""
    folder = -1 if event in ("open", "os.truncate") else arguments[-1]
    return os.readlink(f"/proc/self/fd/{folder}") if folder >= 0 else ""  # noqa: PTH115


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
