"""Tables in Parquet, with a preview that copes with lists, bytes and missing values."""

from typing import Any, Literal

import polars as pl
from kedro_datasets._typing import TablePreview

from weakcl_pipeline.datasets.file import FileDataset, Loaded
from weakcl_pipeline.datasets.preview import table_preview

_ROWS_PER_GROUP = 1 << 17


class _ParquetDataset(FileDataset[pl.DataFrame | pl.LazyFrame, Loaded]):
    """A table in Parquet.

    A lazy frame is saved as it is streamed, and the same rows give the same bytes.

    Args:
        filepath: The file.
        compression: Of the pages.
        metadata: For plug-ins such as Kedro-Viz.
    """

    def __init__(
        self,
        *,
        filepath: str,
        compression: Literal["zstd", "lz4"] = "zstd",
        metadata: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(filepath=filepath, metadata=metadata)
        self._compression: Literal["zstd", "lz4"] = compression

    def save(self, data: pl.DataFrame | pl.LazyFrame) -> None:
        """Write the table."""
        data.lazy().sink_parquet(
            self._filepath, compression=self._compression, row_group_size=_ROWS_PER_GROUP, engine="streaming"
        )

    def preview(self, nrows: int = 20) -> TablePreview:
        """Return the first rows for Kedro-Viz."""
        head = pl.scan_parquet(self._filepath, glob=False).head(nrows).collect()
        return table_preview(head.columns, head.rows())


class TableDataset(_ParquetDataset[pl.DataFrame]):
    """A table that is loaded as a whole."""

    def load(self) -> pl.DataFrame:
        """Return the table."""
        return pl.read_parquet(self._filepath, glob=False)


class LazyTableDataset(_ParquetDataset[pl.LazyFrame]):
    """A table that need not fit into memory.

    Loading reads no more than the schema; whoever collects the frame, or some of its columns, reads them.
    """

    def load(self) -> pl.LazyFrame:
        """Return the table, unread."""
        return pl.scan_parquet(self._filepath, glob=False)
