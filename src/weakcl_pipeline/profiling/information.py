"""What each attribute of a sample tells, in bits, and what it would give away of the label."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from weakcl_pipeline.attributes.binarise import binarise
from weakcl_pipeline.attributes.casting import AttributeKind
from weakcl_pipeline.attributes.leaks import find_leaks
from weakcl_pipeline.attributes.measures import conditional_entropy, entropy
from weakcl_pipeline.attributes.rules import rank_by_entropy
from weakcl_pipeline.attributes.schema import AttributeSpec

BEST = 5
"""A set of words is told by whether it has each of the so many words of highest entropy, as in the paper's clusters."""

_BINS = 32
"""Quantile bins of continuous values."""


@dataclass(frozen=True)
class Information:
    """What an attribute tells.

    Attributes:
        entropy: H(A) in bits over the samples that have it: of its values, of quantile bins of a continuous one, and
            of which of its `BEST` words a set of tags has.
        remaining: H(label | A) in bits, a missing cell counting as one more value; none without a label.
        indicators: How many binary attributes it gives (see `attributes.binarise`).
        leaks: Whether it gives the label away.
        leaking_words: Tags that do so, alone or together, or repeat words of the label.
    """

    entropy: float
    remaining: float | None
    indicators: int
    leaks: bool = False
    leaking_words: tuple[str, ...] = ()


def measure(
    column: pl.Series, spec: AttributeSpec, label: pl.Series | None, *, tolerance: float, min_count: int
) -> Information:
    """Measure one attribute.

    Args:
        column: Its typed values, N rows.
        spec: How it is read, with the kind set.
        label: The same N rows, String, null where unlabelled; none without a label.
        tolerance: Share of H(label) up to which an attribute that leaves it gives the label away.
        min_count: Samples of the N that an indicator needs.
    """
    leaks, words = _leaks(column, spec, label, tolerance)
    spec = spec.model_copy(update={"min_count": min_count, "exclude": tuple(words)})
    everywhere = pl.repeat(True, len(column), eager=True)
    binary = binarise(column.to_frame(), {column.name: spec}, everywhere)
    codes = _codes(column, spec, binary)
    return Information(
        entropy=entropy(codes.drop_nulls()) if codes.count() else 0.0,
        remaining=None if label is None else _remaining(codes, label),
        indicators=sum(bool(indicator.drop_nulls().n_unique() > 1) for indicator in binary),
        leaks=leaks,
        leaking_words=tuple(words),
    )


def _leaks(column: pl.Series, spec: AttributeSpec, label: pl.Series | None, tolerance: float) -> tuple[bool, list[str]]:
    """Whether the column as a whole gives the label away, and the tags that do so, or name it."""
    if label is None:
        return False, []
    if spec.kind != AttributeKind.TAGS:
        return bool(find_leaks(column, label.to_frame(), spec, tolerance)), []
    words = repeated_words(column, label)
    while found := find_leaks(column, label.to_frame(), spec.model_copy(update={"exclude": tuple(words)}), tolerance):
        words |= {tag for leak in found for tag in leak.tags}
    return False, sorted(words)


def repeated_words(tags: pl.Series, label: pl.Series) -> set[str]:
    """Tags that are one of the words that the label's values are made of, in singular or plural.

    Args:
        tags: Lists of words.
        label: The label, String.
    """
    named = label.drop_nulls().unique().str.to_lowercase().str.extract_all(r"[\pL\pN]{3,}").explode().drop_nulls()
    forms = {form for word in named.to_list() for form in (word, f"{word}s", f"{word}es", word.removesuffix("s"))}
    words = tags.explode().drop_nulls().unique().to_list()
    return {word for word in words if word.lower() in forms}


def _codes(column: pl.Series, spec: AttributeSpec, binary: pl.DataFrame) -> pl.Series:
    """The attribute as integer codes, null where missing."""
    if spec.kind == AttributeKind.TAGS:
        best = [name for name, _ in rank_by_entropy(binary, np.ones(len(column), dtype=np.bool_))[:BEST]]
        if not best:
            return pl.repeat(None, len(column), dtype=pl.Int64, eager=True)
        column = binary.select(best).cast(pl.UInt8).select(pl.concat_str(pl.all())).to_series()
    elif spec.kind == AttributeKind.HIERARCHY:
        column = column.list.join("\x1f")
    elif spec.kind == AttributeKind.CONTINUOUS and column.n_unique() > _BINS:
        # Equal values have one rank: dealt out by their order, they would tell what the table is sorted by.
        return (column.rank("min").cast(pl.Int64) - 1) * _BINS // max(1, column.count())
    return column.rank("dense").cast(pl.Int64)


def _remaining(codes: pl.Series, label: pl.Series) -> float:
    labelled = label.is_not_null()
    return conditional_entropy(label.filter(labelled), given=codes.fill_null(-1).filter(labelled))


def find_levels(categories: Mapping[str, pl.Series]) -> list[tuple[str, ...]]:
    """Columns that are the levels of a hierarchy: each value of a deeper one belongs to one value of the one above.

    Args:
        categories: Column -> its N values, String, null where missing.

    Returns:
        Each hierarchy's columns, root first, in no hierarchy but one.
    """
    sizes = {name: column.n_unique() for name, column in categories.items()}
    left = sorted(categories, key=lambda name: -sizes[name])
    hierarchies = []
    while left:
        chain = [left.pop(0)]
        for name in list(left):
            if sizes[name] < sizes[chain[-1]] and _belongs(categories[chain[-1]], categories[name]):
                chain.append(name)
                left.remove(name)
        if len(chain) > 1:
            hierarchies.append(tuple(reversed(chain)))
    return hierarchies


def _belongs(deeper: pl.Series, above: pl.Series) -> bool:
    """Whether each value of one column goes with one of the other, in so many rows that it is no coincidence."""
    both = pl.DataFrame({"deeper": deeper, "above": above}).drop_nulls()
    known = deeper.is_not_null()
    values, parents = both["deeper"].n_unique(), both["above"].n_unique()
    if both.height < known.sum() or not 2 <= parents < values or both.height < 5 * values:
        return False
    return both.n_unique() == values
