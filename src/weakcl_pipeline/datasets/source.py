"""Raw data, read by the source that knows its form."""

from typing import Any

import polars as pl
from kedro.io import AbstractDataset, DatasetError
from kedro_datasets._typing import TablePreview
from pydantic import ValidationError

from weakcl_pipeline.datasets.lineage import hash_of
from weakcl_pipeline.datasets.preview import table_preview
from weakcl_pipeline.files import sha256_of
from weakcl_pipeline.sources import SOURCES, ReleasedClusters


class SourceDataset(AbstractDataset[None, pl.LazyFrame]):
    """The raw table of one of `SOURCES`; it is read and never written.

    Example:
        .. code-block:: yaml

            raw_samples:
              type: weakcl_pipeline.datasets.SourceDataset
              source: table
              path: data/01_raw/mine/table.csv

    Args:
        source: A name in `SOURCES`.
        clusters: The fields of `ReleasedClusters`, whose clusters are joined to the table.
        metadata: For plug-ins such as Kedro-Viz.
        **options: The fields of the source, ``path`` first of all.

    Raises:
        DatasetError: There is no such source, or it does not take these options.
    """

    def __init__(
        self,
        *,
        source: str,
        clusters: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        if source not in SOURCES:
            raise DatasetError(f"source: there is no '{source}'; there are: {', '.join(SOURCES)}.")
        try:
            self._source = SOURCES[source].model_validate(options)
            self._clusters = None if clusters is None else ReleasedClusters.model_validate(clusters)
        except ValidationError as error:
            raise DatasetError(f"source '{source}': {error}") from error
        self._name = source
        self.metadata = metadata

    def load(self) -> pl.LazyFrame:
        """Return the raw table, unread.

        Raises:
            InputError: A file is missing or not as its format says.
        """
        table = self._source.scan()
        return table if self._clusters is None else self._clusters.join(table)

    def save(self, data: None) -> None:
        """Refuse to write.

        Raises:
            DatasetError: Always.
        """
        raise DatasetError("raw data is read and never written")

    def content_hash(self) -> str:
        """Return the hash of the content of all files that the raw table is made from.

        Raises:
            InputError: A file is missing.
        """
        files = {**self._source.files(), **({} if self._clusters is None else self._clusters.files())}
        digests = {name: file and sha256_of(file) for name, file in files.items()}
        return hash_of(digests if len(digests) > 1 else [*digests.values()])  # a file alone may be called anything

    def preview(self, nrows: int = 20) -> TablePreview:
        """Return the first rows for Kedro-Viz."""
        head = self.load().head(nrows).collect()
        return table_preview(head.columns, head.rows())

    def _describe(self) -> dict[str, Any]:
        clusters = {} if self._clusters is None else {"clusters": self._clusters.model_dump(mode="json")}
        return {"source": self._name, **self._source.model_dump(mode="json"), **clusters}
