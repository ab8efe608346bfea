"""What the columns of a raw table are: id, picture, split, labels, group and attributes."""

from typing import Literal, Self

import polars as pl
from pydantic import Field, model_validator

from weakcl_pipeline.attributes.casting import as_words
from weakcl_pipeline.attributes.schema import AttributeSpec
from weakcl_pipeline.config import Config
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.sources.splits import SPLITS, Split, SplitConfig

LABEL_PREFIX = "label_"  # of the columns of `samples` that hold labels
MISSING = ("", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NULL", "null", "-", "?")
"""What tables usually hold where nothing is known."""
_AS_THEY_ARE: dict[str, Split] = {split: split for split in SPLITS}


def label_columns(samples: pl.DataFrame) -> dict[str, pl.Series]:
    """Return the labels of samples by the names that they were declared by."""
    return {name.removeprefix(LABEL_PREFIX): samples[name] for name in samples.columns if name.startswith(LABEL_PREFIX)}


def check_name(column: str, name: str, remedy: str) -> None:
    """Check that a column that is needed can be called by its name.

    Args:
        column: Its name.
        name: Of the table, for the message.
        remedy: What else to do than to rename it.

    Raises:
        InputError: The name stands for several columns.
    """
    if is_pattern(column):
        raise InputError(
            f"{name}: a column cannot be called '{column}', which is taken for a pattern of names. Rename it in the"
            f" file, or {remedy}."
        )


def is_pattern(column: str) -> bool:
    """Whether polars takes a column's name for a pattern of names."""
    return column == "*" or (column.startswith("^") and column.endswith("$"))


class IngestionConfig(Config):
    """The roles of the columns of `raw_samples`.

    Attributes:
        id_column: Unique name of each sample; becomes `sample_id`. Left out, samples are named after their rows,
            `row_0` and so on, which other rows must not be put before.
        image_column: The encoded picture (binary), or its path below `images.root` (text).
        box_columns: The part of the picture that is the sample, where not all of it is: columns with left, top, width
            and height in pixels of the upright picture. A row in which all four are null uses the whole picture.
        split_column: Which split a sample belongs to; left out, splits are made.
        split: How splits are made where there is no `split_column`.
        split_values: Raw value -> train, val or test. By default the raw values are these names themselves.
        labels: Label columns, the main one first; used for evaluation and the `supervised` reference, never
            for clustering. May be empty.
        group_column: Samples with the same value must share a split (e.g. several photos of one object).
        attributes: Attribute column -> how to read it.
        missing: Texts that stand for a missing cell in columns of attributes, labels, groups and splits. An id or a
            picture is missing only where its text is empty.
        undeclared: Whether the other columns are ignored, or taken as attributes of an inferred kind.
        ignore: Columns that are not taken as attributes under `undeclared: infer`.
        leak_tolerance: An attribute is refused if it leaves at most this share of a label's entropy.
    """

    id_column: str | None = None
    image_column: str
    box_columns: tuple[str, str, str, str] | None = None
    split_column: str | None = None
    split: SplitConfig | None = None
    split_values: dict[str, Split] = Field(default_factory=lambda: dict(_AS_THEY_ARE))
    labels: tuple[str, ...] = ()
    group_column: str | None = None
    attributes: dict[str, AttributeSpec] = Field(default_factory=dict)
    missing: tuple[str, ...] = MISSING
    undeclared: Literal["ignore", "infer"] = "ignore"
    ignore: tuple[str, ...] = ()
    leak_tolerance: float = Field(default=0.05, ge=0, le=1)

    @model_validator(mode="after")
    def _one_split(self) -> Self:
        if self.split_column is not None and self.split is not None:
            raise ValueError("split_column and split: splits are either given or made; remove one of the two")
        return self

    @model_validator(mode="after")
    def _labels_once(self) -> Self:
        if len(set(self.labels)) < len(self.labels):
            raise ValueError(f"labels: a column is listed twice: {', '.join(self.labels)}")
        return self

    def scalar_columns(self) -> dict[str, str]:
        """Columns that hold one word or number per row -> the key that names them."""
        keyed = {} if self.id_column is None else {self.id_column: "ingestion.id_column"}
        if self.split_column is not None:
            keyed[self.split_column] = "ingestion.split_column"
        if self.split is not None and self.split.stratify is not None:
            keyed[self.split.stratify] = "ingestion.split.stratify"
        if self.group_column is not None:
            keyed[self.group_column] = "ingestion.group_column"
        return keyed | dict.fromkeys(self.labels, "ingestion.labels")

    def split_words(self) -> dict[str, Split]:
        """Raw value, written as a word (see `as_words`) -> train, val or test."""
        words = as_words(pl.Series(list(self.split_values), dtype=pl.String))
        return dict(zip(words, self.split_values.values(), strict=True))

    def role_columns(self) -> dict[str, str]:
        """Columns that are no attribute unless declared as one -> the key that names them."""
        boxes = dict.fromkeys(self.box_columns or (), "ingestion.box_columns")
        return self.scalar_columns() | boxes | {self.image_column: "ingestion.image_column"}

    def columns(self) -> dict[str, str]:
        """Every column that the table must have -> the key that names it."""
        keyed: dict[str, str] = {}
        for name, spec in self.attributes.items():
            if spec.levels:
                keyed |= dict.fromkeys(spec.levels, f"ingestion.attributes.{name}.levels")
            else:
                keyed[name] = f"ingestion.attributes.{name}"
        return keyed | self.role_columns()
