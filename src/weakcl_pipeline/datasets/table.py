"""Tables with a preview that copes with lists, bytes and missing values."""

from kedro_datasets._typing import TablePreview
from kedro_datasets.polars import EagerPolarsDataset

from weakcl_pipeline.datasets.preview import table_preview


class TableDataset(EagerPolarsDataset):  # type: ignore[misc]
    """`polars.EagerPolarsDataset` as it is, but for what it shows in Kedro-Viz.

    The original's preview goes through pandas, which turns integers beside a missing value into floats, and lists into
    arrays that Kedro-Viz cannot send.
    """

    def preview(self, nrows: int = 20) -> TablePreview:
        """Return the first rows for Kedro-Viz."""
        head = self.load().head(nrows)
        return table_preview(head.columns, head.rows())
