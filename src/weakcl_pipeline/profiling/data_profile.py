"""All that is found out about a raw data set: the roles and kinds of its columns, and what to do with them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil

import polars as pl

from weakcl_pipeline.attributes.casting import AttributeKind, as_words, cast_column, join_levels
from weakcl_pipeline.attributes.measures import entropy
from weakcl_pipeline.attributes.schema import AttributeSpec
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.profiling.choices import Choices, choose, choose_min_count
from weakcl_pipeline.profiling.information import Information, find_levels, measure
from weakcl_pipeline.profiling.kinds import Form, Guess, Useless, guess_kind
from weakcl_pipeline.profiling.pictures import Pictures, find_pictures
from weakcl_pipeline.profiling.roles import Roles, check_label, find_roles, split_fault
from weakcl_pipeline.profiling.sampling import SAMPLE_ROWS, TableSample, sample_table
from weakcl_pipeline.sources.roles import LABEL_PREFIX, IngestionConfig, is_pattern
from weakcl_pipeline.sources.splits import SplitConfig

LEAK_TOLERANCE = 1.2 * IngestionConfig.model_fields["leak_tolerance"].default
"""Share of H(label); a little more than ingestion's, since what is nearly a leak here may be one in the train split."""

_TELLING = 0.05
"""Bits below which an attribute takes no part in clusters: one sample in 180 has another value."""
_MISSING = 0.95
"""Share of missing cells above which it does not either."""
_TRAIN_SHARE = SplitConfig().train
"""About what the train split gets where none is given."""
_RESERVED = ("sample_id", "split", "group", "image")
"""Columns of the sample table."""


@dataclass(frozen=True)
class Column:
    """What was found out about one column, or about several that are levels of one hierarchy.

    Attributes:
        name: Of the column, or of the attribute that the levels make.
        guess: What it looks like.
        role: `id`, `picture`, `split`, `label`, `group`, `attribute`, or empty where it is left out.
        missing: Share of cells.
        distinct: About how many values it has; for tags, how many words; none where nobody counted.
        information: What it tells, for attributes and for those that would give the label away.
        spec: How it is read, for attributes.
        clusters: Whether clusters are made of it.
        note: What else there is to say, or why it is left out.
    """

    name: str
    guess: Guess
    role: str
    missing: float
    distinct: int | None
    information: Information | None = None
    spec: AttributeSpec | None = None
    clusters: bool = False
    note: str = ""


@dataclass(frozen=True)
class Profile:
    """What was found out about a data set.

    Attributes:
        rows: Of the table.
        looked_at: Rows that kinds and information are from.
        roles: Of the columns.
        pictures: What some of them look like.
        columns: All columns, in the order of the table.
        label_entropy: H(label) in bits; none without a label.
        choices: Parameters that fit.
    """

    rows: int
    looked_at: int
    roles: Roles
    pictures: Pictures
    columns: tuple[Column, ...]
    label_entropy: float | None
    choices: Choices

    @property
    def attributes(self) -> dict[str, Column]:
        """The attributes by name."""
        return {column.name: column for column in self.columns if column.role == "attribute"}

    @property
    def clustered(self) -> list[str]:
        """Names of the attributes that clusters are made of."""
        return [column.name for column in self.columns if column.clusters]


def profile(table: pl.LazyFrame, images: str | None, label: str | None, *, sample_rows: int = SAMPLE_ROWS) -> Profile:
    """Look at a raw data set; memory does not grow with its rows.

    Args:
        table: As a source yields it.
        images: What paths in the table are relative to; none for pictures inside the table.
        label: The label column, if there is one.
        sample_rows: Rows that are looked at one by one.

    Raises:
        InputError: The table is empty, has no column of pictures or other pictures than are there, or the label cannot
            be one.
    """
    sample = sample_table(table, sample_rows)
    guesses = {name: _guess(sample, name) for name in sample.missing}
    if label is not None:
        check_label(sample, guesses, label)
    pictures = find_pictures(sample, table, images)
    roles = find_roles(sample, table, guesses, pictures.column, label)
    train = _train_rows(sample.frame, roles)
    share = train.height / sample.frame.height if roles.split else _TRAIN_SHARE
    train_rows = max(1, round(sample.rows * share))
    columns = _Columns(sample, guesses, roles, train, train_rows).all()
    clustered = [column for column in columns if column.clusters]
    choices = choose(
        train_rows=train_rows,
        indicators=sum(column.information.indicators for column in clustered if column.information),
        kinds=[column.spec.kind for column in clustered if column.spec and column.spec.kind],
        sides=pictures.sides,
    )
    bits = None if label is None else entropy(as_words(train[label]).drop_nulls())
    return Profile(sample.rows, sample.frame.height, roles, pictures, columns, bits, choices)


def _guess(sample: TableSample, name: str) -> Guess:
    if is_pattern(name):
        return Guess(Useless.UNNAMED)
    return Guess(Useless.BYTES) if name in sample.binary else guess_kind(sample.frame[name])


def _train_rows(frame: pl.DataFrame, roles: Roles) -> pl.DataFrame:
    """Return the rows of the train split; all where none is given."""
    if roles.split is None:
        return frame
    names = [value for value, split in roles.split_values.items() if split == "train"]
    return frame.filter(as_words(frame[roles.split]).is_in(names))


class _Columns:
    """The columns of a table with known roles."""

    def __init__(
        self, sample: TableSample, guesses: dict[str, Guess], roles: Roles, train: pl.DataFrame, train_rows: int
    ) -> None:
        min_count = choose_min_count(train_rows)
        self._sample, self._guesses, self._train, self._min_count = sample, guesses, train, min_count
        self._roles = {
            name: role
            for role, name in (
                ("group", roles.group), ("id", roles.id), ("picture", roles.image), ("split", roles.split),
                ("label", roles.label),
            )
            if name is not None
        }  # fmt: skip
        self._label = None if roles.label is None else as_words(train[roles.label])
        known = sample.is_whole and roles.split is not None
        # What is just frequent enough in a part may be too rare in the whole.
        self._min_here = max(2, ceil(min_count * train.height / train_rows * (1.0 if known else 1.3)))

    def all(self) -> tuple[Column, ...]:
        """Return all columns in their order, and those that several columns make together."""
        columns = {name: self._column(name, guess) for name, guess in self._guesses.items()}
        categories = {
            name: as_words(self._train[name])
            for name, column in columns.items()
            if column.spec is not None and column.spec.kind == AttributeKind.CATEGORICAL
        }
        for levels in find_levels(categories):
            together = self._hierarchy(levels)
            for name in levels:
                columns[name] = replace(columns[name], role="level", spec=None, note=f"level of {together.name}")
            columns[together.name] = together
        return _with_clusters(tuple(columns.values()))

    def _column(self, name: str, guess: Guess) -> Column:
        missing, distinct = self._sample.missing[name], self._sample.distinct.get(name)
        plain = Column(name, guess, self._roles.get(name, ""), missing, distinct)
        if plain.role:
            return plain
        if isinstance(guess.kind, Useless):
            return replace(plain, note=_WHY[guess.kind])
        if fault := split_fault(self._sample.frame[name]):
            return replace(plain, note=fault)
        if name in _RESERVED or name.startswith(LABEL_PREFIX):
            return replace(plain, note="the sample table has a column of this name: rename it to use it")
        spec = AttributeSpec(kind=guess.kind, separator=guess.separator, min_count=self._min_count)
        return self._attribute(plain, spec)

    def _hierarchy(self, levels: tuple[str, ...]) -> Column:
        name = "_".join(levels)
        guess = Guess(AttributeKind.HIERARCHY, Form.LEVELS)
        plain = Column(name, guess, "", self._sample.missing[levels[0]], self._sample.distinct[levels[-1]])
        spec = AttributeSpec(kind=AttributeKind.HIERARCHY, levels=levels, min_count=self._min_count)
        return self._attribute(plain, spec)

    def _typed(self, name: str, spec: AttributeSpec) -> pl.Series:
        if spec.levels:
            return join_levels([self._train[level] for level in spec.levels], name)
        return cast_column(self._train[name], spec.kind or AttributeKind.CATEGORICAL, spec)

    def _attribute(self, plain: Column, spec: AttributeSpec) -> Column:
        """Say whether a column can be an attribute, and what it tells."""
        try:
            typed = self._typed(plain.name, spec)
        except InputError as error:
            return replace(plain, note=str(error))
        found = measure(typed, spec, self._label, tolerance=LEAK_TOLERANCE, min_count=self._min_here)
        column = replace(plain, information=found, distinct=_distinct_of(plain, typed))
        if found.leaks:
            return replace(column, note="gives the label away")
        note = f"without {len(found.leaking_words)} words that name the label" if found.leaking_words else ""
        if found.indicators == 0:
            rare = f"no value of it is that of {self._min_count} training samples, but not of all"
            return replace(column, note=", ".join(filter(None, [note, rare])))
        return replace(
            column, role="attribute", spec=spec.model_copy(update={"exclude": found.leaking_words}), note=note
        )


def _distinct_of(plain: Column, typed: pl.Series) -> int | None:
    return typed.explode().drop_nulls().n_unique() if typed.dtype == pl.List else plain.distinct


def _with_clusters(columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """Choose the attributes that clusters are made of, without a look at the label.

    Words and paths that somebody gave the pictures say what is in them. Where there are such, other columns, which
    often say where a picture is from, are left to the user to add.
    """
    telling = [
        column
        for column in columns
        if column.role == "attribute"
        and column.information is not None
        and column.information.entropy >= _TELLING
        and column.missing <= _MISSING
    ]
    described = [column for column in telling if column.guess.kind in (AttributeKind.TAGS, AttributeKind.HIERARCHY)]
    chosen = {column.name for column in described or telling}
    return tuple(replace(column, clusters=column.name in chosen) for column in columns)


_WHY: Mapping[Useless, str] = {
    Useless.EMPTY: "no cell has a value",
    Useless.CONSTANT: "has one value only",
    Useless.IDENTIFIER: "nearly every row has a value of its own",
    Useless.TEXT: "free text",
    Useless.BYTES: "binary",
    Useless.NESTED: "cells are neither words nor numbers nor lists of words",
    Useless.UNNAMED: "its name is taken for a pattern of names: rename it in the file to use it",
    Useless.MARK: "all cells are one mark or empty: declare `kind: bool` with `true_values` and `false_values`",
    Useless.QUANTITY: "numbers with units, or written in several ways: write plain numbers, such as 12.5, to use them",
    Useless.SHORT_YEARS: "dates with years of two digits: declare `kind: continuous` with a `date_format` to use them",
    Useless.DURATION: "durations or times of day: make numbers of them, say of seconds, to use them",
}
