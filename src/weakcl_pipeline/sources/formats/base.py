"""What every format of table files has in common."""

import codecs
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal, Self

import polars as pl
from polars.io.plugins import register_io_source
from pydantic import ValidationInfo, field_validator, model_validator

from weakcl_pipeline.config import Config
from weakcl_pipeline.errors import InputError


class TableOptions(Config):
    """How a table's file is written. What is left out is found by looking into the file, and logged.

    Attributes:
        format: `csv` (any separated text), `jsonl`, `parquet` or `arrow` (IPC file or stream, Feather); by default
            what the suffix stands for. Text may be compressed: `.gz`, `.zst`, `.bz2`.
        encoding: Of text, any name that Python knows, e.g. `utf-8`, `utf-16`, `windows-1252`.
        separator: Of `csv`, one character, e.g. `;`.
        quote: Of `csv`, the character around cells that hold separators or line ends; an empty text if cells are never
            quoted.
        comment: Of `csv`, how lines before the header begin that are no part of the table, e.g. `#`. Without it, every
            line counts.
        columns: Of `csv`, the names of the columns of a file without a header.
    """

    format: Literal["csv", "jsonl", "parquet", "arrow"] | None = None
    encoding: str | None = None
    separator: str | None = None
    quote: str | None = None
    comment: str | None = None
    columns: tuple[str, ...] | None = None

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, encoding: str | None) -> str | None:
        if encoding is not None:
            try:
                "".encode(encoding)
            except LookupError as error:
                raise ValueError(f"there is no text encoding '{encoding}'") from error
            return codecs.lookup(encoding).name
        return None

    @field_validator("separator", "quote")
    @classmethod
    def _one_character(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None or (value == "" and info.field_name == "quote"):
            return value
        if len(value) != 1 or not value.isascii() or value in "\r\n\0":
            raise ValueError(f"must be one ASCII character, not {value!r}")
        return value

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if self.separator is not None and self.separator == self.quote:
            raise ValueError(f"separator and quote are the same character, {self.quote!r}")
        if self.comment == "":
            raise ValueError("comment: must not be empty; leave it out if there are no comments")
        return self


class Format(ABC):
    """A table's file in one format.

    Args:
        path: The file, or the folder of a partitioned table.
        options: How it is written.

    Raises:
        InputError: An option is given that does not go with the format.
    """

    takes: ClassVar[tuple[str, ...]] = ()
    """Names of the options, beside `format`, that the format has."""

    def __init__(self, path: Path, options: TableOptions) -> None:
        given = [name for name in TableOptions.model_fields if name != "format" and getattr(options, name) is not None]
        foreign = [name for name in given if name not in self.takes]
        if foreign:
            raise InputError(
                f"{path}: `{foreign[0]}` does not go with tables in {type(self).__name__}. Remove it from the catalog,"
                " or declare another `format`."
            )
        self.path = path
        self.options = options

    @abstractmethod
    def scan(self) -> pl.LazyFrame:
        """Return the table, unread but for what tells its columns.

        Errors in rows are raised where the frame is collected.

        Raises:
            InputError: The file is not as its format says.
        """

    def files(self) -> Mapping[str, Path]:
        """Return the files that the table is made of, by their paths below the table's folder, if it is one."""
        return {"": self.path}


def check_unique(names: Sequence[str], path: Path) -> None:
    """Check that no two columns have one name.

    Raises:
        InputError: Naming one that is there again, and its places.
    """
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        places = [place for place, name in enumerate(names) if name == repeated[0]]
        raise InputError(
            f"{path}: the header names several columns '{repeated[0]}' (columns {', '.join(map(str, places))}, counted"
            " from 0). Rename them in the file."
        )


def lazy(batches: Callable[[list[str]], Iterable[pl.DataFrame]], schema: Mapping[str, pl.DataType]) -> pl.LazyFrame:
    """Return a lazy frame that is made batch by batch where it is collected; an error there keeps its type.

    Args:
        batches: Yields all rows of the columns it is asked for, and starts anew at each call. It takes them by
            `frame[names]`, as `select` takes some names for patterns.
        schema: All columns.
    """

    def source(
        with_columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, _batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        left = n_rows
        for batch in batches(list(schema) if with_columns is None else with_columns):
            frame = batch if left is None else batch.head(left)
            yield frame if predicate is None else frame.filter(predicate)
            if left is not None:
                left -= frame.height
                if left == 0:
                    return

    return register_io_source(source, schema=pl.Schema(schema), is_pure=True)
