"""Which column is the id, the split, the label and the group of a raw table."""

import re
from collections.abc import Collection
from dataclasses import dataclass, field

import polars as pl

from weakcl_pipeline.attributes.casting import AttributeKind, as_words
from weakcl_pipeline.errors import InputError, did_you_mean
from weakcl_pipeline.profiling.kinds import Form, Guess, Useless
from weakcl_pipeline.profiling.sampling import TableSample
from weakcl_pipeline.sources.roles import check_name
from weakcl_pipeline.sources.splits import SPLITS, Split
from weakcl_pipeline.sources.table import in_words

SPLIT_WORDS: dict[str, Split] = {
    **dict.fromkeys(("train", "training", "trn", "tr", "entrenamiento", "entraînement", "lernen"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "development", "validierung", "validación"), "val"),
    **dict.fromkeys(("test", "testing", "tst", "eval", "evaluation", "prueba"), "test"),
}
"""Words for the splits, in lower case."""

_GROUP_SIZES = (1.5, 20)
"""How many samples a group has on average: photographs of one object or person, frames of one scene."""
_GROUP_NAME = re.compile(
    r"(?i)(^|[_\W])(ids?|uuid|nr|no|nummer|codes?|codepoints|group|gruppe|subject|patient|person|user|session|scene|sku"
    r"|object|product|serial|series)$|(?<=[a-z])(Id|ID|Nr)$"
)


_MONTH = r"(?i)^(?:(?:19|20)\d\d(?:[-/. ]?[wqkt]|[-/. ])\d{1,2}|\d{1,2}[-/. ](?:19|20)\d\d)$"
"""Months, weeks and quarters of a year, which are codes of a time and of nothing that is photographed."""


@dataclass(frozen=True)
class Roles:
    """The columns that are no side information.

    Attributes:
        image: The pictures, or their paths.
        id: Names every sample; none where no column does, and rows are numbered.
        split: Tells train, val and test apart; none where no column does.
        split_values: Word -> split.
        label: What representations are evaluated by, if anything.
        group: What samples that must share a split have in common, if anything.
    """

    image: str
    id: str | None = None
    split: str | None = None
    split_values: dict[str, Split] = field(default_factory=dict)
    label: str | None = None
    group: str | None = None

    def columns(self) -> set[str]:
        """All columns with a role."""
        named = (self.image, self.id, self.split, self.label, self.group)
        return {name for name in named if name is not None}


def find_roles(
    sample: TableSample, table: pl.LazyFrame, guesses: dict[str, Guess], image: str, label: str | None
) -> Roles:
    """Find the roles of the columns.

    Args:
        sample: Of the table.
        table: The table, for what must hold for all of it.
        guesses: Column -> what it looks like.
        image: The column of the pictures.
        label: The label column, if there is one.
    """
    split = _split_column(sample, image, label)
    id_column = _id_column(sample, table, guesses, image, {label, split})
    group = _group_column(sample, table, guesses, split, {image, label, id_column})
    if group is None and id_column is None and image not in sample.binary:
        group = image  # a picture in several rows belongs to one split
    return Roles(
        image=image,
        id=id_column,
        split=split,
        split_values={} if split is None else split_values(sample.frame[split]),
        label=label,
        group=group,
    )


def check_label(sample: TableSample, guesses: dict[str, Guess], label: str) -> None:
    """Check that a column can be a label.

    Raises:
        InputError: It does not exist, cannot be called by its name, has no words or numbers, one value only, or one for
            each sample.
    """
    if label not in guesses:
        hint = did_you_mean(label, guesses)
        raise InputError(f"--label: there is no column '{label}'.{hint} The table has: {', '.join(guesses)}.")
    check_name(label, "--label", "name another one")
    if label not in sample.distinct:
        raise InputError(
            f"--label: the cells of column '{label}' are lists, bytes or durations; a label is one word or"
            " number in each cell."
        )
    values = as_words(sample.frame[label]).drop_nulls()
    if values.n_unique() < 2:
        held = f"only the value '{values[0]}'" if len(values) else "no value at all"
        raise InputError(f"--label: column '{label}' holds {held}; at least two are needed. Name another column.")
    if values.n_unique() == len(values):
        raise InputError(
            f"--label: column '{label}' has a value of its own in each of {len(values)} rows, so nothing can be learnt"
            " of one sample for another. Name another column."
        )


def split_values(column: pl.Series) -> dict[str, Split]:
    """Return word -> split; nothing where a cell has no word for a split, or none has one for train."""
    known, others = _split_words(column)
    return {} if others or column.null_count() or len(known) < 2 or "train" not in known.values() else known


def split_fault(column: pl.Series) -> str:
    """Say why splits are made although a column names some; nothing where it names none."""
    known, others = _split_words(column)
    if len(known) < 2 or "train" not in known.values() or len(others) > 1:
        return ""
    empty = column.null_count()
    faults = [f"{empty} of {len(column)} cells are empty"] if empty else []
    faults += [f"{(as_words(column) == word).sum()} of {len(column)} cells hold {word!r}" for word in others]
    return f"names splits, but {' and '.join(faults) or 'not all of train, val and test'}: splits are made"


def _split_words(column: pl.Series) -> tuple[dict[str, Split], list[str]]:
    """Return word -> split, for the words of a column that stand for one, and its other words."""
    words = as_words(column).drop_nulls().unique().sort().to_list() if column.dtype == pl.String else []
    known = {word: SPLIT_WORDS[word.lower()] for word in words if word.lower() in SPLIT_WORDS}
    return known, [word for word in words if word not in known]


def _split_column(sample: TableSample, image: str, label: str | None) -> str | None:
    """The column that names all splits; without a label nothing is evaluated, and train is enough."""
    for column in sample.frame:
        splits = set(split_values(column).values())
        if column.name not in (image, label) and splits and (splits == set(SPLITS) or label is None):
            return column.name
    return None


def _id_column(
    sample: TableSample, table: pl.LazyFrame, guesses: dict[str, Guess], image: str, taken: Collection[str | None]
) -> str | None:
    """The first column that names every row; the picture's path is asked last."""
    unique = [
        name
        for name, guess in guesses.items()
        if guess.kind is Useless.IDENTIFIER and name not in taken and name != image and name in sample.distinct
    ]
    for name in [*unique, image]:
        column = sample.frame.get_column(name, default=None)
        unique_here = column is not None and column.null_count() == 0 and column.n_unique() == len(column)
        if unique_here and (sample.is_whole or _names_all_rows(table, name, sample.rows)):
            return name
    return None


def _names_all_rows(table: pl.LazyFrame, name: str, rows: int) -> bool:
    """Compare hashes, which take eight bytes each: two equal ones would only cost a good column its role."""
    column = pl.col(name)
    hashes = table.select(column.hash().n_unique().alias("distinct"), column.null_count().alias("missing"))
    distinct, missing = hashes.collect(engine="streaming").row(0)
    return bool(distinct == rows and missing == 0)


def _group_column(
    sample: TableSample,
    table: pl.LazyFrame,
    guesses: dict[str, Guess],
    split: str | None,
    taken: Collection[str | None],
) -> str | None:
    """The column that says which samples show the same thing; where a split is given, no value may be in two.

    Such a column holds codes, each of a few samples; what merely repeats, as a colour does, is an attribute.
    """
    sizes = {}
    for name, guess in guesses.items():
        if name in taken or name == split or name not in sample.distinct or sample.missing[name]:
            continue
        size = sample.rows / max(1, sample.distinct[name])
        if _GROUP_SIZES[0] <= size <= _GROUP_SIZES[1] and _are_codes(sample.frame[name], guess):
            sizes[name] = size
    by_size = sorted(sizes, key=lambda name: -sizes[name])
    return next((name for name in by_size if split is None or _within_splits(table, name, split)), None)


def _are_codes(column: pl.Series, guess: Guess) -> bool:
    words = as_words(column)
    most = int(words.unique_counts().max())  # type: ignore[arg-type]
    if words.str.contains(r"\s").any() or most > max(2 * _GROUP_SIZES[1], 0.05 * len(column)):
        return False
    if words.str.contains(_MONTH).all():
        return False
    if _GROUP_NAME.search(column.name) is not None:
        return guess.form != Form.DATES
    single_words = guess.kind in (AttributeKind.CATEGORICAL, Useless.IDENTIFIER) and guess.form == Form.WORDS
    return single_words and float(words.str.contains(r"\d").mean() or 0) > 0.9  # type: ignore[arg-type]


def _within_splits(table: pl.LazyFrame, name: str, split: str) -> bool:
    hashes = table.select(
        pl.col(name).hash().n_unique().alias("groups"),
        pl.struct(name, in_words(split)).hash().n_unique().alias("pairs"),
    ).collect(engine="streaming")
    return bool(hashes["groups"][0] == hashes["pairs"][0])
