"""Text files of official data sets, read with the line of every record at hand for messages."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import polars as pl

from weakcl_pipeline.errors import InputError, brief
from weakcl_pipeline.sources.raw_files import read_bytes

NUMBER = "[0-9]{1,9}"
"""Pattern of a whole number, which is read as one."""
FLAG = "[01]"
"""Pattern of 0 or 1, which is read as a number."""
TEXT = r"\S.*"
"""Pattern of a text to the end of the line."""

_LIMIT = 256 << 20  # bytes; the largest official file has 73 MB


@dataclass(frozen=True)
class Records:
    """The records of one file.

    Attributes:
        file: Where they are from.
        rows: `line` (counted from 1), and a column per field.
    """

    file: Path
    rows: pl.DataFrame

    def __getitem__(self, column: str) -> pl.Series:
        """The values of a field."""
        return self.rows[column]

    def check_unique(self, *columns: str) -> None:
        """Check that no two records have the same values in these fields.

        Raises:
            InputError: Naming the lines of the first two that have.
        """
        repeated = self.rows.filter(pl.struct(columns).is_duplicated())
        if repeated.height:
            again = repeated.join(repeated.select(columns).head(1), on=columns, how="semi")
            key = ", ".join(f"{name} {again[name][0]}" for name in columns)
            raise InputError(
                f"{self.file}, line {again['line'][1]}: {key} is there already, in line {again['line'][0]}."
                " Remove one of the lines, or download the file again."
            )

    def check_known(self, column: str, known: "Records") -> None:
        """Check that a field refers to records of another file.

        Raises:
            InputError: Naming the first line with a value that the other file does not have.
        """
        unknown = self.rows.join(known.rows.select(column), on=column, how="anti", maintain_order="left")
        if unknown.height:
            raise InputError(
                f"{self.file}, line {unknown['line'][0]}: {column} {unknown[column][0]} is not in {known.file}."
                " Take both files from the same download."
            )

    def check_complete(self, column: str, wanted: "Records") -> None:
        """Check that every record of another file is referred to by this one.

        Raises:
            InputError: Naming the first that is not, and its line there.
        """
        absent = wanted.rows.join(self.rows.select(column), on=column, how="anti", maintain_order="left")
        if absent.height:
            raise InputError(
                f"{self.file}: there is no line for {column} {absent[column][0]}, which is in {wanted.file}, line"
                f" {absent['line'][0]}. The file may be cut off; download it again."
            )


def read_records(file: Path, fields: Mapping[str, str], rest: str = "") -> Records:
    """Read a file with one record a line, its fields separated by blanks. Empty lines are passed over.

    Args:
        file: Text in UTF-8.
        fields: Name -> pattern: `NUMBER`, `FLAG` or `TEXT`.
        rest: Pattern of what may follow the last field.

    Raises:
        InputError: The file is missing, is no text, or has a line that is not of this form.
    """
    lines = pl.DataFrame({"text": pl.Series([_text(file)]).str.split("\n").explode().str.strip_chars()})
    lines = lines.with_row_index("line", offset=1).filter(pl.col("text") != "")
    pattern = r"\s+".join(f"(?P<{name}>{form})" for name, form in fields.items())
    groups = lines.select(pl.col("text").str.extract_groups(f"^{pattern}{rest}$")).unnest("text")
    wrong = groups[next(iter(fields))].is_null()
    if wrong.any():
        line, text = lines.filter(wrong).row(0)
        form = " ".join(f"<{name}>" for name in fields)
        raise InputError(
            f"{file}, line {line}: expected `{form}`, found {brief(text)!r}."
            " Correct the line, or download the file again."
        )
    numbers = [name for name, form in fields.items() if form in (NUMBER, FLAG)]
    return Records(file, groups.with_columns(lines["line"], pl.col(numbers).cast(pl.Int32)))


def read_csv(file: Path, columns: Sequence[str]) -> Records:
    """Read some columns of a table with commas and a header, as text without blanks around it.

    Args:
        file: Text in UTF-8.
        columns: The columns that are wanted; there may be more.

    Raises:
        InputError: The file is missing, is no text, lacks a column, or has a row of another length than its header.
    """
    reader = csv.reader(StringIO(_text(file), newline=""), strict=True)
    values: list[list[str]] = []
    lines: list[int] = []
    line = 1  # where the row begins, which is what is wrong where a quotation never ends
    try:
        header = [name.strip() for name in next(reader, [])]
        places = [_place(name, header, file) for name in columns]
        line = reader.line_num + 1
        for row in reader:
            if len(row) not in (0, len(header)):
                raise InputError(
                    f"{file}, line {line}: expected {len(header)} columns, as in the first line, found {len(row)}."
                    " Correct the line, or download the file again."
                )
            if row:
                lines.append(line)
                values.append([row[place].strip() for place in places])
            line = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"{file}, line {line}: not a row of a CSV table: {error}.") from error
    rows = pl.DataFrame(values, schema=dict.fromkeys(columns, pl.String), orient="row")
    return Records(file, rows.insert_column(0, pl.Series("line", lines, dtype=pl.UInt32)))


def _place(name: str, header: Sequence[str], file: Path) -> int:
    if header.count(name) != 1:
        found = "more than one" if name in header else "no"
        raise InputError(
            f"{file}, line 1: there is {found} column '{name}'; found {brief(', '.join(header))!r}."
            " Take the file as it was downloaded."
        )
    return header.index(name)


def _text(file: Path) -> str:
    content = read_bytes(file, _LIMIT)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(f"{file}, line {line}: not text in UTF-8. Download the file again.") from error
