"""Tables that are read one column at a time, whether they are in memory or on the disk."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, Self

import polars as pl

ROWS_AT_ONCE = 1 << 19
"""Rows of a part of a column."""


class Columns(Protocol):
    """What is asked of a table of attributes; a `polars.DataFrame` has it, too."""

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""

    @property
    def height(self) -> int:
        """Number of rows."""

    def __getitem__(self, name: str, /) -> pl.Series:
        """Return a column."""

    def filter(self, rows: pl.Series, /) -> Self:
        """Return the table with some of its rows, those for which ``rows``, (N,) Boolean, is true."""


@dataclass(frozen=True)
class LazyColumns:
    """The columns of a lazy frame; each is collected whenever it is asked for, and none is kept.

    Attributes:
        frame: All rows.
        rows: (N,) Boolean, the rows that belong to the table; None = all.
    """

    frame: pl.LazyFrame
    rows: pl.Series | None = None

    @cached_property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return self.frame.collect_schema().names()

    @cached_property
    def height(self) -> int:
        """Number of rows."""
        if self.rows is not None:
            return int(self.rows.sum())
        return int(self.frame.select(pl.len()).collect().item())

    def __getitem__(self, name: str, /) -> pl.Series:
        """Return a column."""
        column = self._collected(self.frame.select(name))
        return column if self.rows is None else column.filter(self.rows)

    def part(self, name: str, start: int, length: int) -> pl.Series:
        """Return some rows of a column of the frame, reading no others."""
        return self._collected(self.frame.select(name).slice(start, length))

    def _collected(self, column: pl.LazyFrame) -> pl.Series:
        return column.collect().to_series()

    def filter(self, rows: pl.Series, /) -> Self:
        """Return the table with some of its rows."""
        if self.rows is None:
            return type(self)(self.frame, rows)
        return type(self)(self.frame, self.rows.clone().scatter(self.rows.arg_true(), rows))  # in place, else


def parts_of(table: Columns, name: str) -> Iterator[pl.Series]:
    """Return a column in parts, one after another, so that what is made of one of them fits into memory.

    Of a lazy table no more than a part is read at once. There is at least one part, be it empty.
    """
    if not isinstance(table, LazyColumns) or table.rows is not None:
        return in_parts(table[name])
    return (table.part(name, start, ROWS_AT_ONCE) for start in range(0, max(1, table.height), ROWS_AT_ONCE))


def in_parts(column: pl.Series) -> Iterator[pl.Series]:
    """Return a column in the parts in which `parts_of` returns those of a table."""
    return (column.slice(start, ROWS_AT_ONCE) for start in range(0, max(1, len(column)), ROWS_AT_ONCE))


def columns_of(table: pl.DataFrame | pl.LazyFrame) -> Columns:
    """Return a table as columns that can be read one by one."""
    return LazyColumns(table) if isinstance(table, pl.LazyFrame) else table
