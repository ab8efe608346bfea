"""Attributes of all kinds as points, among which squared distances say how unlike two samples are.

After Gower ("A General Coefficient of Similarity and Some of Its Properties", Biometrics 1971), every attribute counts
alike, and a missing cell contributes nothing. As in factor analysis of mixed data (Pages, 2004), alike means that the
coordinates of an attribute have a total variance of 1 over the train samples that it is known of.

| kind | coordinates |
| --- | --- |
| bool, categorical, tags, hierarchy | the indicators of `binarise`, as 0 and 1 |
| continuous | the number; an infinite one counts as missing |
| vector | its numbers |
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from torch import Tensor

from weakcl_pipeline.attributes.binarise import Counted, Indicator, indicate
from weakcl_pipeline.attributes.casting import AttributeKind
from weakcl_pipeline.attributes.columns import Columns
from weakcl_pipeline.attributes.rules.base import FittingData, State

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_ROWS_AT_ONCE = 1 << 13
"""Rows that are encoded at once."""
_FAR = 1e100
"""Units from 0 at which a number is taken to be, at most: later samples may have any, and squares must not overflow."""


@dataclass(frozen=True)
class Encoding:
    """Where attributes lie as points.

    Attributes:
        indicators: Of the attributes that are answered by yes and no.
        numbers: Continuous columns and vectors -> how many coordinates they have.
        unit: What each coordinate is divided by first, (F,): a power of two near the largest number of its attribute,
            so that squares neither overflow nor vanish, and ordinary numbers are not rounded.
        centre: Mean of each coordinate over the train samples that it is known of, (F,), in units.
        scale: What each coordinate is multiplied by, (F,), of units.
    """

    indicators: tuple[Indicator, ...]
    numbers: Mapping[str, int]
    unit: Floats
    centre: Floats
    scale: Floats

    @classmethod
    def fit(cls, data: FittingData, weights: Mapping[str, float] | None = None) -> Self:
        """Choose coordinates and scales on the train split.

        Args:
            data: The attributes, of which all columns take part.
            weights: Column -> the total variance of its coordinates, in place of 1.
        """
        counted = [asked for asked in data.counted if asked.indicator.kind != AttributeKind.CONTINUOUS]
        numbers = {name: _width(data.attributes[name]) for name, spec in data.specs.items() if _is_number(spec.kind)}
        columns = [asked.indicator.column for asked in counted]
        columns += [name for name, width in numbers.items() for _ in range(width)]
        of_numbers = [_moments(data.attributes[name], pl.Series(data.train)) for name in numbers]
        unit, centre, variance = np.hstack([_moments_of_answers(counted), *of_numbers])
        _, block = np.unique(np.array(columns, dtype=np.str_), return_inverse=True)
        total = np.bincount(block, weights=variance)[block] if len(block) else variance
        weight = np.array([(weights or {}).get(name, 1.0) for name in columns])
        scale = np.sqrt(np.divide(weight, total, out=np.zeros_like(total), where=total > 0))
        return cls(tuple(asked.indicator for asked in counted), numbers, unit, centre, scale)

    def points(self, attributes: Columns) -> Floats:
        """Return the rows of a table as points (N, F), centred and scaled; NaN where an attribute is missing."""
        points = np.empty((attributes.height, len(self.centre)))
        for rows, block in self.blocks(attributes):
            points[rows] = block
        return points

    def blocks(self, attributes: Columns) -> Iterator[tuple[slice, Floats]]:
        """Return the points of a table block by block, as memory would not hold those of many rows; and which rows."""
        answers = indicate(attributes, self.indicators)  # bits, so that every column is read once
        numbers = [attributes[name] for name in self.numbers]
        for rows in _slices(attributes.height):
            with np.errstate(over="ignore"):
                in_units = np.clip(_coordinates(answers, numbers, rows) / self.unit, -_FAR, _FAR)
            yield rows, (in_units - self.centre) * self.scale

    def known(self, attributes: Columns) -> Bools:
        """Find the rows of a table of which at least one coordinate is known, (N,)."""
        known = np.zeros(attributes.height, dtype=np.bool_)
        for name in {indicator.column for indicator in self.indicators}:
            known |= attributes[name].is_not_null().to_numpy()
        for name in self.numbers:
            column = attributes[name]
            for rows in _slices(len(column)):
                known[rows] |= ~np.isnan(_finite(column[rows])).all(axis=1)
        return known

    def to_state(self) -> State:
        """Return unit, centre and scale as tensors, and the names of the coordinates."""
        arrays = {"unit": self.unit, "centre": self.centre, "scale": self.scale}
        tensors = {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}
        return tensors, {"indicators": [list(indicator) for indicator in self.indicators], "numbers": {**self.numbers}}

    @classmethod
    def from_state(cls, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> Self:
        """Return the encoding that `to_state` described."""
        indicators = tuple(Indicator(name, AttributeKind(kind), value) for name, kind, value in metadata["indicators"])
        centre, scale = tensors["centre"], tensors["scale"]
        unit = tensors.get("unit", torch.ones_like(centre))  # states that were stored before there were units
        return cls(indicators, metadata["numbers"], unit.numpy(), centre.numpy(), scale.numpy())


def _is_number(kind: AttributeKind | None) -> bool:
    return kind in (AttributeKind.CONTINUOUS, AttributeKind.VECTOR)


def _width(column: pl.Series) -> int:
    return int(column.dtype.shape[0]) if isinstance(column.dtype, pl.Array) else 1


def _slices(rows: int) -> Iterator[slice]:
    """Return the rows that are encoded at once; there is at least one slice, be it empty."""
    starts = range(0, max(1, rows), _ROWS_AT_ONCE)
    return (slice(start, min(start + _ROWS_AT_ONCE, rows)) for start in starts)


def _moments_of_answers(counted: Sequence[Counted]) -> Floats:
    """Unit, centre and variance of indicators, (3, F), which how often they hold tells."""
    yes = np.array([asked.yes for asked in counted], dtype=np.float64)
    known = np.array([asked.known for asked in counted], dtype=np.float64).clip(min=1)
    return np.stack([np.ones_like(yes), yes / known, yes / known * (known - yes) / known])


def _moments(column: pl.Series, train: pl.Series) -> Floats:
    """Unit, and centre and variance in units, of the coordinates of a column of numbers, (3, width).

    Args:
        column: N numbers or vectors.
        train: (N,) Boolean, rows of the train split.
    """

    def blocks() -> Iterator[Floats]:
        return (_finite(column[rows].filter(train[rows])) for rows in _slices(len(column)))

    low = np.min([np.nanmin(block, axis=0, initial=np.inf) for block in blocks()], axis=0)
    high = np.max([np.nanmax(block, axis=0, initial=-np.inf) for block in blocks()], axis=0)
    _, exponent = np.frexp(max(-low.min(initial=0), high.max(initial=0)))
    unit = np.ldexp(1.0, exponent - 1)
    known = np.sum([(~np.isnan(block)).sum(axis=0) for block in blocks()], axis=0).clip(min=1)
    mean = np.sum([np.nansum(block / unit, axis=0) for block in blocks()], axis=0) / known
    centre = np.where(low == high, high / unit, mean)  # a mean that is rounded would lend variance to a constant
    variance = np.sum([np.nansum((block / unit - centre) ** 2, axis=0) for block in blocks()], axis=0) / known
    return np.stack([np.full_like(centre, unit), centre, variance])


def _coordinates(answers: pl.DataFrame, numbers: Sequence[pl.Series], rows: slice) -> Floats:
    """The coordinates of some rows, as they are; NaN where one is missing."""
    blocks = [np.empty((rows.stop - rows.start, 0))]
    if answers.width:
        blocks.append(answers[rows].cast(pl.Float64).fill_null(float("nan")).to_numpy())
    return np.hstack(blocks + [_finite(column[rows]) for column in numbers])


def _finite(column: pl.Series) -> Floats:
    """The numbers of a column, (N, width); NaN where one is missing or infinite."""
    known = column.is_not_null().to_numpy()
    numbers = np.full((len(column), _width(column)), np.nan)
    numbers[known] = column.drop_nulls().to_numpy().reshape(-1, _width(column))
    numbers[~np.isfinite(numbers)] = np.nan
    return numbers
