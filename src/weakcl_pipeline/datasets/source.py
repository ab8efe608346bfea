"""Raw data, read by the source that knows its form."""

from pathlib import Path
from typing import Any, TypeVar

import polars as pl
from kedro.io import AbstractDataset, DatasetError
from kedro_datasets._typing import TablePreview
from pydantic import ValidationError

from weakcl_pipeline.config import Config, explained, suggestion
from weakcl_pipeline.datasets.lineage import hash_of
from weakcl_pipeline.datasets.preview import table_preview
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.files import sha256_of
from weakcl_pipeline.sources import SOURCES, ReleasedClusters
from weakcl_pipeline.sources.base import Source

C = TypeVar("C", bound=Config)


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
        InputError: There is no such source, or it does not take these options.
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
            raise InputError(f"source: there is no '{source}' to choose in the catalog{suggestion(source, [*SOURCES])}")
        self._source = _validated(SOURCES[source], options, source)
        self._clusters = None if clusters is None else _validated(ReleasedClusters, clusters, source, "clusters")
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
        """Return the hash of all that the raw table is made from: the content of its files, and how they are read.

        Where they lie does not count, nor do options that are as they are by default.

        Raises:
            InputError: A file is missing or cannot be read.
        """
        readers: list[Source | ReleasedClusters] = [self._source]
        readers += [] if self._clusters is None else [self._clusters]
        digests = {name: file and _digest(file) for reader in readers for name, file in reader.files().items()}
        content: Any = digests if len(digests) > 1 else [*digests.values()]  # a file alone may be called anything
        options = [_without_places(reader.model_dump(exclude_defaults=True)) for reader in readers]
        return hash_of([content, options] if any(options) else content)

    def preview(self, nrows: int = 20) -> TablePreview:
        """Return the first rows for Kedro-Viz."""
        head = self.load().head(nrows).collect()
        return table_preview(head.columns, head.rows())

    def _describe(self) -> dict[str, Any]:
        clusters = {} if self._clusters is None else {"clusters": self._clusters.model_dump(mode="json")}
        return {"source": self._name, **self._source.model_dump(mode="json"), **clusters}


def _digest(file: Path) -> str:
    try:
        return sha256_of(file)
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror}.") from error


def _without_places(options: Any) -> Any:
    """Return options without those that say where something lies, at any depth."""
    if isinstance(options, dict):
        kept = {name: value for name, value in options.items() if name != "path" and not isinstance(value, Path)}
        return {name: _without_places(value) for name, value in kept.items()}
    if isinstance(options, list | tuple):
        return [_without_places(value) for value in options]
    return options


def _validated(model: type[C], options: dict[str, Any], source: str, key: str = "") -> C:
    try:
        return model.model_validate(options)
    except ValidationError as error:
        problems = "\n".join(f"  {problem}" for problem in explained(error, model, key, noun="option"))
        raise InputError(f"source '{source}' in the catalog cannot be used:\n{problems}\nCorrect it there.") from error
