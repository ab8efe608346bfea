"""Arrow tables that are read through a memory map."""

import pyarrow as pa
from kedro_datasets._typing import TablePreview

from weakcl_pipeline.datasets.file import FileDataset
from weakcl_pipeline.datasets.preview import table_preview
from weakcl_pipeline.files import map_table, write_table


class ArrowTableDataset(FileDataset[pa.Table, pa.Table]):
    """A `pyarrow.Table` in an Arrow IPC file.

    Loading maps the file into memory and copies nothing: pages are read when they are touched, and all
    processes of a machine share them. Schema metadata is kept, unless it says where the table came from.

    Args:
        filepath: The file.
        metadata: For plug-ins such as Kedro-Viz.
    """

    def load(self) -> pa.Table:
        """Map the file and return its table."""
        return map_table(self._filepath)

    def save(self, data: pa.Table) -> None:
        """Write the table."""
        write_table(data, self._filepath)

    def preview(self, nrows: int = 20) -> TablePreview:
        """Return the first rows for Kedro-Viz, with the size of a binary value in its place."""
        head = self.load().slice(0, nrows)
        return table_preview(head.column_names, (row.values() for row in head.to_pylist()))
