"""What every source of raw data has in common."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from weakcl_pipeline.config import Config


class Source(Config, ABC):
    """A raw data set; its fields say where it is and in which form.

    A field `path` is relative to the project in the catalog.
    """

    @abstractmethod
    def scan(self) -> pl.LazyFrame:
        """Return the raw table, one row per sample: ids, picture references, labels and side information.

        Raises:
            InputError: A file is missing or not as its format says.
        """

    @abstractmethod
    def files(self) -> Mapping[str, Path | None]:
        """Return the files that the raw table is made from; names and content are the version of the raw data.

        A name says what the file is in the data set, wherever that lies, e.g. its path below the data set's folder.
        Pictures in files of their own do not belong to them; where the table is made from the names of pictures, None
        stands for their content.

        Raises:
            InputError: A file is missing.
        """
