"""Many encoded pictures -> the packed image store and the list of those that failed."""

import logging
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import polars as pl
import pyarrow as pa

from weakcl_pipeline.errors import InputError, some_lines
from weakcl_pipeline.hardware import cores
from weakcl_pipeline.images.decode import Box, DecodeError, ImagesConfig
from weakcl_pipeline.images.roots import PictureRoot, open_root
from weakcl_pipeline.images.shards import Outcome, Shard, Shards, digest_of
from weakcl_pipeline.images.stores import STORES

logger = logging.getLogger(__name__)

_TASK = 32  # pictures per task: enough to hide the cost of a future, few enough to bound what is in flight
_TASK_BYTES = 4 << 20  # of its pixels: what is in flight must not grow with the size of the pictures
_TASK_FILES = 1  # per task where files are kept, of which each may have any size
_SHARD_BYTES = 32 << 20  # of pixels, or of the encoded pictures that the table embeds, whichever is reached first
_SHARD_FILES = 1024  # where files are kept: few enough to be lost by a kill, and many for the limit told in `Shards`


class Part(NamedTuple):
    """A picture of which a box is used."""

    picture: bytes | str
    box: Box


Encoded = bytes | str | Part | None
Row = tuple[str, Encoded]


def pack_images(encoded: Iterable[Row], config: ImagesConfig, folder: Path) -> tuple[pa.Table, pl.DataFrame]:
    """Decode pictures on all cores (Pillow releases the interpreter's lock) and pack them in their order.

    What is kept goes to the disk as it comes, in shards, so that memory does not grow with the number of pictures, nor
    with their size beyond that of the few that are being decoded. A packing that was interrupted and is begun again
    goes on behind its last shard, as far as its pictures are the same. Pictures in a folder at a URL are taken for
    unchanged.

    Args:
        encoded: Pairs of sample id and picture: bytes, a path relative to `config.root`, a part of either, or None if
            missing. It is consumed as a stream; only a bounded number of pictures is in flight.
        config: Size, bounds and background.
        folder: Where to keep the shards, ``<folder>/<key>/*.arrow``. The caller removes them once the store is saved.

    Returns:
        The store (see `images.stores`) with the accepted pictures in their order, mapped from the shards, its metadata
        with the key of the shards as ``checkpoint``; and the rejected ones: columns `sample_id` and `reason`, both
        strings, in their order.

    Raises:
        InputError: If there are no pictures at all, none can be used, more than `max_bad_fraction` of them
            cannot be used, or paths are given and `config.root` is none or cannot be read.
    """
    shards = Shards(folder, config)
    with (
        _Pictures(config) as pictures,
        # Left to the garbage collector, which may run in one of the pool's threads, the pool would wait for itself.
        closing(_decode_in_order(_groups(encoded, pictures, shards), pictures)) as decoded,
    ):
        packed = [
            group.found or shards.save(group.digest, chain.from_iterable(outcomes for _, outcomes in parts))
            for group, parts in groupby(decoded, key=itemgetter(0))
        ]
    rejects = [reject for shard in packed for reject in shard.rejects]
    batches = [batch for shard in packed for batch in shard.batches if len(batch)]
    accepted = sum(map(len, batches))
    _check_share(accepted, rejects, config.max_bad_fraction)
    logger.info("Packed %s pictures at %sx%s; rejected %s.", accepted, config.size, config.size, len(rejects))
    schema = STORES[config.storage].schema(config)
    store = pa.Table.from_batches(batches, schema=schema)
    rejected = pl.DataFrame(rejects, schema={"sample_id": pl.String, "reason": pl.String}, orient="row")
    return store.replace_schema_metadata({**schema.metadata, "checkpoint": shards.key}), rejected


class _Group(NamedTuple):
    """The rows of one shard."""

    number: int
    rows: list[Row]
    digest: str
    found: Shard | None


class _Pictures:
    """Decodes the cells of the picture column; the root is opened with the first path."""

    def __init__(self, config: ImagesConfig) -> None:
        self.config = config
        self._keep = STORES[config.storage].keep
        self._root: PictureRoot | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._root is not None:
            self._root.close()

    @property
    def readers(self) -> int:
        """How many threads should decode at a time."""
        return (self._root and self._root.readers) or cores()

    def digest(self, rows: list[Row]) -> str:
        """Return a digest of what the rows refer to, as far as it can be told without reading files."""
        return digest_of(part for sample_id, picture in rows for part in (sample_id.encode(), *self._state(picture)))

    def decode(self, rows: list[Row]) -> list[Outcome]:
        """Return what the store keeps of each row's picture, or what is wrong with it."""
        return [(sample_id, self._decode(picture)) for sample_id, picture in rows]

    def _state(self, picture: Encoded) -> tuple[bytes, ...]:
        match picture:
            case bytes():
                return b"bytes", picture
            case str():
                return b"path", picture.encode(), self._opened().state(picture).encode()
            case Part():
                return b"part", repr(tuple(picture.box)).encode(), *self._state(picture.picture)
            case None:
                return (b"missing",)

    def _decode(self, picture: Encoded) -> Any:
        whole, box = _whole(picture)
        try:
            match whole:
                case bytes():
                    return self._keep(whole, self.config, box)
                case str():
                    return self._keep(self._opened().read(whole), self.config, box)
                case None:
                    raise DecodeError("missing: the image cell is empty")
        except DecodeError as error:
            return error

    def _opened(self) -> PictureRoot:
        if self._root is None:
            self._root = open_root(self.config)
        return self._root


def _whole(picture: Encoded) -> tuple[bytes | str | None, Box | None]:
    """Return the picture, and the box of it that is used."""
    return picture if isinstance(picture, Part) else (picture, None)


def _groups(encoded: Iterable[Row], pictures: _Pictures, shards: Shards) -> Iterator[_Group]:
    """Cut the rows into those of one shard each."""
    most_rows = STORES[pictures.config.storage].rows_of(pictures.config, _SHARD_BYTES) or _SHARD_FILES
    number, rows, embedded = 0, list[Row](), 0
    for row in chain(encoded, [None]):
        if row is not None:
            rows.append(row)
            whole, _ = _whole(row[1])
            embedded += len(whole) if isinstance(whole, bytes) else 0
        if rows and (row is None or len(rows) == most_rows or embedded >= _SHARD_BYTES):
            digest = pictures.digest(rows)
            yield _Group(number, rows, digest, shards.find(digest))
            number, rows, embedded = number + 1, [], 0


def _decode_in_order(groups: Iterable[_Group], pictures: _Pictures) -> Generator[tuple[_Group, list[Outcome]]]:
    """Yield the groups with their outcomes, part by part in their order, with a bounded number of parts in flight."""
    size = min(_TASK, STORES[pictures.config.storage].rows_of(pictures.config, _TASK_BYTES) or _TASK_FILES)
    running: deque[tuple[_Group, Future[list[Outcome]]]] = deque()
    with ExitStack() as stack:
        pool, workers = _pool(pictures.readers, stack), pictures.readers
        for group in groups:
            if pictures.readers != workers:  # the root has been opened
                pool, workers = _pool(pictures.readers, stack), pictures.readers
            rows = group.rows if group.found is None else []
            for start in range(0, max(1, len(rows)), size):
                running.append((group, pool.submit(pictures.decode, rows[start : start + size])))
                if len(running) > 2 * workers:
                    yield _outcomes(*running.popleft())
        while running:
            yield _outcomes(*running.popleft())


def _pool(workers: int, stack: ExitStack) -> ThreadPoolExecutor:
    pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
    stack.callback(pool.shutdown, cancel_futures=True)
    return pool


def _outcomes(group: _Group, running: Future[list[Outcome]]) -> tuple[_Group, list[Outcome]]:
    return group, running.result()


def _check_share(accepted: int, rejects: list[tuple[str, str]], max_bad_fraction: float) -> None:
    total = accepted + len(rejects)
    if total == 0:
        raise InputError("There are no pictures to pack: the sample table has no rows.")
    if accepted and len(rejects) <= max_bad_fraction * total:
        return
    shown = some_lines([f"{sample_id}: {reason}" for sample_id, reason in rejects])
    remedy = (
        f"Mend or remove them, or raise images.max_bad_fraction (now {max_bad_fraction:g})."
        if accepted
        else "Check that the image column holds encoded pictures, or paths below images.root."
    )
    raise InputError(f"{len(rejects)} of {total} pictures cannot be used:\n{shown}\n{remedy}")
