"""What every source of raw data has in common."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from weakcl_pipeline.config import Config


class Source(Config, ABC):
    """A raw data set as it lies on the disk; its fields say where and in which form.

    Attributes:
        path: The table's file, or the data set's folder; relative to the project in the catalog.
    """

    path: Path

    @abstractmethod
    def scan(self) -> pl.LazyFrame:
        """Return the raw table, one row per sample: ids, picture references, labels and side information.

        Raises:
            InputError: A file is missing or not as its format says.
        """

    @abstractmethod
    def files(self) -> Sequence[Path]:
        """Return the files that the raw table is made from; their content is the version of the raw data.

        Pictures in files of their own do not belong to them.

        Raises:
            InputError: A file is missing.
        """
