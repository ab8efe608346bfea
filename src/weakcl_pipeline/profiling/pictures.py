"""Where the pictures of a table are, found by looking at some of them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import polars as pl

from weakcl_pipeline.errors import FEW, InputError, some_lines
from weakcl_pipeline.images.decode import SUFFIXES, DecodeError, ImagesConfig, decode, short_side
from weakcl_pipeline.images.roots import PictureRoot, is_url, open_root
from weakcl_pipeline.profiling.sampling import TableSample

PICTURES = 100
"""Pictures that are opened: a fault of one in thirty is met with a probability of 97 %."""

_TRIED = 20
"""References that are looked up in a folder to see whether it is the one they are relative to."""


@dataclass(frozen=True)
class Pictures:
    """What some of the pictures look like.

    Attributes:
        column: The column that holds them, or refers to them.
        root: What references are relative to; none for pictures inside the table.
        sides: The shorter side in pixels of each that could be used.
        rejects: (reference, reason) of each that could not.
    """

    column: str
    root: str | None
    sides: tuple[int, ...]
    rejects: tuple[tuple[str, str], ...]

    @property
    def checked(self) -> int:
        """How many were opened."""
        return len(self.sides) + len(self.rejects)


def find_pictures(sample: TableSample, table: pl.LazyFrame, folder: str | None) -> Pictures:
    """Find the column of the pictures and the folder that its paths are relative to, and open some of the pictures.

    Args:
        sample: Of the table.
        table: The table; binary columns are not in the sample.
        folder: Where the pictures are said to be: a folder, or what else `images.root` may be; none for pictures
            inside the table.

    Raises:
        InputError: No column refers to pictures, none of the pictures is there, or too many cannot be used.
    """
    _check_header(sample)
    if folder is None:
        return _embedded(sample, table)
    columns = _referring(sample, folder)
    roots = _roots(folder)
    for root in roots:
        with open_root(ImagesConfig(root=root)) as opened:
            for column in columns:
                references = column.drop_nulls().sample(min(PICTURES, column.count()), seed=0).to_list()
                if _found(references[:_TRIED], opened):
                    reading = ((name, partial(opened.read, name)) for name in references)
                    return _checked(_opened(column.name, root, reading))
    raise _nothing_found(columns, roots)


def _check_header(sample: TableSample) -> None:
    """Refuse a table of which the first row, which is taken for the names of the columns, names a picture."""
    for column in sample.frame:
        if _is_picture(pl.Series([column.name]))[0] and column.dtype == pl.String and _share_of_pictures(column) >= 0.5:
            raise InputError(
                f"the table has no header: a column is called '{column.name}', like the pictures in it. Put a row with"
                " the names of the columns before the others."
            )


def _embedded(sample: TableSample, table: pl.LazyFrame) -> Pictures:
    for name in sample.binary:
        first = table.select(name).head(PICTURES).collect()[name]  # random ones would cost reading all
        cells = ((f"{name}[{row}]", partial(bytes, cell)) for row, cell in enumerate(first) if cell is not None)
        pictures = _opened(name, None, cells)
        if pictures.sides:
            return _checked(pictures)
    raise InputError(
        f"no column of the table holds encoded pictures (its columns: {', '.join(sample.missing)})."
        " Say with --images where the pictures are that it refers to."
    )


def _referring(sample: TableSample, folder: str) -> list[pl.Series]:
    """Text columns whose values end like pictures; where there is none, those that name anything in the folder."""
    texts = [column for column in sample.frame if column.dtype == pl.String and column.count()]
    ending = [column for column in texts if _share_of_pictures(column) >= 0.5]
    if ending:
        return sorted(ending, key=_share_of_pictures, reverse=True)
    with open_root(ImagesConfig(root=folder)) as opened:
        anything = [column for column in texts if _found(column.drop_nulls().head(_TRIED).to_list(), opened)]
    if anything:
        return anything
    raise InputError(
        "the table has no column of pictures: in no column do values end like the name of a picture (.png, .jpg, ...)"
        f" or name a file below {folder}. Its columns: {', '.join(sample.missing)}."
        " Add a column with the path of each picture below that folder."
    )


def _share_of_pictures(names: pl.Series) -> float:
    """The share of values that end like the name of a picture."""
    return float(_is_picture(names.drop_nulls()).mean() or 0)  # type: ignore[arg-type]


def _is_picture(names: pl.Series) -> pl.Series:
    """Which names, (N,) String, end like that of a picture, (N,) Boolean."""
    return names.str.to_lowercase().str.extract(r"(\.[a-z]+)$").is_in(list(SUFFIXES)).fill_null(value=False)


def _roots(folder: str) -> list[str]:
    """The folder as it was given, and the one above it: paths in tables often begin with the folder's own name."""
    path = Path(folder)
    return [folder, str(path.parent)] if not is_url(folder) and path.is_dir() and path.name else [folder]


def _found(references: Sequence[str], root: PictureRoot) -> bool:
    """Whether a root has most of what is referred to."""
    return sum(_fault(reference, root) is None for reference in references) > len(references) / 2


def _fault(reference: str, root: PictureRoot) -> str | None:
    """Say why a root does not have what is referred to; None if it has."""
    try:
        root.read(reference)
    except DecodeError as error:
        return error.reason
    return None


def _opened(column: str, root: str | None, pictures: Iterable[tuple[str, Callable[[], bytes]]]) -> Pictures:
    """Open pictures, each given by its name and by what returns its content."""
    config = ImagesConfig()
    sides, rejects = [], []
    for name, read in pictures:
        try:
            encoded = read()
            decode(encoded, config)
            sides.append(short_side(encoded))
        except DecodeError as error:
            rejects.append((name, error.reason))
    return Pictures(column, root, tuple(sides), tuple(rejects))


def _checked(pictures: Pictures) -> Pictures:
    """Refuse where most pictures cannot be used; a few are left to quarantine."""
    if len(pictures.rejects) > pictures.checked / 2:
        listed = some_lines([f"{name}: {reason}" for name, reason in pictures.rejects])
        raise InputError(
            f"{len(pictures.rejects)} of {pictures.checked} pictures of column '{pictures.column}' cannot be used:\n"
            f"{listed}\nMend them, or say with --images where the right ones are."
        )
    return pictures


def _nothing_found(columns: Sequence[pl.Series], roots: Sequence[str]) -> InputError:
    references = [
        (column.name, reference)
        for column in columns
        for reference in column.drop_nulls().unique(maintain_order=True).head(FEW)
    ][:FEW]
    tried = []
    for root in roots:
        with open_root(ImagesConfig(root=root)) as opened:
            tried += [f"  column '{name}', images.root = {root}: {_fault(said, opened)}" for name, said in references]
    return InputError(
        "the pictures that the table names are not there. Looked for, among others:\n"
        + "\n".join(tried)
        + "\nSay with --images which folder the paths in the table are relative to."
    )
