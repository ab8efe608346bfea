"""Files that are known by their content, and safe on the disk before anybody relies on them."""

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
from filelock import FileLock, Timeout

from weakcl_pipeline.errors import InputError, causes

_digests: dict[tuple[int, int, int, int], str] = {}  # of files, by device, inode, time of change and size


def sha256_of(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file's content.

    A file that has not changed since this process last hashed it is not read again, even if it was renamed.

    Raises:
        OSError: The file is missing or cannot be read.
    """
    stat = path.stat()
    state = (stat.st_dev, stat.st_ino, stat.st_mtime_ns, stat.st_size)
    if state not in _digests:
        with path.open("rb") as file:
            _digests[state] = hashlib.file_digest(file, "sha256").hexdigest()
    return _digests[state]


_MAPPED_FROM = b"mapped_from"
_PASSING = (_MAPPED_FROM, b"checkpoint")
"""Metadata of a table in memory; in a file, its content would depend on where the project and the raw data lie."""


def map_table(path: Path) -> pa.Table:
    """Map an Arrow IPC file into memory; the table's metadata tells which, so that other processes can map it too."""
    table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    return table.replace_schema_metadata({**(table.schema.metadata or {}), _MAPPED_FROM: str(path.absolute())})


def write_table(table: pa.Table, path: Path) -> None:
    """Write an Arrow IPC file, without the metadata that say where the table and its parts lie."""
    metadata = {key: value for key, value in (table.schema.metadata or {}).items() if key not in _PASSING}
    table = table.replace_schema_metadata(metadata or None)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def file_of(table: pa.Table) -> Path | None:
    """Return the file that a table is mapped from, if it is."""
    path = (table.schema.metadata or {}).get(_MAPPED_FROM)
    return Path(path.decode()) if path else None


_LOCK = ".lock"


@contextmanager
def locked_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """Make a folder that is there, and locked, while the block runs.

    A lock ends with its process, however that ends and whichever machine or container it is of, so that
    `remove_abandoned` can tell the folder from those that killed processes left.
    """
    with (
        tempfile.TemporaryDirectory(prefix=prefix, dir=parent, ignore_cleanup_errors=True) as name,
        FileLock(Path(name) / _LOCK),
    ):
        yield Path(name)


def remove_abandoned(parent: Path, prefix: str) -> list[Path]:
    """Remove the folders below ``parent`` that killed processes left locked, and return them."""
    removed = []
    for lock in parent.glob(f"{prefix}*/{_LOCK}"):
        try:
            with FileLock(lock, timeout=0):
                shutil.rmtree(lock.parent, ignore_errors=True)
        except (Timeout, OSError):  # in use, or another user's
            continue
        removed.append(lock.parent)
    return removed


class TemporaryFolder:
    """A folder for temporary files (below `TMPDIR`), removed once this object is not there any more.

    What a killed process left is removed by the next one that needs such a folder: each is locked while it is used.

    Attributes:
        path: The folder.

    Raises:
        InputError: There is no room for it, or nothing may be written there.
    """

    _PREFIX = "weakcl-"

    def __init__(self) -> None:
        remove_abandoned(Path(tempfile.gettempdir()), self._PREFIX)
        with writing(Path(tempfile.gettempdir())):
            self._folder = tempfile.TemporaryDirectory(prefix=self._PREFIX)
            self.path = Path(self._folder.name)
            self._lock = FileLock(self.path / _LOCK)
            self._lock.acquire()


_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EROFS, errno.EACCES, errno.EPERM)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Write a file or a folder in here.

    Raises:
        InputError: Its disk is full, or nothing may be written there.
    """
    try:
        yield
    except Exception as error:
        for cause in causes(error):
            if is_full(cause):
                msg = f"{path} cannot be written: no space is left on its disk. Free some"
            elif isinstance(cause, OSError) and cause.errno in _FORBIDDEN:
                msg = f"{path} cannot be written: {os.strerror(cause.errno).lower()}. See to its permissions"
            else:
                continue
            msg = f"{msg}, and give the same command again; what was saved before is still there"
            raise InputError(msg) from error
        raise


def is_full(error: BaseException) -> bool:
    """Whether an error says that there is no room left on a disk; libraries in Rust give its number in their text."""
    return getattr(error, "errno", None) in _FULL or any(f"os error {number})" in str(error) for number in _FULL)


def flush(path: Path) -> None:
    """Wait until the content of a file, or the names in a directory, would survive a power failure."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
