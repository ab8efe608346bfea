"""The packed image store: all pictures at one size in an Arrow table, read without decoding."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from weakcl_pipeline.errors import InputError

CHANNELS = 3
_STATISTICS_BYTES = 4 << 20  # pixels per pass; bincount widens each byte to eight

Indices = NDArray[np.int64] | Tensor | Sequence[int]


def pack_schema(size: int) -> pa.Schema:
    """Return the store's Arrow schema for square pictures of `size` pixels.

    Columns: `sample_id` (string) and `pixels` (fixed-size binary: size x size x 3 bytes, rows, columns, RGB).
    """
    fields = [
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("pixels", pa.binary(size * size * CHANNELS), nullable=False),
    ]
    return pa.schema(fields, metadata={"image_size": str(size), "layout": "HWC", "channels": "RGB"})


def pack_batch(sample_ids: Sequence[str], pixels: NDArray[np.uint8]) -> pa.RecordBatch:
    """Return one record batch of the store; the pixels are referred to, not copied, where contiguous.

    Args:
        sample_ids: N identifiers.
        pixels: uint8 of shape (N, size, size, 3).
    """
    schema = pack_schema(pixels.shape[1])
    buffer = pa.py_buffer(np.ascontiguousarray(pixels).reshape(-1))
    column = pa.FixedSizeBinaryArray.from_buffers(schema.field("pixels").type, len(pixels), [None, buffer])
    return pa.RecordBatch.from_arrays([pa.array(sample_ids, pa.string()), column], schema=schema)


class PackedImages:
    """Read access to the image store.

    The pixels stay where the table has them, which is a memory map if the table was opened from one; only what
    is asked for is copied. The table may have any number of chunks.

    Args:
        table: Table with the schema of `pack_schema`.

    Raises:
        InputError: If the table is not an image store.
    """

    def __init__(self, table: pa.Table) -> None:
        self.size = _checked_size(table)
        self._table = table
        self._chunks = [_pixel_view(chunk, self.size) for chunk in table["pixels"].chunks]
        self._starts = np.cumsum([0] + [len(chunk) for chunk in self._chunks])

    @classmethod
    def from_table(cls, table: pa.Table) -> "PackedImages":
        """Return a reader of the table."""
        return cls(table)

    def __len__(self) -> int:
        return int(self._starts[-1])

    @cached_property
    def sample_ids(self) -> list[str]:
        """Identifiers in row order."""
        ids: list[str] = self._table["sample_id"].to_pylist()
        return ids

    def read(self, indices: Indices) -> Tensor:
        """Copy some pictures out of the store.

        Args:
            indices: B row numbers, int64, in any order, with repeats.

        Returns:
            uint8 of shape (B, 3, size, size), channels_last in memory.

        Raises:
            IndexError: If a row number is outside 0..len-1.
        """
        return torch.from_numpy(self._gather(self._checked_rows(indices))).permute(0, 3, 1, 2)

    def channel_statistics(self, indices: Indices) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return mean and population standard deviation of each channel over all pixels of some pictures.

        They come from exact counts of the 256 values: neither chunks nor order change them by a bit.

        Args:
            indices: Row numbers of the pictures, usually those of the train split.

        Returns:
            (mean, standard deviation), each three floats in [0, 1]. A channel that never varies has 0.0.

        Raises:
            InputError: If there are no pictures to measure.
        """
        rows = self._checked_rows(indices)
        if len(rows) == 0:
            raise InputError("Channel statistics need at least one picture, but the selected split is empty.")
        step = max(1, _STATISTICS_BYTES // (self.size * self.size * CHANNELS))
        counts = np.zeros((CHANNELS, 256), dtype=np.int64)
        for start in range(0, len(rows), step):
            block = self._gather(rows[start : start + step])
            for channel in range(CHANNELS):
                counts[channel] += np.bincount(block[..., channel].reshape(-1), minlength=256)
        values = np.arange(256) / 255.0
        shares = counts / counts.sum(axis=1, keepdims=True)
        mean = shares @ values
        std = np.sqrt((shares * (values - mean[:, None]) ** 2).sum(axis=1))
        return tuple(mean.tolist()), tuple(std.tolist())

    def _checked_rows(self, indices: Indices) -> NDArray[np.int64]:
        rows = np.asarray(indices.cpu() if isinstance(indices, Tensor) else indices)
        if rows.ndim != 1 or (len(rows) and not np.issubdtype(rows.dtype, np.integer)):
            raise IndexError(f"row numbers must be one-dimensional integers, not {rows.dtype} of {rows.shape}")
        rows = rows.astype(np.int64, copy=False)
        if len(rows) and not 0 <= rows.min() <= rows.max() < len(self):
            raise IndexError(f"row numbers {rows.min()}..{rows.max()} of an image store with {len(self)} rows")
        return rows

    def _gather(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Copy rows into a new (B, size, size, 3) array, chunk by chunk."""
        if len(self._chunks) == 1:
            return self._chunks[0].take(rows, axis=0)
        pixels = np.empty((len(rows), self.size, self.size, CHANNELS), dtype=np.uint8)
        owner = np.searchsorted(self._starts, rows, side="right") - 1
        for number in np.unique(owner):
            here = np.flatnonzero(owner == number)
            pixels[here] = self._chunks[number].take(rows[here] - self._starts[number], axis=0)
        return pixels


def _checked_size(table: pa.Table) -> int:
    try:
        size = int(table.schema.metadata[b"image_size"])
    except (TypeError, KeyError, ValueError) as error:
        raise InputError("Not an image store: the table's metadata does not give image_size.") from error
    expected = pack_schema(size)
    found = {field.name: field.type for field in table.schema}
    for field in expected:
        if found.get(field.name) != field.type:
            raise InputError(
                f"Not an image store of {size}x{size} pictures: column {field.name!r} must be {field.type}, "
                f"but is {found.get(field.name, 'missing')}. Run the ingestion pipeline again."
            )
        if table[field.name].null_count:
            raise InputError(f"The image store's column {field.name!r} has nulls; run ingestion again.")
    return size


def _pixel_view(chunk: pa.FixedSizeBinaryArray, size: int) -> NDArray[np.uint8]:
    """Return a chunk's pixels as (n, size, size, 3) without copying; a sliced chunk starts at its offset."""
    width = size * size * CHANNELS
    if len(chunk) == 0:
        return np.empty((0, size, size, CHANNELS), dtype=np.uint8)
    flat = np.frombuffer(chunk.buffers()[1], np.uint8, count=len(chunk) * width, offset=chunk.offset * width)
    return flat.reshape(len(chunk), size, size, CHANNELS)
