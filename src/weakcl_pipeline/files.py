"""Files that are known by their content, and safe on the disk before anybody relies on them."""

import hashlib
import os
from pathlib import Path

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


def flush(path: Path) -> None:
    """Wait until the content of a file, or the names in a directory, would survive a power failure."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
