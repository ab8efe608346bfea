"""Separated text: CSV, TSV and their dialects."""

import csv
import io
import logging
import re
from collections.abc import Iterator
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pyarrow as pa
from pyarrow import csv as arrow_csv

from weakcl_pipeline.errors import InputError, brief
from weakcl_pipeline.sources.formats.base import Format, check_unique, lazy
from weakcl_pipeline.sources.formats.text import Utf8Stream, encoding_of

logger = logging.getLogger(__name__)

_SEPARATORS = ",;\t|"
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?')
"""How spreadsheet programs say the separator, in a first line of its own."""
_SAMPLE = 1 << 18
"""Bytes that the dialect is found from."""
_BLOCK = 4 << 20
"""Bytes parsed at once, and so the longest row."""


class Dialect(NamedTuple):
    """How rows are written.

    Attributes:
        separator: Between cells.
        quote: Around cells; empty where cells are never quoted. Inside it is written twice.
        skipped: Lines before the header or the first row.
        names: Names of the columns.
        header: Whether a header comes before the first row.
    """

    separator: str
    quote: str
    skipped: int
    names: tuple[str, ...]
    header: bool


class Delimited(Format):
    """Separated text. Every cell is text, as it is written; what the texts mean is for attributes to say.

    Rows have as many cells as the header. Empty lines are skipped, a quoted cell may hold line ends, and lines may end
    with CR LF, LF or CR, even in one file. A first line `sep=;` is no part of the table. A column without a name is
    called by its place, `column_0`.
    """

    takes = ("encoding", "separator", "quote", "comment", "columns")

    def scan(self) -> pl.LazyFrame:
        """Return the table; it is parsed, in one pass and bounded memory, where it is collected."""
        logger.info(
            "%s: csv in %s, separator %r, quote %r, %d columns",
            self.path,
            self._encoding,
            self._dialect.separator,
            self._dialect.quote,
            len(self._dialect.names),
        )
        return lazy(self._batches, dict.fromkeys(self._dialect.names, pl.String()))

    def _batches(self, wanted: list[str]) -> Iterator[pl.DataFrame]:
        last = self._dialect.names[-1]
        bad: list[arrow_csv.InvalidRow] = []
        rows, end = 0, ""
        with _Tail(self.path, self._encoding, self._dialect.quote) as stream:
            try:
                with self._reader(stream, [*wanted, *({last} - {*wanted})], bad) as reader:
                    for batch in reader:
                        frame = pl.DataFrame(pl.from_arrow(batch))
                        rows += frame.height
                        end = frame[last][-1] if frame.height else end  # blank lines make a batch without rows
                        yield frame[wanted]
            except pa.ArrowInvalid as error:
                raise self._broken(error, bad, rows) from error
            if rows and stream.ends_inside(end):
                raise InputError(
                    f"{self.path}, row {rows - 1} (counted from 0, without the header), column '{last}': a quote"
                    f" {self._dialect.quote} opens a cell that never ends, {brief(end)!r}. Close it, or"
                    ' declare `quote: ""` in the catalog if cells are not quoted.'
                )

    def _reader(
        self, stream: io.RawIOBase, columns: list[str], bad: list[arrow_csv.InvalidRow], *, threads: bool = True
    ) -> arrow_csv.CSVStreamingReader:
        def remember(row: arrow_csv.InvalidRow) -> str:
            bad.append(row)
            return "error"

        return arrow_csv.open_csv(
            pa.PythonFile(stream, mode="r"),
            read_options=arrow_csv.ReadOptions(
                block_size=_BLOCK,
                column_names=list(self._dialect.names),
                skip_rows=self._dialect.skipped,
                skip_rows_after_names=int(self._dialect.header),
                use_threads=threads,
            ),
            parse_options=arrow_csv.ParseOptions(
                delimiter=self._dialect.separator,
                quote_char=self._dialect.quote or False,
                newlines_in_values=bool(self._dialect.quote),
                invalid_row_handler=remember,
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(self._dialect.names, pa.string()),
                include_columns=columns,
                strings_can_be_null=False,
                check_utf8=False,  # the stream has done it
            ),
        )

    def _broken(self, error: pa.ArrowInvalid, bad: list[arrow_csv.InvalidRow], rows: int) -> InputError:
        if not bad and "straddling" not in str(error):
            return InputError(f"{self.path}, from row {rows} on (counted from 0, without the header): {error}")
        if not bad:
            return InputError(
                f"{self.path}, from row {rows} on (counted from 0, without the header): a row is longer than"
                f" {_BLOCK >> 20} MiB, as if a quote {self._dialect.quote} were never closed. Close it, or"
                ' declare `quote: ""` in the catalog if cells are not quoted.'
            )
        row = bad[0]
        if "\n" in row.text:
            hint = f"A cell goes over several lines: a quote {self._dialect.quote} may not be closed."
        elif row.expected_columns == 1:
            hint = f"The header is {brief(self._dialect.names[0])!r}; is that a title above it? Then remove the line."
        elif row.actual_columns < row.expected_columns:
            hint = "Is the row cut off? A row must have all cells, be they empty."
        else:
            hint = (
                f"Cells that hold the separator must be in quotes ({self._dialect.quote or 'none declared'}), without a"
                " space before the quote."
            )
        cells = f"{row.actual_columns} cell{'s' if row.actual_columns > 1 else ''}"
        columns = f"{row.expected_columns} column{'s' if row.expected_columns > 1 else ''}"
        return InputError(
            f"{self.path}, row {self._number_of(row)} (counted from 0, without the header): {cells}, but the table has"
            f" {columns}: {brief(row.text)!r}. {hint} The separator is {self._dialect.separator!r};"
            " declare `separator` in the catalog if it is another."
        )

    def _number_of(self, row: arrow_csv.InvalidRow) -> int:
        """Return the place of a bad row; only a pass without threads knows it."""
        found: list[arrow_csv.InvalidRow] = []
        with Utf8Stream(self.path, self._encoding) as stream:
            try:
                with self._reader(stream, [self._dialect.names[0]], found, threads=False) as reader:
                    for _ in reader:
                        pass
            except pa.ArrowInvalid:
                pass
        return int(found[0].number) - self._dialect.skipped - int(self._dialect.header) - 1

    @cached_property
    def _encoding(self) -> str:
        return encoding_of(self.path, self.options.encoding)

    @cached_property
    def _dialect(self) -> Dialect:
        with Utf8Stream(self.path, self._encoding) as stream:
            sample = stream.read(_SAMPLE).decode("utf-8", "ignore")
            whole = not stream.read(1)
        lines = io.StringIO(sample, newline="").readlines()
        skipped = 0
        while skipped < len(lines) and self._is_skipped(lines[skipped]):
            skipped += 1
        told = _SEPARATOR_LINE.fullmatch(lines[skipped].rstrip("\r\n")) if skipped < len(lines) else None
        skipped += told is not None
        if skipped == len(lines):
            raise InputError(f"{self.path}: the table is empty; not even a header is there.")
        text = "".join(lines[skipped:] if whole or len(lines) == skipped + 1 else lines[skipped:-1])
        separator, quote = self._found(text, self.options.separator or (told[1] if told else _SEPARATORS))
        first = next((row for row in _rows(text, separator, quote) if row), None)
        if first is None:
            raise InputError(
                f"{self.path}: the first row has no end in its first {csv.field_size_limit()} characters; a quote"
                f" {quote} may not be closed. Is this a table in separated text?"
            )
        if self.options.columns is None:
            return Dialect(separator, quote, skipped, self._names(first), header=True)
        if len(first) != len(self.options.columns):
            raise InputError(
                f"{self.path}: `columns` in the catalog has {len(self.options.columns)} names, but the first row"
                f" has {len(first)} cells: {brief(separator.join(first))!r}. Correct `columns`, or"
                f" `separator` ({separator!r})."
            )
        return Dialect(separator, quote, skipped, self._names(list(self.options.columns)), header=False)

    def _is_skipped(self, line: str) -> bool:
        comment = self.options.comment
        return not line.strip("\r\n") or (comment is not None and line.startswith(comment))

    def _found(self, text: str, separators: str) -> tuple[str, str]:
        """Return separator and quote: those under which most rows are as long as the first.

        Single quotes are apostrophes where there are double ones.
        """
        found = "\"'" if "'" in text and '"' not in text else '"'
        quotes = list(found) if self.options.quote is None else [self.options.quote]
        candidates = [(separator, quote) for separator in separators for quote in quotes if separator != quote]
        return max(candidates, key=lambda candidate: _fit(text, *candidate))

    def _names(self, header: list[str]) -> tuple[str, ...]:
        names = [name.strip() or f"column_{place}" for place, name in enumerate(header)]
        unnamed = [place for place, name in enumerate(header) if not name.strip()]
        if unnamed:
            logger.warning("%s: columns without a name: %s", self.path, ", ".join(f"column_{i}" for i in unnamed))
        check_unique(names, self.path)
        return tuple(names)


class _Tail(Utf8Stream):
    """A stream that remembers whether its quotes are paired, and how it ended."""

    _KEPT = 1 << 16

    def __init__(self, path: Path, encoding: str, quote: str) -> None:
        super().__init__(path, encoding)
        self._quote = quote.encode()
        self._open = False
        self._tail = b""

    def read(self, size: int = -1) -> bytes:
        block = super().read(size)
        if self._quote:
            self._open ^= bool(block.count(self._quote) % 2)
            self._tail = (self._tail + block)[-self._KEPT :]
        return block

    def ends_inside(self, cell: str) -> bool:
        """Whether the file ends inside the quotes that its last cell, ``cell``, opens."""
        if not self._open:
            return False
        written = self._quote + cell.encode().replace(self._quote, self._quote * 2)
        return self._tail.endswith(written) or written.endswith(self._tail)


def _rows(text: str, separator: str, quote: str) -> Iterator[list[str]]:
    quoting: dict[str, Any] = {"quotechar": quote} if quote else {"quoting": csv.QUOTE_NONE, "quotechar": None}
    try:
        yield from csv.reader(io.StringIO(text, newline=""), delimiter=separator, **quoting)
    except csv.Error:  # a cell longer than the csv module takes; what came before it is enough to go by
        return


def _fit(text: str, separator: str, quote: str) -> tuple[float, float, int]:
    """How well a dialect fits: the share of rows as long as the first, fewest cells with quotes left, columns."""
    rows = [row for row in islice(_rows(text, separator, quote), 1000) if row]
    width = len(rows[0]) if rows else 0
    if width < 2:
        return (0.0, -_quoted(rows), 0)
    return (sum(len(row) == width for row in rows) / len(rows), -_quoted(rows), width)


def _quoted(rows: list[list[str]]) -> float:
    cells = [cell.strip() for row in rows for cell in row]
    left = sum(cell != "" and (cell[0] in "\"'" or cell[-1] in "\"'") for cell in cells)
    return left / max(1, len(cells))
