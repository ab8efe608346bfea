"""Picture roots: where the paths of a sample table are looked up, one file per kind.

To add a kind of archive, write a subclass of `PictureRoot` with the same arguments as the others and list it here.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from weakcl_pipeline.errors import InputError, shown
from weakcl_pipeline.images.decode import ImagesConfig
from weakcl_pipeline.images.roots.archive import state_of
from weakcl_pipeline.images.roots.base import PictureRoot
from weakcl_pipeline.images.roots.folder import Folder
from weakcl_pipeline.images.roots.remote import RemoteFolder, download
from weakcl_pipeline.images.roots.tar import Tar
from weakcl_pipeline.images.roots.zip import Zip

Archive = Callable[[BinaryIO, str, str, ImagesConfig], PictureRoot]
"""(open archive, its name for messages, what changes with its content, bounds) -> root."""

ARCHIVES: dict[str, Archive] = {
    ".zip": Zip,
    ".tar": Tar,
    ".tar.gz": Tar,
    ".tgz": Tar,
    ".tar.bz2": Tar,
    ".tbz2": Tar,
    ".tar.xz": Tar,
    ".txz": Tar,
}
"""End of the name, in any case -> kind of archive."""


def open_root(config: ImagesConfig) -> PictureRoot:
    """Open `images.root`: a folder or an archive, here or at a URL.

    Raises:
        InputError: If it is not set, or cannot be read.
    """
    root = config.root
    if root is None:
        raise InputError(
            "images.root is not set, but the sample table refers to pictures by path. "
            "Set it to the directory, the archive or the URL that the paths are relative to."
        )
    if not is_url(root):
        return _open_local(Path(root), config)
    scheme, _, rest = root.partition("://")
    if "::" in root:
        raise InputError(
            f"images.root: {shown(root)!r} is a chain of URLs. Give the URL of the folder or archive alone."
        )
    if scheme in ("file", "local"):
        return _open_local(Path(rest), config)
    archive = _archive(rest) or _archive(_without_query(rest))
    if archive is None:
        return RemoteFolder(root, config)
    source, state = download(root, config)
    return archive(source, shown(root), state, config)


def is_url(place: str) -> bool:
    """Whether a place is a URL, not a path."""
    return "://" in place


def _open_local(path: Path, config: ImagesConfig) -> PictureRoot:
    if not path.is_file():
        return Folder(path, config.max_bytes)
    archive = _archive(path.name)
    if archive is None:
        raise InputError(
            f"images.root: {str(path)!r} is a file, but not an archive ({', '.join(ARCHIVES)}). "
            "Set it to the directory, the archive or the URL of the pictures."
        )
    try:
        source = path.open("rb")
    except OSError as error:
        raise InputError(f"images.root: {str(path)!r} cannot be read: {error.strerror}.") from error
    return archive(source, path.name, state_of(source), config)


def _without_query(address: str) -> str:
    """Return a URL as far as it names a file: signatures and the like come after that."""
    return re.split("[?#]", address, maxsplit=1)[0]


def _archive(name: str) -> Archive | None:
    return next((kind for suffix, kind in ARCHIVES.items() if name.lower().endswith(suffix)), None)


__all__ = ["ARCHIVES", "Archive", "PictureRoot", "is_url", "open_root"]
