"""Checkpoints of a training: atomic, checked when read, and found again by the same command."""

import json
import logging
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from filelock import FileLock, Timeout
from safetensors.torch import load_file, save_file
from torch import Tensor

from weakcl_pipeline.files import flush, sha256_of, writing

logger = logging.getLogger(__name__)

Saved = tuple[dict[str, Tensor], dict[str, Any]]
"""A training's tensors, and what else there is, JSON-able."""

_KEPT = 2  # the newest, and the one before it in case the newest is damaged
_TENSORS, _METADATA = "state.safetensors", "state.json"
_STAGING = ".staging"


class CheckpointStore:
    """The checkpoints of one training, a directory each, named after the epochs that are done.

    A training is known by a key, the digest of all that determines its result, so that the same command finds the
    checkpoints of the run that was killed. The directory is locked while a training uses it: a second training with
    the same key, at the same time, gets a directory of its own. The lock goes with the process, and its file with the
    training.

    Args:
        root: Directory of the checkpoints of a method.
        key: Digest of the training.
    """

    def __init__(self, root: Path, key: str) -> None:
        self._root, self._key = root, key
        self._lock: FileLock | None = None
        self.directory = root / key

    def __enter__(self) -> Self:
        """Take the first directory of this key that no other process uses.

        Raises:
            InputError: The disk is full, or nothing may be written there.
        """
        with writing(self._root):
            return self._enter()

    def _enter(self) -> Self:
        self._root.mkdir(parents=True, exist_ok=True)
        number = 1
        while True:
            name = self._key if number == 1 else f"{self._key}-{number}"
            lock = FileLock(self._root / f".{name}.lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                number += 1
                continue
            self._lock, self.directory = lock, self._root / name
            return self

    def __exit__(self, *_: object) -> None:
        """Let go of the directory."""
        if self._lock is not None:
            with suppress(OSError):  # Windows keeps a file that is open
                Path(self._lock.lock_file).unlink()  # before the release: a lock on a file without a name is no lock
            self._lock.release()

    def save(self, epochs_done: int, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
        """Write a checkpoint whole or not at all, then remove those that are not kept.

        Raises:
            InputError: The disk is full, or nothing may be written there.
        """
        with writing(self.directory):
            self._save(epochs_done, tensors, metadata)

    def _save(self, epochs_done: int, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
        self.directory.mkdir(exist_ok=True)
        flush(self._root)
        staging = self.directory / _STAGING
        shutil.rmtree(staging, ignore_errors=True)  # of a save that was killed
        staging.mkdir()
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, staging / _TENSORS)
        described = {"sha256": sha256_of(staging / _TENSORS), **metadata}
        (staging / _METADATA).write_text(json.dumps(described))
        for file in (*staging.iterdir(), staging):
            flush(file)
        target = self.directory / f"epoch-{epochs_done:05d}"
        shutil.rmtree(target, ignore_errors=True)
        staging.rename(target)
        flush(self.directory)
        for old in self._saved()[:-_KEPT]:
            shutil.rmtree(old)

    def load(self) -> Saved | None:
        """Read the newest checkpoint that is whole; none where there is none."""
        for directory in reversed(self._saved()):
            try:
                metadata = json.loads((directory / _METADATA).read_text())
                if metadata.pop("sha256") != sha256_of(directory / _TENSORS):
                    msg = "its content does not match its checksum"
                    raise ValueError(msg)
                return load_file(directory / _TENSORS), metadata
            except (OSError, KeyError, ValueError) as error:
                logger.warning("Checkpoint %s is damaged (%s); falling back to the one before it", directory, error)
        return None

    def _saved(self) -> list[Path]:
        return sorted(self.directory.glob("epoch-*"))
