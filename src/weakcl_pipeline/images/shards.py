"""Parts of the picture store on their way to it: each written whole or not at all, and found again by what made it."""

import json
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import PIL
import pyarrow as pa

from weakcl_pipeline.files import flush, writing
from weakcl_pipeline.images.decode import ImagesConfig
from weakcl_pipeline.images.stores import STORES

_LAYOUT = 1  # to be raised when the same pictures come out otherwise than before
_DETERMINANTS = {"size", "max_pixels", "max_bytes", "background", "root", "storage"}
_REJECTS = b"rejects"


class Shard(NamedTuple):
    """Some consecutive pictures of a sample table."""

    batch: pa.RecordBatch
    """The accepted ones, as the store has them; mapped into memory, not held there."""
    rejects: list[tuple[str, str]]
    """Sample id and reason of the others."""


class Shards:
    """The shards of one packing: ``<folder>/<key>/<digest of the shard's input>.arrow``.

    A packing that was interrupted finds those again whose input is the same. Two that run at once share theirs, until
    the first one ends.

    Args:
        folder: Where packings keep their shards.
        config: The key is a digest of what in it decides how pictures come out.

    Attributes:
        key: Name of the directory.
    """

    def __init__(self, folder: Path, config: ImagesConfig) -> None:
        described = [_LAYOUT, PIL.__version__, config.model_dump(include=_DETERMINANTS)]
        self.key = sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:16]
        self._directory = folder / self.key
        self._config, self._store = config, STORES[config.storage]

    def find(self, digest: str) -> Shard | None:
        """Return the finished shard of this input; one with rejects does not count, as they may have been mended."""
        try:
            shard = self._read(digest)
        except (OSError, pa.ArrowInvalid):  # not there, or damaged
            return None
        return None if shard.rejects else shard

    def save(
        self,
        digest: str,
        sample_ids: Sequence[str],
        kept: Sequence[Any],
        rejects: list[tuple[str, str]],
    ) -> Shard:
        """Write a shard and return it as it is on the disk.

        Args:
            digest: Of its input.
            sample_ids: N identifiers of the accepted pictures.
            kept: What the store keeps of them.
            rejects: Sample id and reason of the others.

        Raises:
            InputError: The disk is full, or nothing may be written there.
        """
        batch = self._store.batch(sample_ids, kept, self._config)
        described = batch.replace_schema_metadata({**batch.schema.metadata, _REJECTS: json.dumps(rejects)})
        while True:
            # Another packing that ends removes the directory, which is its own, too.
            with writing(self._directory), suppress(FileNotFoundError):
                return self._write(digest, described)

    def _write(self, digest: str, batch: pa.RecordBatch) -> Shard:
        self._directory.mkdir(parents=True, exist_ok=True)
        staging = self._directory / f".{digest}-{os.getpid()}"
        with staging.open("wb") as file, pa.ipc.new_file(file, batch.schema) as writer:
            writer.write_batch(batch)
        flush(staging)
        staging.rename(self._path(digest))
        return self._read(digest)

    def _read(self, digest: str) -> Shard:
        with pa.memory_map(str(self._path(digest))) as source:
            reader = pa.ipc.open_file(source)
            rejects = [(sample_id, reason) for sample_id, reason in json.loads(reader.schema.metadata[_REJECTS])]
            batch = reader.get_batch(0)
        return Shard(pa.RecordBatch.from_arrays(batch.columns, schema=self._store.schema(self._config)), rejects)

    def _path(self, digest: str) -> Path:
        return self._directory / f"{digest}.arrow"


def digest_of(parts: Iterable[bytes]) -> str:
    """Return the digest of a sequence of byte strings; where one ends counts."""
    digest = sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8))
        digest.update(part)
    return digest.hexdigest()[:32]
