"""Pictures decoded once, which cost no time to read: the store for small ones."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from weakcl_pipeline.images.decode import Box, ImagesConfig, decode
from weakcl_pipeline.images.stores.base import CHANNELS, ImageStore, Pixels, Rows

_DIGESTED = 4096  # pictures at a time


class PixelStore(ImageStore):
    """Columns `sample_id` (string) and `pixels` (fixed-size binary: size x size x 3 bytes, rows, columns, RGB)."""

    layout = "HWC"

    def __init__(self, table: pa.Table) -> None:
        super().__init__(table)
        self._chunks = [_pixel_view(chunk, self.size) for chunk in table["pixels"].chunks]
        self._starts = np.cumsum([0] + [len(chunk) for chunk in self._chunks])

    @classmethod
    def schema(cls, config: ImagesConfig) -> pa.Schema:
        """Return the Arrow schema of a store of pictures that are read as configured."""
        return cls._schema(config.size)

    @classmethod
    def rows_of(cls, config: ImagesConfig, n_bytes: int) -> int:
        """Return how many pictures have so many bytes of pixels; at least 1."""
        return max(1, n_bytes // _width(config.size))

    @classmethod
    def keep(cls, encoded: bytes, config: ImagesConfig, box: Box | None) -> Pixels:
        """Return the pixels of a picture, uint8 (size, size, 3)."""
        return decode(encoded, config, box)

    @classmethod
    def nbytes(cls, kept: Pixels) -> int:
        """Return the number of bytes of the pixels."""
        return int(kept.nbytes)

    @classmethod
    def batch(cls, sample_ids: Sequence[str], kept: Sequence[Any], config: ImagesConfig) -> pa.RecordBatch:
        """Return the pixels of N pictures as a record batch."""
        return _batch(
            sample_ids, np.stack(kept) if kept else np.empty((0, config.size, config.size, CHANNELS), np.uint8)
        )

    def digests(self, rows: Rows) -> Iterator[bytes]:
        """Yield the pixels."""
        for start in range(0, len(rows), _DIGESTED):
            yield self._gather(rows[start : start + _DIGESTED]).tobytes()

    def _gather(self, rows: Rows) -> Pixels:
        """Copy rows into a new (B, size, size, 3) array, chunk by chunk."""
        if len(self._chunks) == 1:
            return self._chunks[0].take(rows, axis=0)
        pixels = np.empty((len(rows), self.size, self.size, CHANNELS), dtype=np.uint8)
        owner = np.searchsorted(self._starts, rows, side="right") - 1
        for number in np.unique(owner):
            here = np.flatnonzero(owner == number)
            pixels[here] = self._chunks[number].take(rows[here] - self._starts[number], axis=0)
        return pixels

    @classmethod
    def _schema(cls, size: int) -> pa.Schema:
        return pa.schema(cls._fields(size), metadata={"image_size": str(size), "layout": cls.layout, "channels": "RGB"})

    @classmethod
    def _fields(cls, size: int) -> list[pa.Field]:
        return [
            pa.field("sample_id", pa.string(), nullable=False),
            pa.field("pixels", pa.binary(_width(size)), nullable=False),
        ]


def pixel_table(sample_ids: Sequence[str], pixels: Pixels) -> pa.Table:
    """Return the picture store of pictures that are pixels already.

    Args:
        sample_ids: N identifiers.
        pixels: uint8 (N, size, size, 3), RGB.
    """
    return pa.Table.from_batches([_batch(sample_ids, pixels)])


def _batch(sample_ids: Sequence[str], pixels: Pixels) -> pa.RecordBatch:
    """Return (N, size, size, 3) pixels as a record batch; they are referred to, not copied, where contiguous."""
    schema = PixelStore._schema(pixels.shape[1])
    buffer = pa.py_buffer(np.ascontiguousarray(pixels).reshape(-1))
    column = pa.FixedSizeBinaryArray.from_buffers(schema.field("pixels").type, len(pixels), [None, buffer])
    return pa.RecordBatch.from_arrays([pa.array(sample_ids, pa.string()), column], schema=schema)


def _width(size: int) -> int:
    return size * size * CHANNELS


def _pixel_view(chunk: pa.FixedSizeBinaryArray, size: int) -> Pixels:
    """Return a chunk's pixels as (n, size, size, 3) without copying; a sliced chunk starts at its offset."""
    width = _width(size)
    if len(chunk) == 0:
        return np.empty((0, size, size, CHANNELS), dtype=np.uint8)
    flat = np.frombuffer(chunk.buffers()[1], np.uint8, count=len(chunk) * width, offset=chunk.offset * width)
    return flat.reshape(len(chunk), size, size, CHANNELS)
