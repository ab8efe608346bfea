"""Pictures in a folder of this machine."""

import unicodedata
from pathlib import Path

from weakcl_pipeline.errors import InputError
from weakcl_pipeline.images.decode import DecodeError, too_many_bytes
from weakcl_pipeline.images.roots.base import PictureRoot, not_found, read_bounded, relative_path


class Folder(PictureRoot):
    """A folder; links below it are followed only as long as they end below it.

    Args:
        path: The folder.
        max_bytes: Largest file that is read.

    Raises:
        InputError: If it is not a directory.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        if not path.is_dir():
            raise InputError(
                f"images.root: {str(path)!r} is not a directory. "
                "Set it to the directory, the archive or the URL of the pictures."
            )
        self._root = path.resolve()
        self._max_bytes = max_bytes

    def read(self, reference: str) -> bytes:
        """See `PictureRoot.read`; what is not a regular file is not opened."""
        target = self._resolve(reference)
        try:
            if target.stat().st_size > self._max_bytes:
                raise too_many_bytes(self._max_bytes)
            with target.open("rb") as file:
                return read_bounded(file, self._max_bytes)
        except OSError as error:
            raise DecodeError(f"reference {reference!r} cannot be read: {error.strerror or error}") from error

    def state(self, reference: str) -> str:
        """Return when the file was last changed, and its size."""
        try:
            status = self._resolve(reference).stat()
        except (DecodeError, OSError):
            return "none"
        return f"{status.st_mtime_ns} {status.st_size}"

    def _resolve(self, reference: str) -> Path:
        relative = relative_path(reference)
        for spelling in dict.fromkeys((str(relative), *_accents(str(relative)))):
            try:
                target = (self._root / spelling).resolve()
                is_file = target.is_file()
            except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a name too long, a zero byte
                reason = "a circle of links" if isinstance(error, RuntimeError) else getattr(error, "strerror", error)
                raise DecodeError(f"reference {reference!r} cannot be resolved: {reason}") from error
            if not target.is_relative_to(self._root):
                raise DecodeError(f"reference {reference!r} is a link that leaves images.root")
            if is_file:
                return target
        raise not_found(reference, "below images.root")


def _accents(name: str) -> tuple[str, str]:
    """Return a name with its accents composed and decomposed; systems write the one or the other."""
    return unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)
