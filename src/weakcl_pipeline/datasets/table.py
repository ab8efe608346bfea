"""Tables with a preview that copes with lists, bytes and missing values."""

import polars as pl
from kedro_datasets._typing import TablePreview
from kedro_datasets.polars import EagerPolarsDataset

from weakcl_pipeline.datasets.file import FileDataset
from weakcl_pipeline.datasets.preview import table_preview

_ROWS_PER_GROUP = 1 << 17


class TableDataset(EagerPolarsDataset):  # type: ignore[misc]
    """`polars.EagerPolarsDataset` as it is, but for what it shows in Kedro-Viz.

    The original's preview goes through pandas, which turns integers beside a missing value into floats, and lists into
    arrays that Kedro-Viz cannot send.
    """

    def preview(self, nrows: int = 20) -> TablePreview:
        """Return the first rows for Kedro-Viz."""
        head = self.load().head(nrows)
        return table_preview(head.columns, head.rows())


class LazyTableDataset(FileDataset[pl.DataFrame | pl.LazyFrame, pl.LazyFrame]):
    """A table in Parquet that need not fit into memory.

    Loading reads no more than the schema; whoever collects the frame, or some of its columns, reads them. A lazy frame
    is saved as it is streamed, and the same rows give the same bytes.

    Args:
        filepath: The file.
        metadata: For plug-ins such as Kedro-Viz.
    """

    def load(self) -> pl.LazyFrame:
        """Return the table, unread."""
        return pl.scan_parquet(self._filepath)

    def save(self, data: pl.DataFrame | pl.LazyFrame) -> None:
        """Write the table."""
        data.lazy().sink_parquet(self._filepath, row_group_size=_ROWS_PER_GROUP, engine="streaming")

    def preview(self, nrows: int = 20) -> TablePreview:
        """Return the first rows for Kedro-Viz."""
        head = self.load().head(nrows).collect()
        return table_preview(head.columns, head.rows())
