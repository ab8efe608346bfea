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

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from torch import Tensor

from weakcl_pipeline.attributes.binarise import Indicator, fit_indicators, indicate
from weakcl_pipeline.attributes.casting import AttributeKind
from weakcl_pipeline.attributes.columns import Columns
from weakcl_pipeline.attributes.rules.base import FittingData, State

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Encoding:
    """Where attributes lie as points.

    Attributes:
        indicators: Of the attributes that are answered by yes and no.
        numbers: Continuous columns and vectors -> how many coordinates they have.
        centre: Mean of each coordinate over the train samples that it is known of, (F,).
        scale: What each coordinate is multiplied by, (F,).
    """

    indicators: tuple[Indicator, ...]
    numbers: Mapping[str, int]
    centre: Floats
    scale: Floats

    @classmethod
    def fit(cls, data: FittingData, weights: Mapping[str, float] | None = None) -> Self:
        """Choose coordinates and scales on the train split.

        Args:
            data: The attributes, of which all columns take part.
            weights: Column -> the total variance of its coordinates, in place of 1.
        """
        train = pl.Series(data.train)
        indicators = tuple(
            indicator
            for indicator in fit_indicators(data.attributes, data.specs, train)
            if indicator.kind != AttributeKind.CONTINUOUS
        )
        numbers = {name: _width(data.attributes[name]) for name, spec in data.specs.items() if _is_number(spec.kind)}
        columns = [indicator.column for indicator in indicators]
        columns += [name for name, width in numbers.items() for _ in range(width)]
        seen = _coordinates(data.attributes.filter(train), indicators, numbers)
        known = (~np.isnan(seen)).sum(axis=0).clip(min=1)
        centre = np.nansum(seen, axis=0) / known
        variance = np.nansum((seen - centre) ** 2, axis=0) / known
        _, block = np.unique(np.array(columns, dtype=np.str_), return_inverse=True)
        total = np.bincount(block, weights=variance)[block] if len(block) else variance
        weight = np.array([(weights or {}).get(name, 1.0) for name in columns])
        scale = np.sqrt(np.divide(weight, total, out=np.zeros_like(total), where=total > 0))
        return cls(indicators, numbers, centre, scale)

    def points(self, attributes: Columns) -> Floats:
        """Return the rows of a table as points (N, F), centred and scaled; NaN where an attribute is missing."""
        return (_coordinates(attributes, self.indicators, self.numbers) - self.centre) * self.scale

    def to_state(self) -> State:
        """Return centre and scale as tensors, and the names of the coordinates."""
        tensors = {"centre": torch.from_numpy(self.centre.copy()), "scale": torch.from_numpy(self.scale.copy())}
        return tensors, {"indicators": [list(indicator) for indicator in self.indicators], "numbers": {**self.numbers}}

    @classmethod
    def from_state(cls, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> Self:
        """Return the encoding that `to_state` described."""
        indicators = tuple(Indicator(name, AttributeKind(kind), value) for name, kind, value in metadata["indicators"])
        return cls(indicators, metadata["numbers"], tensors["centre"].numpy(), tensors["scale"].numpy())


def _is_number(kind: AttributeKind | None) -> bool:
    return kind in (AttributeKind.CONTINUOUS, AttributeKind.VECTOR)


def _width(column: pl.Series) -> int:
    return int(column.dtype.shape[0]) if isinstance(column.dtype, pl.Array) else 1


def _coordinates(attributes: Columns, indicators: tuple[Indicator, ...], numbers: Mapping[str, int]) -> Floats:
    blocks = [np.empty((attributes.height, 0))]
    if indicators:
        blocks.append(indicate(attributes, indicators).cast(pl.Float64).fill_null(float("nan")).to_numpy())
    for name, width in numbers.items():
        known = attributes[name].is_not_null().to_numpy()
        block = np.full((attributes.height, width), np.nan)
        block[known] = attributes[name].drop_nulls().to_numpy().reshape(-1, width)
        block[~np.isfinite(block)] = np.nan
        blocks.append(block)
    return np.hstack(blocks)
