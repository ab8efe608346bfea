"""A look at a raw table of any size: figures of all of it, and a random part that fits into memory."""

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from weakcl_pipeline.attributes.casting import as_words
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.sources.roles import MISSING, is_pattern

SAMPLE_ROWS = 50_000
"""Rows that are looked at one by one: entropies of up to 10 bits are known to about a hundredth; memory is bounded."""

_SEED = 20_220_206


@dataclass(frozen=True)
class TableSample:
    """What is known of a raw table.

    Attributes:
        rows: Of the whole table.
        missing: Column -> share of missing cells of the whole table.
        distinct: Column -> how many values the whole table has there, for the columns that hold one word, number or
            date in a cell; where the sample is not the table, by HyperLogLog, which may be a tenth off.
        frame: At most `SAMPLE_ROWS` random rows in their order; all of them where there are no more. Without the
            binary columns, and those of which the name is taken for a pattern.
        binary: Names of the binary columns.
    """

    rows: int
    missing: dict[str, float]
    distinct: dict[str, int]
    frame: pl.DataFrame
    binary: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        """Whether the sample is the table."""
        return self.frame.height == self.rows


def sample_table(table: pl.LazyFrame, rows: int = SAMPLE_ROWS) -> TableSample:
    """Read a table twice as a stream: once for figures of all of it, once for random rows.

    Args:
        table: As a source yields it.
        rows: Size of the sample.

    Raises:
        InputError: The table has no rows or no columns.
    """
    schema = table.collect_schema()
    if not schema:
        raise InputError("the table is empty (no columns). Check the file.")
    usable = {name: dtype for name, dtype in schema.items() if not is_pattern(name)}
    table = table.with_columns(_null_where_missing(name, dtype) for name, dtype in usable.items())
    single = [name for name, dtype in usable.items() if holds_single(dtype)]
    filler = pl.lit(0).alias(_new_name(schema))  # a struct needs a field
    figures = table.select(
        pl.len().alias("rows"),
        pl.struct(pl.all().null_count()).alias("missing"),
        pl.struct(filler, *(pl.col(name).approx_n_unique() for name in single)).alias("distinct"),
    ).collect(engine="streaming")
    total = int(figures["rows"][0])
    if total == 0:
        raise InputError("the table is empty (0 rows). Check the file.")
    binary = tuple(name for name, dtype in usable.items() if dtype == pl.Binary)
    frame = random_rows(table.select(name for name in usable if name not in binary), total, rows)
    return TableSample(
        rows=total,
        missing={name: count / total for name, count in figures["missing"][0].items()},
        distinct={
            name: as_words(frame[name]).drop_nulls().n_unique()
            if frame.height == total
            else int(figures["distinct"][0][name])
            for name in single
        },
        frame=frame,
        binary=binary,
    )


def holds_single(dtype: pl.DataType) -> bool:
    """Whether cells of a type hold one word, number or date, which can be written as text."""
    return not dtype.is_nested() and dtype not in (pl.Binary, pl.Duration, pl.Object)


def _null_where_missing(name: str, dtype: pl.DataType) -> pl.Expr:
    """The column with its missing cells null; texts are String, whatever the table stores them as."""
    column = pl.col(name)
    if dtype.is_float():
        return column.fill_nan(None)
    if dtype not in (pl.String, pl.Categorical, pl.Enum):
        return column
    texts = column.cast(pl.String)
    return pl.when(~texts.str.strip_chars().is_in(list(MISSING))).then(texts).alias(name)


def random_rows(table: pl.LazyFrame, total: int, rows: int) -> pl.DataFrame:
    """Return about `rows` rows, the same at every call, in their order; all of them where there are no more.

    Rows are chosen by a hash of their number: what is sorted is met everywhere, and no more than the result is in
    memory.
    """
    if total <= rows:
        return table.collect(engine="streaming")
    number = _new_name(table.collect_schema())
    drawn = pl.col(number).hash(_SEED) < int(rows / total * 2**64)
    return table.with_row_index(number).filter(drawn).drop(number).head(rows).collect(engine="streaming")


def _new_name(names: Iterable[str]) -> str:
    """A name that no column has: it is longer than all of theirs."""
    return "".join(names) + "#"
