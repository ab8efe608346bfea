"""Publishing a directory whole or not at all, even if the process is killed or the power fails."""

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from weakcl_pipeline.errors import InputError
from weakcl_pipeline.files import flush, writing

_PREFIX = ".staging-"


@contextmanager
def staged_directory(target: Path) -> Iterator[Path]:
    """Give a directory to write to, which becomes ``target`` when the block ends without an error.

    The staging directory lies beside ``target``'s parent (the artifact's folder), so that a search for
    versions of the artifact misses it, yet on the same file system, so that one rename publishes it. Files
    and directories are flushed to the disk first.

    Args:
        target: Version directory to publish; must not exist.

    Yields:
        The empty staging directory.

    Raises:
        InputError: Another process has published ``target`` meanwhile, the disk is full, or nothing may be written.
    """
    folder = target.parent
    staging = folder.parent / f"{_PREFIX}{folder.name}-{target.name}{_owner(os.getpid())}"
    with writing(target):
        staging.mkdir(parents=True)
        try:
            yield staging
            for path in (*staging.rglob("*"), staging):
                flush(path)
            folder.mkdir(exist_ok=True)
            _publish(staging, target)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
        flush(folder)
        flush(folder.parent)  # where the staging directory went, and the folder, if it is new, came


def sweep(parent: Path) -> list[Path]:
    """Remove what killed processes of this machine left staged below ``parent``.

    Args:
        parent: Folder of artifacts' folders, where `staged_directory` stages.

    Returns:
        The removed directories. Those of living processes, and of other machines that share the disk, stay.
    """
    abandoned = [path for path in parent.glob(f"{_PREFIX}*") if _is_abandoned(path)]
    for path in abandoned:
        shutil.rmtree(path, ignore_errors=True)
    return abandoned


def _publish(staging: Path, target: Path) -> None:
    try:
        staging.rename(target)
    except OSError as error:
        if not target.exists():
            raise
        msg = (
            f"{target} was just saved by another run, which has started within the same millisecond and so names its "
            "versions alike. What is there is its own and whole; run again what failed here"
        )
        raise InputError(msg) from error


def _owner(pid: int | str) -> str:
    return f"-{socket.gethostname()}-{pid}"


def _is_abandoned(path: Path) -> bool:
    pid = path.name.rpartition("-")[2]
    if not (pid.isdecimal() and path.name.endswith(_owner(pid))):
        return False
    try:
        os.kill(int(pid), 0)  # signal 0 asks whether the process is there
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # somebody else's, alive
    return False
