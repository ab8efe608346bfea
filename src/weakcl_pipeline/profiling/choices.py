"""Parameters that fit a data set, by rules of thumb; each is written into the environment, where it can be changed."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from statistics import median_low

from weakcl_pipeline.attributes.casting import AttributeKind

GRANULARITIES = (1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 600)
"""Numbers of binary attributes to choose from, those of the emoji data and smaller ones."""

_SIZES = (32, 48, 64)
"""Sides of packed pictures in pixels: what a CPU trains on in minutes."""
_FEWEST = 8
"""Pictures in a batch, so that an anchor and its partner meet others to be told apart from."""
_LARGE = 1_000_000
"""From as many pictures on, those of 32 px are what fits on a disk and into a day."""


@dataclass(frozen=True)
class Choices:
    """What is chosen for a data set.

    Attributes:
        min_count: Samples of the train split that an indicator needs.
        rule: The cluster rule.
        granularities: As many as there are indicators for.
        size: Side of the packed pictures in pixels.
        batch_size: Pictures in a batch.
        k: Clusters of the iterative variant.
    """

    min_count: int
    rule: str
    granularities: tuple[int, ...]
    size: int
    batch_size: int
    k: int


def choose(*, train_rows: int, indicators: int, kinds: Collection[AttributeKind], sides: Sequence[int]) -> Choices:
    """Choose parameters.

    Args:
        train_rows: About how many samples the train split has.
        indicators: How many binary attributes there are to cluster by, at least.
        kinds: Of the attributes to cluster by.
        sides: Shorter sides in pixels of some pictures.
    """
    return Choices(
        min_count=choose_min_count(train_rows),
        rule="top_entropy_present" if set(kinds) == {AttributeKind.TAGS} else "top_entropy",
        granularities=_granularities(indicators),
        size=_size(sides, train_rows),
        batch_size=_batch_size(train_rows),
        k=min(train_rows, max(2, min(2500, round(train_rows / 9)))),
    )


def choose_min_count(train_rows: int) -> int:
    """One sample in 500, as for the emoji; below two, nothing is in common, and a hundred are enough anywhere."""
    return max(2, min(100, train_rows // 500))


def _granularities(indicators: int) -> tuple[int, ...]:
    """Those that there are indicators for, the smallest ones only where there are hardly any others."""
    possible = [k for k in GRANULARITIES if k <= indicators]
    return tuple(k for k in possible if k >= 5 or indicators < 10) or (1,)


def _size(sides: Sequence[int], train_rows: int) -> int:
    """The largest that does not enlarge a typical picture."""
    if not sides or train_rows >= _LARGE:
        return _SIZES[0]
    return max((size for size in _SIZES if size <= median_low(sides)), default=_SIZES[0])


def _batch_size(train_rows: int) -> int:
    """128, as for the emoji; less where that would be few batches an epoch, more where they would be very many."""
    if train_rows >= 500_000:
        return 256
    fitting = 1 << (train_rows // 8).bit_length() >> 1  # the largest power of two that makes eight batches
    return min(128, max(fitting, min(_FEWEST, train_rows // 2 + 1)))
