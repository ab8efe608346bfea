"""Formats of table files: each reads one file as a lazy frame.

To add a format, write a class in a file of its own and list it here, with its suffixes.
"""

from pathlib import Path

from weakcl_pipeline.errors import InputError
from weakcl_pipeline.images.signature import other_format
from weakcl_pipeline.sources.formats.arrow import Arrow
from weakcl_pipeline.sources.formats.base import Format, TableOptions
from weakcl_pipeline.sources.formats.delimited import Delimited
from weakcl_pipeline.sources.formats.json_lines import JsonLines
from weakcl_pipeline.sources.formats.parquet import Parquet

FORMATS: dict[str, type[Format]] = {
    "csv": Delimited,
    "jsonl": JsonLines,
    "parquet": Parquet,
    "arrow": Arrow,
}

SUFFIXES: dict[str, str] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".tab": "csv",
    ".txt": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".arrows": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
}
"""Suffix, in lower case and without that of a compression -> name of the format."""

_COMPRESSIONS = (".gz", ".zst", ".bz2")


def format_of(path: Path, options: TableOptions) -> Format:
    """Return the reader of a table's file: of the declared format, or of the one that its suffix stands for.

    Raises:
        InputError: The suffix stands for no format, the file cannot be read or is something else altogether, or an
            option does not go with the format.
    """
    if path.is_file():
        _check_start(path)
    return FORMATS[options.format or _guessed(path)](path, options)


def _check_start(path: Path) -> None:
    """Refuse what is no table by its first bytes, whatever it is called."""
    try:
        with path.open("rb") as file:
            other = other_format(file.read(64))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}.") from error
    if other is not None and path.suffix.lower() not in _COMPRESSIONS:
        raise InputError(
            f"{path}: no table in a format that is read ({', '.join(FORMATS)}), but {other}. Put the table itself"
            " there; workbooks can be exported as CSV, and compressed tables need the suffix of their compression."
        )


def _guessed(path: Path) -> str:
    if path.is_dir():
        return "parquet"
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in _COMPRESSIONS:
        suffixes.pop()
    found = SUFFIXES.get(suffixes[-1]) if suffixes else None
    if found is None:
        raise InputError(
            f"{path}: the name does not tell the format of the table. Known suffixes: {', '.join(SUFFIXES)}. Declare"
            f" `format:` in the catalog ({', '.join(FORMATS)}), or export the table as CSV."
        )
    return found


__all__ = ["FORMATS", "SUFFIXES", "Format", "TableOptions", "format_of"]
