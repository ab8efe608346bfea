"""What every picture store can do, however it keeps its pictures."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from weakcl_pipeline.errors import InputError
from weakcl_pipeline.files import file_of, map_table
from weakcl_pipeline.images.decode import Box, ImagesConfig

CHANNELS = 3
_STATISTICS_BYTES = 4 << 20  # pixels per pass; bincount widens each byte to eight

Indices = NDArray[np.int64] | Tensor | Sequence[int]
Rows = NDArray[np.int64]
Pixels = NDArray[np.uint8]


class ImageStore(ABC):
    """Read access to the pictures of an Arrow table, all at one size.

    What is kept stays where the table has it, which is a memory map if the table was opened from one. The table may
    have any number of chunks.

    Args:
        table: With this class's schema.

    Attributes:
        size: Side of the square pictures, in pixels.

    Raises:
        InputError: If the table is no store of this kind.
    """

    layout: ClassVar[str]
    """How a table's metadata names this kind of store."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table
        self.size = self._checked_size(table)

    @classmethod
    @abstractmethod
    def schema(cls, config: ImagesConfig) -> pa.Schema:
        """Return the Arrow schema of a store of pictures that are read as configured."""

    @classmethod
    @abstractmethod
    def rows_of(cls, config: ImagesConfig, n_bytes: int) -> int | None:
        """Return how many pictures take so many bytes, at least 1; None if each takes what its file has."""

    @classmethod
    @abstractmethod
    def keep(cls, encoded: bytes, config: ImagesConfig, box: Box | None) -> Any:
        """Return what is kept of a picture, after it has been decoded once and found sound.

        Raises:
            DecodeError: If the picture cannot be used.
        """

    @classmethod
    @abstractmethod
    def nbytes(cls, kept: Any) -> int:
        """Return how many bytes are kept of a picture."""

    @classmethod
    @abstractmethod
    def batch(cls, sample_ids: Sequence[str], kept: Sequence[Any], config: ImagesConfig) -> pa.RecordBatch:
        """Return what was kept of N pictures, with N identifiers, as a record batch of the store."""

    @abstractmethod
    def digests(self, rows: Rows) -> Iterator[bytes]:
        """Yield bytes that change when one of the pictures does, without decoding any."""

    @abstractmethod
    def _gather(self, rows: Rows) -> Pixels:
        """Return the pixels of checked rows, a new (B, size, size, 3) array."""

    def __len__(self) -> int:
        return int(self._table.num_rows)

    @cached_property
    def sample_ids(self) -> list[str]:
        """Identifiers in row order."""
        ids: list[str] = self._table["sample_id"].to_pylist()
        return ids

    def __reduce__(self) -> tuple[Any, ...]:
        """Be pickled as the file that the table is mapped from, where there is one: another process maps it too."""
        return _reopen, (type(self), file_of(self._table) or self._table)

    def read(self, indices: Indices) -> Tensor:
        """Read some pictures.

        Args:
            indices: B row numbers, int64, in any order, with repeats.

        Returns:
            uint8 of shape (B, 3, size, size), channels_last in memory.

        Raises:
            IndexError: If a row number is outside 0..len-1.
        """
        return torch.from_numpy(self._gather(self._checked_rows(indices))).permute(0, 3, 1, 2)

    def read_ahead(self, batches: Iterable[Indices]) -> Iterator[Tensor]:
        """Read batch after batch, the next ones while the caller works on one, where reading takes time.

        Args:
            batches: Row numbers of each batch, as for :meth:`read`.
        """
        yield from map(self.read, batches)

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
        for block in self.read_ahead(rows[start : start + step] for start in range(0, len(rows), step)):
            for channel in range(CHANNELS):
                counts[channel] += np.bincount(block[:, channel].reshape(-1).numpy(), minlength=256)
        values = np.arange(256) / 255.0
        shares = counts / counts.sum(axis=1, keepdims=True)
        mean = shares @ values
        std = np.sqrt((shares * (values - mean[:, None]) ** 2).sum(axis=1))
        return tuple(mean.tolist()), tuple(std.tolist())

    def _checked_rows(self, indices: Indices) -> Rows:
        rows = np.asarray(indices.cpu() if isinstance(indices, Tensor) else indices)
        if rows.ndim != 1 or (len(rows) and not np.issubdtype(rows.dtype, np.integer)):
            raise IndexError(f"row numbers must be one-dimensional integers, not {rows.dtype} of {rows.shape}")
        rows = rows.astype(np.int64, copy=False)
        if len(rows) and not 0 <= rows.min() <= rows.max() < len(self):
            raise IndexError(f"row numbers {rows.min()}..{rows.max()} of an image store with {len(self)} rows")
        return rows

    @classmethod
    def _checked_size(cls, table: pa.Table) -> int:
        try:
            size = int(table.schema.metadata[b"image_size"])
        except (TypeError, KeyError, ValueError) as error:
            raise InputError("Not an image store: the table's metadata does not give image_size.") from error
        found = {field.name: field.type for field in table.schema}
        for field in cls._fields(size):
            if found.get(field.name) != field.type:
                raise InputError(
                    f"Not an image store of {size}x{size} pictures: column {field.name!r} must be {field.type}, "
                    f"but is {found.get(field.name, 'missing')}. Run the ingestion pipeline again."
                )
            if table[field.name].null_count and not field.nullable:
                raise InputError(f"The image store's column {field.name!r} has nulls; run ingestion again.")
        return size

    @classmethod
    @abstractmethod
    def _fields(cls, size: int) -> list[pa.Field]:
        """Return the columns of a store of pictures of this size."""


def _reopen(kind: type[ImageStore], source: Path | pa.Table) -> ImageStore:
    return kind(map_table(source) if isinstance(source, Path) else source)
