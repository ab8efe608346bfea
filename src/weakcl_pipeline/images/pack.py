"""Many encoded pictures -> the packed image store and the list of those that failed."""

import logging
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from itertools import islice

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from weakcl_pipeline.errors import InputError
from weakcl_pipeline.images.decode import DecodeError, ImagesConfig, decode
from weakcl_pipeline.images.roots import PictureRoot, open_root
from weakcl_pipeline.images.store import pack_batch, pack_schema

logger = logging.getLogger(__name__)

_TASK = 32  # pictures per task: enough to hide the cost of a future, few enough to bound what is in flight
_TASK_BYTES = 4 << 20  # of its pixels: what is in flight must not grow with the size of the pictures
_BATCH_BYTES = 32 << 20  # pixels per record batch
_SHOWN = 5

Encoded = bytes | str | None
Outcome = NDArray[np.uint8] | DecodeError


def pack_images(encoded: Iterable[tuple[str, Encoded]], config: ImagesConfig) -> tuple[pa.Table, pl.DataFrame]:
    """Decode pictures on all cores (Pillow releases the interpreter's lock) and pack them in their order.

    Args:
        encoded: Pairs of sample id and picture: bytes, a path relative to `config.root`, or None if missing.
            It is consumed as a stream; only a bounded number of pictures is in flight.
        config: Size, bounds and background.

    Returns:
        The store (see `pack_schema`) with the accepted pictures in their order, and the rejected ones:
        columns `sample_id` and `reason`, both strings, in their order.

    Raises:
        InputError: If there are no pictures at all, none can be used, more than `max_bad_fraction` of them
            cannot be used, or paths are given and `config.root` is none or cannot be read.
    """
    rejects: list[tuple[str, str]] = []
    batches: list[pa.RecordBatch] = []
    sample_ids: list[str] = []
    pixels: list[NDArray[np.uint8]] = []
    per_batch = max(1, _BATCH_BYTES // (3 * config.size**2))
    for sample_id, outcome in _decode_in_order(encoded, config):
        if isinstance(outcome, DecodeError):
            rejects.append((sample_id, outcome.reason))
            continue
        sample_ids.append(sample_id)
        pixels.append(outcome)
        if len(pixels) == per_batch:
            batches.append(pack_batch(sample_ids, np.stack(pixels)))
            sample_ids, pixels = [], []
    if pixels:
        batches.append(pack_batch(sample_ids, np.stack(pixels)))
    accepted = sum(len(batch) for batch in batches)
    _check_share(accepted, rejects, config.max_bad_fraction)
    logger.info("Packed %s pictures at %sx%s; rejected %s.", accepted, config.size, config.size, len(rejects))
    rejected = pl.DataFrame(rejects, schema={"sample_id": pl.String, "reason": pl.String}, orient="row")
    return pa.Table.from_batches(batches, schema=pack_schema(config.size)), rejected


def _check_share(accepted: int, rejects: list[tuple[str, str]], max_bad_fraction: float) -> None:
    total = accepted + len(rejects)
    if total == 0:
        raise InputError("There are no pictures to pack: the sample table has no rows.")
    if accepted and len(rejects) <= max_bad_fraction * total:
        return
    shown = "\n".join(f"  {sample_id}: {reason}" for sample_id, reason in rejects[:_SHOWN])
    more = f"\n  ... and {len(rejects) - _SHOWN} more" if len(rejects) > _SHOWN else ""
    remedy = (
        f"Mend or remove them, or raise images.max_bad_fraction (now {max_bad_fraction:g})."
        if accepted
        else "Check that the image column holds encoded pictures, or paths below images.root."
    )
    raise InputError(f"{len(rejects)} of {total} pictures cannot be used:\n{shown}{more}\n{remedy}")


def _decode_in_order(encoded: Iterable[tuple[str, Encoded]], config: ImagesConfig) -> Iterator[tuple[str, Outcome]]:
    """Yield (sample id, pixels or error) in the order of the input, with a bounded number in flight."""
    source = iter(encoded)
    length = max(1, min(_TASK, _TASK_BYTES // (3 * config.size**2)))
    running: deque[Future[list[tuple[str, Outcome]]]] = deque()
    root: PictureRoot | None = None
    with ExitStack() as stack:
        workers = os.cpu_count() or 1
        pool = _pool(workers, stack)
        while task := list(islice(source, length)):
            if root is None and any(isinstance(picture, str) for _, picture in task):
                root = stack.enter_context(open_root(config))
                workers = root.readers or workers
                pool = _pool(workers, stack)
            running.append(pool.submit(_decode_task, task, root, config))
            if len(running) > 2 * workers:
                yield from running.popleft().result()
        while running:
            yield from running.popleft().result()


def _pool(workers: int, stack: ExitStack) -> ThreadPoolExecutor:
    pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
    stack.callback(pool.shutdown, cancel_futures=True)
    return pool


def _decode_task(
    task: list[tuple[str, Encoded]], root: PictureRoot | None, config: ImagesConfig
) -> list[tuple[str, Outcome]]:
    return [(sample_id, _decode_one(picture, root, config)) for sample_id, picture in task]


def _decode_one(picture: Encoded, root: PictureRoot | None, config: ImagesConfig) -> Outcome:
    try:
        if picture is None:
            raise DecodeError("missing: the image cell is null")
        if isinstance(picture, bytes):
            return decode(picture, config)
        if root is None:
            raise DecodeError("a path reference without images.root")
        return decode(root.read(picture), config)
    except DecodeError as error:
        return error
