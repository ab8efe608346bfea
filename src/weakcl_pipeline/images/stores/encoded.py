"""Pictures as they came, decoded by threads whenever they are read: the store for large ones."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from weakcl_pipeline.errors import InputError
from weakcl_pipeline.hardware import cores
from weakcl_pipeline.images.decode import Box, DecodeError, ImagesConfig, decode
from weakcl_pipeline.images.stores.base import CHANNELS, ImageStore, Indices, Pixels, Rows

_AHEAD = 2  # batches that are decoded while the caller works on one
_READING = "reading"
_DETERMINANTS = {"size", "max_pixels", "max_bytes", "background"}

_Task = tuple[Future[None], ...]


class EncodedStore(ImageStore):
    """Columns `sample_id` (string), `encoded` (the file's bytes) and `box` (left, top, width, height; null for all).

    Reading gives the same pixels as a :class:`~weakcl_pipeline.images.stores.pixels.PixelStore`, to the bit.
    """

    layout = "encoded"

    def __init__(self, table: pa.Table) -> None:
        super().__init__(table)
        self._config = ImagesConfig.model_validate_json(table.schema.metadata[_READING.encode()])
        self._workers = cores()

    @classmethod
    def schema(cls, config: ImagesConfig) -> pa.Schema:
        """Return the Arrow schema; its metadata tells how the pictures are to be read."""
        metadata = {
            "image_size": str(config.size),
            "layout": cls.layout,
            _READING: config.model_dump_json(include=_DETERMINANTS),
        }
        return pa.schema(cls._fields(config.size), metadata=metadata)

    @classmethod
    def rows_of(cls, config: ImagesConfig, n_bytes: int) -> None:
        """Return None: what files have is not known before they are read."""

    @classmethod
    def keep(cls, encoded: bytes, config: ImagesConfig, box: Box | None) -> tuple[bytes, Box | None]:
        """Return the picture as it came, if it can be decoded."""
        decode(encoded, config, box)
        return encoded, box

    @classmethod
    def nbytes(cls, kept: tuple[bytes, Box | None]) -> int:
        """Return the number of bytes of the file."""
        return len(kept[0])

    @classmethod
    def batch(cls, sample_ids: Sequence[str], kept: Sequence[Any], config: ImagesConfig) -> pa.RecordBatch:
        """Return pictures with their boxes as a record batch."""
        columns = [sample_ids, [encoded for encoded, _ in kept], [box and tuple(box) for _, box in kept]]
        schema = cls.schema(config)
        arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
        return pa.RecordBatch.from_arrays(arrays, schema=schema)

    def digests(self, rows: Rows) -> Iterator[bytes]:
        """Yield how the pictures are read, and each with its box."""
        yield self._config.model_dump_json(include=_DETERMINANTS).encode()
        for row in rows.tolist():
            encoded, _, box = self._picture(row)
            yield from (len(encoded).to_bytes(8), encoded, repr(box).encode())

    def read_ahead(self, batches: Iterable[Indices]) -> Iterator[Tensor]:
        """Read batch after batch, two of them decoded by the threads while the caller works on one."""
        running: deque[tuple[Pixels, _Task]] = deque()
        try:
            for indices in batches:
                running.append(self._start(self._checked_rows(indices)))
                if len(running) > _AHEAD:
                    yield torch.from_numpy(_finished(*running.popleft())).permute(0, 3, 1, 2)
            while running:
                yield torch.from_numpy(_finished(*running.popleft())).permute(0, 3, 1, 2)
        finally:
            for _, tasks in running:
                for task in tasks:
                    task.cancel()

    def _gather(self, rows: Rows) -> Pixels:
        return _finished(*self._start(rows))

    def _start(self, rows: Rows) -> tuple[Pixels, _Task]:
        """Let the threads decode rows, an equal share each, into a new (B, size, size, 3) array."""
        pixels = np.empty((len(rows), self.size, self.size, CHANNELS), dtype=np.uint8)
        bounds = np.linspace(0, len(rows), min(self._workers, len(rows)) + 1).astype(int).tolist()
        return pixels, tuple(
            self._pool.submit(self._decode, rows[start:stop], pixels[start:stop]) for start, stop in pairwise(bounds)
        )

    def _decode(self, rows: Rows, pixels: Pixels) -> None:
        for place, row in enumerate(rows.tolist()):
            try:
                pixels[place] = decode(*self._picture(row))
            except DecodeError as error:  # it was sound when it was packed
                msg = f"image_store: the picture of sample {self.sample_ids[row]!r} is broken ({error.reason}); "
                raise InputError(msg + "run the ingestion pipeline again") from error

    def _picture(self, row: int) -> tuple[bytes, ImagesConfig, Box | None]:
        box = self._table["box"][row].as_py()
        return self._table["encoded"][row].as_py(), self._config, Box(*box) if box else None

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        """Threads that end with the store; Pillow releases the interpreter's lock while it decodes."""
        return ThreadPoolExecutor(self._workers, thread_name_prefix="decode")

    @classmethod
    def _fields(cls, size: int) -> list[pa.Field]:
        return [
            pa.field("sample_id", pa.string(), nullable=False),
            pa.field("encoded", pa.large_binary(), nullable=False),
            pa.field("box", pa.list_(pa.float64(), 4)),
        ]


def _finished(pixels: Pixels, tasks: _Task) -> Pixels:
    for task in tasks:
        task.result()
    return pixels
