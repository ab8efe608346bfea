"""Columns whose values repeat, as places in a list of distinct values: work is done once a value, not once a cell."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import polars as pl
import pyarrow as pa

_MOST_BINS = 1 << 24
"""Pairs of a value and a label that may exist for them to be counted in one array: 128 MiB."""


@dataclass(frozen=True)
class Coded:
    """A column, coded if its values repeat.

    Attributes:
        values: What cells hold, (K,); null where that means nothing, and perhaps the same in several places.
        places: (N,) integers, the place in ``values`` of each cell; null where it is missing. None = every cell has a
            value of its own, K = N.
    """

    values: pl.Series
    places: pl.Series | None = None

    @classmethod
    def of_texts(cls, parts: Iterable[pl.Series], name: str) -> Self | None:
        """Code a column of texts that comes in parts, which memory never holds together.

        Returns:
            The texts in the order in which they first occur; None if hardly any repeat.
        """
        coded: list[pa.DictionaryArray] = []
        for part in parts:
            coded.append(_encoded(part))
            if len(coded[-1].dictionary) > len(part) / 2:
                return None
        whole = pa.chunked_array(coded, type=pa.dictionary(pa.int32(), pa.large_string())).unify_dictionaries()
        chunks = whole.chunks
        values = chunks[-1].dictionary if chunks else pa.array([], pa.large_string())
        places = pa.chunked_array([chunk.indices for chunk in chunks], type=pa.int32())
        return cls(pl.Series(name, values, dtype=pl.String), pl.Series(name, places, dtype=pl.Int32).rechunk())

    @property
    def name(self) -> str:
        """Name of the column."""
        return self.values.name

    @property
    def missing(self) -> int:
        """How many cells are missing."""
        if self.places is None or self.values.null_count() == 0:
            return (self.values if self.places is None else self.places).null_count()
        return self.column().null_count()

    def column(self) -> pl.Series:
        """Return the cells, (N,)."""
        return self.values if self.places is None else self.values.gather(self.places)

    def filter(self, rows: pl.Series) -> Self:
        """Return some of the rows, those for which ``rows``, (N,) Boolean, is true."""
        if self.places is None:
            return replace(self, values=self.values.filter(rows))
        return replace(self, places=self.places.filter(rows))

    def count_with(self, labels: pl.Series) -> pl.DataFrame:
        """Count how often each value occurs with each label.

        Args:
            labels: (N,) Int32, from 0, none missing.

        Returns:
            ``value``, ``label`` and ``len``, in rows of which several may be of one pair.
        """
        if self.places is None:
            return pl.DataFrame({"value": self.values, "label": labels, "len": pl.repeat(1, len(labels), eager=True)})
        kinds = int(labels.max() or 0) + 1  # type: ignore[arg-type]
        missing = len(self.values)
        bins = (missing + 1) * kinds
        number = pl.Int32 if bins < 1 << 31 else pl.Int64
        keys = self.places.cast(number).fill_null(missing) * kinds + labels.cast(number)
        if bins <= _MOST_BINS:
            counts = np.bincount(keys.to_numpy(), minlength=bins)
            found = np.flatnonzero(counts)
            pairs = pl.DataFrame({"key": found, "len": counts[found]})
        else:
            pairs = keys.to_frame("key").group_by("key").agg(pl.len().cast(pl.Int64))
        places = pairs["key"] // kinds
        values = self.values.gather(places.set(places == missing, None))
        return pl.DataFrame({"value": values, "label": pairs["key"] % kinds, "len": pairs["len"]})


def places_of(texts: pl.Series) -> pl.Series:
    """Return Int32 numbers, as different as the texts are, from 0 in the order in which they occur; null stays null."""
    return pl.Series(texts.name, _encoded(texts).indices, dtype=pl.Int32)


def _encoded(texts: pl.Series) -> pa.DictionaryArray:
    return texts.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest()).dictionary_encode()
