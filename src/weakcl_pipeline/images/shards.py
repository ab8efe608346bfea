"""Parts of the picture store on their way to it: each written whole or not at all, and found again by what made it."""

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import PIL
import pyarrow as pa

from weakcl_pipeline.errors import InputError, shown
from weakcl_pipeline.files import flush, writing
from weakcl_pipeline.images.decode import DecodeError, ImagesConfig
from weakcl_pipeline.images.stores import STORES

_LAYOUT = 1  # to be raised when the same pictures come out otherwise than before
_DETERMINANTS = {"size", "max_pixels", "max_bytes", "background", "root", "storage"}
_REJECTS = b"rejects"
_BATCH_BYTES = 32 << 20  # kept of pictures before they are written: a shard of large files has many such batches

Outcome = tuple[str, Any]
"""A sample id, and what the store keeps of the picture or a DecodeError."""


class Shard(NamedTuple):
    """Some consecutive pictures of a sample table."""

    batches: list[pa.RecordBatch]
    """The accepted ones, as the store has them; mapped into memory, not held there."""
    rejects: list[tuple[str, str]]
    """Sample id and reason of the others."""


class Shards:
    """The shards of one packing: ``<folder>/<key>/<digest of the shard's input>.arrow``.

    A packing that was interrupted finds those again whose input is the same. Two that run at once share theirs, until
    the first one ends.

    Each shard is mapped into memory once, and Linux allows a process 65,530 maps unless told otherwise
    (vm.max_map_count). With the sizes that `images.pack` gives shards that is enough for 67 million pictures that are
    kept as files, and for 2 TiB of pixels (of 14 million pictures at 224) or of pictures that a table embeds.

    Args:
        folder: Where packings keep their shards.
        config: The key is a digest of what in it decides how pictures come out; of a URL, without its query, as a
            signature may be renewed before a packing goes on.

    Attributes:
        key: Name of the directory.
    """

    def __init__(self, folder: Path, config: ImagesConfig) -> None:
        determinants = config.model_dump(include=_DETERMINANTS) | {"root": config.root and shown(config.root)}
        described = [_LAYOUT, PIL.__version__, determinants]
        self.key = sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:16]
        self._directory = folder / self.key
        self._config, self._store = config, STORES[config.storage]

    def find(self, digest: str) -> Shard | None:
        """Return the finished shard of this input; one with rejects does not count, as they may have been mended.

        Raises:
            InputError: The system maps no more files.
        """
        try:
            shard = self._read(digest)
        except (OSError, pa.ArrowInvalid):  # not there, or damaged
            return None
        return None if shard.rejects else shard

    def save(self, digest: str, outcomes: Iterable[Outcome]) -> Shard:
        """Write a shard, batch by batch as its pictures come, and return it as it is on the disk.

        Args:
            digest: Of its input.
            outcomes: What came of its pictures, in their order.

        Raises:
            InputError: The disk is full, nothing may be written there, or the system maps no more files.
        """
        staging = self._directory / f".{digest}-{os.getpid()}"
        try:
            with ExitStack() as stack:
                with writing(self._directory):
                    file = stack.enter_context(self._create(staging))
                    writer = pa.ipc.new_file(file, self._store.schema(self._config))
                for part in _cut(outcomes, self._store.nbytes):  # what fails in here says nothing about this disk
                    with writing(self._directory):
                        writer.write_batch(*self._packed(part))
                    del part  # or it would be held until the next one is complete
                with writing(self._directory):
                    writer.close()
                    file.flush()
                    return self._publish(digest, staging, file)
        finally:
            staging.unlink(missing_ok=True)

    def _create(self, staging: Path) -> BinaryIO:
        while True:
            self._directory.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):  # another packing that ends removes the directory, which is its own, too
                return staging.open("w+b")

    def _packed(self, part: list[Outcome]) -> tuple[pa.RecordBatch, dict[bytes, str]]:
        """Return a record batch of the accepted pictures, and the others as its metadata."""
        accepted = [(sample_id, kept) for sample_id, kept in part if not isinstance(kept, DecodeError)]
        rejects = [(sample_id, error.reason) for sample_id, error in part if isinstance(error, DecodeError)]
        sample_ids, kept = [sample_id for sample_id, _ in accepted], [kept for _, kept in accepted]
        return self._store.batch(sample_ids, kept, self._config), {_REJECTS: json.dumps(rejects)}

    def _publish(self, digest: str, staging: Path, file: BinaryIO) -> Shard:
        """Give a file that has been written its name; it is written anew if another packing removed the directory."""
        while True:
            try:
                flush(staging)
                staging.rename(self._path(digest))
                return self._read(digest)
            except FileNotFoundError:  # what is open has its content still
                file.seek(0)
                with self._create(staging) as anew:
                    shutil.copyfileobj(file, anew)

    def _read(self, digest: str) -> Shard:
        with _mapped(self._path(digest)) as source:
            reader = pa.ipc.open_file(source)
            parts = [reader.get_batch_with_custom_metadata(number) for number in range(reader.num_record_batches)]
        if not all(metadata and _REJECTS in metadata for _, metadata in parts):
            msg = "not a shard of this release"
            raise pa.ArrowInvalid(msg)
        rejects = [tuple(reject) for _, metadata in parts for reject in json.loads(metadata[_REJECTS])]
        return Shard([batch for batch, _ in parts], rejects)

    def _path(self, digest: str) -> Path:
        return self._directory / f"{digest}.arrow"


def _cut(outcomes: Iterable[Outcome], nbytes: Callable[[Any], int]) -> Iterator[list[Outcome]]:
    """Cut outcomes into lists for one record batch each, at least one; which, depends on the pictures alone."""
    part, size = list[Outcome](), 0
    for sample_id, kept in outcomes:
        if size >= _BATCH_BYTES:
            yield part
            part, size = [], 0
        part.append((sample_id, kept))
        size += 0 if isinstance(kept, DecodeError) else nbytes(kept)
    yield part


def _mapped(path: Path) -> pa.MemoryMappedFile:
    try:
        return pa.memory_map(str(path))
    except OSError as error:
        if os.strerror(errno.ENOMEM) not in str(error):  # pyarrow gives no number here
            raise
        msg = (
            f"{path.parent} has more files than the system maps into memory for one process. Raise its limit"
            " (sysctl vm.max_map_count), and give the same command again; what was packed before is still there."
        )
        raise InputError(msg) from error


def digest_of(parts: Iterable[bytes]) -> str:
    """Return the digest of a sequence of byte strings; where one ends counts."""
    digest = sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8))
        digest.update(part)
    return digest.hexdigest()[:32]
