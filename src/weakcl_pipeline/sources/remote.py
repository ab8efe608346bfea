"""Files behind a URL, as local copies."""

import logging
import shutil
import tempfile
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import fsspec

from weakcl_pipeline.errors import InputError, shown
from weakcl_pipeline.files import TemporaryFolder
from weakcl_pipeline.images.roots import is_url
from weakcl_pipeline.images.roots.remote import describe, is_known, open_stream, patience, persistently, unknown

logger = logging.getLogger(__name__)

_BLOCK = 8 << 20
_TIMEOUT = 30.0  # seconds without a byte; the whole takes as long as it takes
_RETRIES = 3


def local(path: str) -> Path:
    """Return the local file or folder of a path; a URL's content is fetched once in this process.

    So hash and content are of one state, however the file changes meanwhile. The copy is removed when the process ends.

    Raises:
        InputError: There is no such file, or the URL cannot be read.
    """
    if is_url(path):
        return _fetched(path)
    if not Path(path).exists():
        raise InputError(f"{path}: there is no such file. Put it there, or correct the catalog.")
    return Path(path)


def beside(path: str, main: str) -> str:
    """Return a path that is relative to the folder of ``main``, a path or a URL."""
    if is_url(path) or Path(path).is_absolute():
        return path
    if not is_url(main):
        return (Path(main).parent / path).as_posix()
    parts = urlsplit(main)
    return urlunsplit(parts._replace(path=(PurePosixPath(parts.path).parent / path).as_posix(), query="", fragment=""))


@cache
def _folder() -> TemporaryFolder:
    return TemporaryFolder()


@cache
def _fetched(url: str) -> Path:
    name = PurePosixPath(urlsplit(url).path).name or "table"
    target = Path(tempfile.mkdtemp(dir=_folder().path)) / name
    if not is_known(url):
        raise InputError(f"{shown(url)} cannot be read: {unknown(url)}. Correct the catalog.")
    try:
        system, path = fsspec.core.url_to_fs(url, **patience(url, _TIMEOUT))
        persistently(lambda: _copy(system, path, target), _RETRIES)
    except Exception as error:  # each file system has its own errors
        raise InputError(
            f"{shown(url)} cannot be read: {describe(error)}. Correct the catalog, or see to the server."
        ) from error
    logger.info("%s: fetched, %d bytes", shown(url), target.stat().st_size)
    return target


def _copy(system: Any, path: str, target: Path) -> None:
    with open_stream(system, path) as source, target.open("wb") as copy:
        shutil.copyfileobj(source, copy, _BLOCK)
