"""Files of a raw data set that are read whole, with a bound on their size."""

from pathlib import Path

from weakcl_pipeline.errors import InputError


def existing(file: Path) -> Path:
    """Return the path of a file that has to be there.

    Raises:
        InputError: It is not.
    """
    if not file.is_file():
        raise InputError(
            f"{file}: there is no such file. Put it there, or correct the catalog."
            " For the data sets of the paper, docs/data says where files come from and belong."
        )
    return file


def read_bytes(file: Path, limit: int) -> bytes:
    """Return a file's content.

    Args:
        file: The file.
        limit: Its largest size in bytes.

    Raises:
        InputError: The file is missing, too large or cannot be read.
    """
    try:
        with existing(file).open("rb") as stream:
            content = stream.read(limit + 1)
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror}.") from error
    if len(content) > limit:
        raise InputError(f"{file}: more than {limit:,} bytes, which the official file has not. Is it another file?")
    return content
