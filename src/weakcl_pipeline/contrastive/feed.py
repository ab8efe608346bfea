"""Pictures on their way to the device: kept there where they are small, else uploaded ahead of the loop."""

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from weakcl_pipeline.contrastive.device import DeviceConfig, resolve_device
from weakcl_pipeline.images import ImageStore

Rows = npt.NDArray[np.int64]

_MOST_RESIDENT = 4 << 30
"""Bytes of pictures that `auto` keeps on a GPU."""
_AT_ONCE = 64 << 20
"""Bytes of pictures that are read at once on their way there."""


class Feed:
    """The pictures of a training, batch after batch on its device.

    Args:
        images: The store.
        rows: Of the pictures of the training in the store, int64 (N,).
        config: The device, and whether they live there (`DeviceConfig.pictures_on_device`).
    """

    def __init__(self, images: ImageStore, rows: Rows, config: DeviceConfig) -> None:
        self._images, self._rows = images, rows
        self._device = resolve_device(config.name)
        self._resident = self._copied() if self._lives_there(config) else None

    def batches(self, positions: Iterable[Rows]) -> Iterator[Tensor]:
        """Yield the pictures of each batch, uint8 (B, 3, size, size), channels_last in memory.

        Args:
            positions: Which of the N pictures are in each batch, int64 (B,).
        """
        if self._resident is None:
            yield from uploaded(self._images.read_ahead(self._rows[chosen] for chosen in positions), self._device)
            return
        for chosen in positions:
            there = torch.from_numpy(chosen).to(self._device, non_blocking=True)
            yield self._resident.index_select(0, there).permute(0, 3, 1, 2)

    def _lives_there(self, config: DeviceConfig) -> bool:
        if config.pictures_on_device != "auto":
            return config.pictures_on_device
        return self._device.type == "cuda" and len(self._rows) * self._bytes <= _MOST_RESIDENT

    @property
    def _bytes(self) -> int:
        """Bytes of a picture."""
        return 3 * self._images.size**2

    def _copied(self) -> Tensor:
        size = self._images.size
        pictures = torch.empty((len(self._rows), size, size, 3), dtype=torch.uint8, device=self._device)
        step = max(1, _AT_ONCE // self._bytes)
        parts = (self._rows[start : start + step] for start in range(0, len(self._rows), step))
        for target, read in zip(torch.split(pictures, step), self._images.read_ahead(parts), strict=True):
            target.copy_(read.permute(0, 2, 3, 1))
        return pictures


class _Copies(Protocol):
    """How batches get to a device while it computes on another."""

    def start(self, pictures: Tensor) -> Any:
        """Begin to copy a batch, and return what `finish` needs."""

    def finish(self, started: Any) -> Tensor:
        """Return the batch on the device, for what is computed from now on."""


class _CudaCopies:
    """Copies from pinned memory on a stream of their own, for which the stream that computes waits."""

    def __init__(self, device: torch.device) -> None:
        self._device, self._stream = device, torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def start(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        pinned = pictures.pin_memory()
        with torch.cuda.stream(self._stream):
            return pinned, pinned.to(self._device, non_blocking=True)

    def finish(self, started: tuple[Tensor, Tensor]) -> Tensor:
        _, there = started
        computing = torch.cuda.current_stream(self._device)
        computing.wait_stream(self._stream)
        there.record_stream(computing)  # or its memory would be given to the next batch while it is still read
        return there


def uploaded(batches: Iterator[Tensor], device: torch.device, copies: _Copies | None = None) -> Iterator[Tensor]:
    """Yield batches on a device; on a GPU the next one is on its way while the caller works on one.

    Args:
        batches: In main memory.
        device: Where they are wanted.
        copies: How they get there ahead of time; by default as is best for the device.
    """
    if copies is None and device.type == "cuda":
        copies = _CudaCopies(device)
    if copies is None:
        yield from (pictures.to(device) for pictures in batches)
        return
    started = map(copies.start, batches)
    on_its_way = next(started, None)
    while on_its_way is not None:
        arrived, on_its_way = copies.finish(on_its_way), next(started, None)
        yield arrived
