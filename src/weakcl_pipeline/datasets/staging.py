"""Publishing a directory whole or not at all, even if the process is killed or the power fails."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from weakcl_pipeline.errors import InputError
from weakcl_pipeline.files import flush, locked_folder, remove_abandoned, writing

_PREFIX = ".staging-"


@contextmanager
def staged_directory(target: Path) -> Iterator[Path]:
    """Give a directory to write to, which becomes ``target`` when the block ends without an error.

    The staging directory lies in a locked folder beside ``target``'s parent (the artifact's folder), so that a search
    for versions of the artifact misses it, yet on the same file system, so that one rename publishes it. Files
    and directories are flushed to the disk first.

    Args:
        target: Version directory to publish; must not exist.

    Yields:
        The empty staging directory.

    Raises:
        InputError: Another process has published ``target`` meanwhile, the disk is full, or nothing may be written.
    """
    folder = target.parent
    with writing(target):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with locked_folder(folder.parent, f"{_PREFIX}{folder.name}-{target.name}-") as place:
            staging = place / target.name
            staging.mkdir()
            yield staging
            for path in (*staging.rglob("*"), staging):
                flush(path)
            folder.mkdir(exist_ok=True)
            _publish(staging, target)
            flush(folder)
        flush(folder.parent)  # where the staging directory went, and the folder, if it is new, came


def sweep(parent: Path) -> list[Path]:
    """Remove what killed processes left staged below ``parent``.

    Args:
        parent: Folder of artifacts' folders, where `staged_directory` stages.

    Returns:
        The removed folders. Those of living processes, of whatever machine or container, are locked, and stay.
    """
    return remove_abandoned(parent, _PREFIX)


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
