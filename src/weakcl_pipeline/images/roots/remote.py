"""Pictures and archives at a URL, through fsspec."""

import errno
import hashlib
import importlib
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, BinaryIO, TypeVar, cast
from urllib.parse import quote

import fsspec

from weakcl_pipeline.errors import InputError, shown
from weakcl_pipeline.images.decode import DecodeError, ImagesConfig, too_many_bytes
from weakcl_pipeline.images.roots.archive import copy_to_temporary_file
from weakcl_pipeline.images.roots.base import PictureRoot, Readable, not_found, read_bounded, relative_path

_READERS = 16  # requests at a time; most of the time each waits for its answer
_DEAD_AFTER = 16  # pictures in a row without any answer
_FIRST_PAUSE = 0.5  # seconds before the second try; doubled before each further one
_TRANSIENT = (408, 425, 429)  # of the HTTP codes below 500, those worth another try

T = TypeVar("T")


class RemoteFolder(PictureRoot):
    """A folder at a URL.

    A request that fails is repeated. A picture that cannot be had nevertheless is refused; if it is so with many in a
    row, the server is taken for dead.

    Args:
        url: The folder.
        config: Bounds, time-out and number of tries.

    Raises:
        InputError: If there is no such folder, or no way to read from such URLs.
    """

    readers = _READERS

    def __init__(self, url: str, config: ImagesConfig) -> None:
        self._name = shown(url)
        self._config = config
        self._system, path = _connect(url, config)
        # elsewhere than on the web, these are characters of a name like any other
        path, self._query = _parted(path) if _is_http(self._system) else (path, "")
        self._path = path.rstrip("/")
        self._lock = threading.Lock()
        self._failed_in_a_row = 0
        self._dead: InputError | None = None
        if not _is_http(self._system):  # which knows no folders
            self._check_folder()

    def read(self, reference: str) -> bytes:
        """See `PictureRoot.read`."""
        if self._dead is not None:
            raise self._dead
        path = str(relative_path(reference))
        try:
            content = persistently(lambda: self._fetch(path), self._config.retries)
        except FileNotFoundError as error:
            self._count(answered=True, words="")
            raise not_found(reference, f"below {self._name}") from error
        except DecodeError:
            self._count(answered=True, words="")
            raise
        except Exception as error:  # each file system has its own errors
            words = self._words(error)
            self._count(answered=_is_final(error), words=words)
            raise DecodeError(f"{self._name.rstrip('/')}/{path} cannot be read: {words}") from error
        self._count(answered=True, words="")
        return content

    def _fetch(self, path: str) -> bytes:
        limit = self._config.max_bytes
        if _is_http(self._system):
            with open_stream(self._system, f"{self._path}/{quote(path)}{self._query}") as stream:
                return read_bounded(_Deadline(stream, self._config.timeout), limit)
        waiting = {"timeout": self._config.timeout} if self._system.async_impl else {}
        content: bytes = self._system.cat_file(f"{self._path}/{path}", start=0, end=limit + 1, **waiting)
        if len(content) > limit:
            raise too_many_bytes(limit)
        return content

    def _count(self, *, answered: bool, words: str) -> None:
        with self._lock:
            self._failed_in_a_row = 0 if answered else self._failed_in_a_row + 1
            if self._failed_in_a_row < _DEAD_AFTER:
                return
            self._dead = InputError(
                f"images.root: {self._name} does not answer: {_DEAD_AFTER} pictures in a row could not be read, each "
                f"after {_tries(self._config)}; the last: {words}. Check the network and the server, and "
                "run again."
            )
        raise self._dead

    def _check_folder(self) -> None:
        try:
            is_folder = persistently(lambda: self._system.isdir(self._path), self._config.retries)
        except Exception as error:
            raise InputError(f"images.root: {self._name} cannot be read: {self._words(error)}") from error
        if not is_folder:
            raise InputError(
                f"images.root: {self._name} is not a directory. "
                "Set it to the directory, the archive or the URL of the pictures."
            )

    def _words(self, error: Exception) -> str:
        return describe(error, self._config.timeout)


def download(url: str, config: ImagesConfig) -> tuple[BinaryIO, str]:
    """Copy an archive at a URL to a temporary file without a name, as few servers can be read at random.

    Returns:
        The copy, and a digest of its bytes: all else that a copy tells of its state is its own, and new in every run.

    Raises:
        InputError: If it cannot be had, or is larger than `max_archive_bytes`.
    """
    name = shown(url)
    system, path = _connect(url, config)

    def copy() -> tuple[BinaryIO, str]:
        with open_stream(system, path) as stream:
            digested = _Digested(stream)
            return copy_to_temporary_file(digested.read, name, config.max_archive_bytes), digested.digest()

    try:
        return persistently(copy, config.retries)
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"images.root: there is no {name}.") from error
    except Exception as error:  # each file system has its own errors
        raise InputError(
            f"images.root: {name} cannot be read, after {_tries(config)}: {describe(error, config.timeout)}. "
            "Check the network and the server, and run again."
        ) from error


def open_stream(system: Any, path: str) -> BinaryIO:
    """Open for reading from start to end; over HTTP that is a single request, whatever the server can.

    Args:
        system: fsspec's file system.
        path: In it.
    """
    options = {"block_size": 0, "size": 1} if _is_http(system) else {}  # with a size given, it does not ask for it
    return cast(BinaryIO, system.open(path, "rb", **options))


def patience(url: str, timeout: float) -> dict[str, Any]:
    """Return the options by which fsspec waits so many seconds for each answer, and for all of a file as it takes."""
    if url.startswith(("http://", "https://")):
        seconds = {"total": None, "sock_connect": timeout, "sock_read": timeout}
        return {"client_kwargs": {"timeout": importlib.import_module("aiohttp").ClientTimeout(**seconds)}}
    return {"timeout": timeout} if url.startswith("ftp://") else {}


def is_known(url: str) -> bool:
    """Whether fsspec has heard of URLs of this kind."""
    return url.partition("://")[0] in {*fsspec.available_protocols(), *fsspec.registry}


def unknown(url: str) -> str:
    """Return what is wrong with a URL that is not known."""
    return f"fsspec knows no URLs that begin with {url.partition('://')[0]}://"


def describe(error: Exception, timeout: float | None = None) -> str:
    """Return why a URL cannot be read, in words that hold neither the URL nor a password.

    Args:
        error: Of any file system.
        timeout: Seconds, `images.timeout`, where it is what an answer was waited for.
    """
    if isinstance(error, TimeoutError):
        return "no answer in time" if timeout is None else f"no answer within images.timeout = {timeout:g} seconds"
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if hasattr(error, "status") and hasattr(error, "message"):  # its text has the URL, maybe with a password
        return f"the server answered {error.status} {error.message}"
    if isinstance(getattr(error, "os_error", None), socket.gaierror):
        return "there is no server of this name"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return shown(f"{type(error).__name__}: {error}")


class _Digested:
    """A stream, and the digest of what has been read of it."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._digest = hashlib.sha256()

    def read(self, size: int) -> bytes:
        piece = self._stream.read(size)
        self._digest.update(piece)
        return piece

    def digest(self) -> str:
        return self._digest.hexdigest()


class _Deadline:
    """A stream that must end in time; its own time-outs are for single answers, and an answer may trickle."""

    def __init__(self, stream: Readable, seconds: float) -> None:
        self._stream = stream
        self._end = time.monotonic() + seconds

    def read(self, size: int) -> bytes:
        if time.monotonic() > self._end:
            raise TimeoutError
        return self._stream.read(size)


def _connect(url: str, config: ImagesConfig) -> tuple[Any, str]:
    """Return the file system of a URL and the path there."""
    if not is_known(url):
        raise InputError(f"images.root: {shown(url)} cannot be read: {unknown(url)}. Correct the URL.")
    try:
        system, path = fsspec.core.url_to_fs(url, **patience(url, config.timeout))
    except ImportError as error:
        raise InputError(
            f"images.root: {shown(url)} needs a package that is not installed: {error}. Install it, or copy the "
            "pictures to this machine."
        ) from error
    except Exception as error:
        raise InputError(f"images.root: {shown(url)} cannot be read: {describe(error, config.timeout)}") from error
    return system, path


def _parted(path: str) -> tuple[str, str]:
    """Return a web address up to its query, and the query, which paths go before."""
    path, mark, query = path.partition("#")[0].partition("?")
    return path, mark + query


def _is_http(system: Any) -> bool:
    return "http" in system.protocol


def persistently(call: Callable[[], T], retries: int) -> T:
    """Return what a call does, tried again so many times where another try may end otherwise."""
    for attempt in range(retries):
        try:
            return call()
        except Exception as error:
            if _is_final(error):
                raise
            time.sleep(_FIRST_PAUSE * 2**attempt)
    return call()


def _is_final(error: Exception) -> bool:
    """Whether another try would end alike: it is an answer, though not the one hoped for."""
    if isinstance(error, InputError | DecodeError | FileNotFoundError | PermissionError):
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return True
    status = getattr(error, "status", None)  # of an HTTP answer
    return isinstance(status, int) and 400 <= status < 500 and status not in _TRANSIENT


def _tries(config: ImagesConfig) -> str:
    return f"{config.retries + 1} tries" if config.retries else "one try"
