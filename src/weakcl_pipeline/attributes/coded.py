"""Columns whose values repeat, as places in a list of distinct values: work is done once a value, not once a cell."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np
import polars as pl
import pyarrow as pa

_MOST_BINS = 1 << 24
"""Pairs of a value and a label that may exist for them to be counted in one array: 128 MiB."""
_COUNTED_AT_ONCE = 1 << 22
"""Cells that are counted at once: many, as each time an array of all bins is added to the others."""


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
    def of(cls, parts: Iterable[pl.Series], name: str) -> Self | None:
        """Code a column of texts, or of lists of plain values, that comes in parts, which memory never holds together.

        Returns:
            The values in the order in which they first occur; None if hardly any repeat, or for columns of other types.
        """
        coded = []
        for part in parts:
            if part.dtype != pl.String and not (isinstance(part.dtype, pl.List) and not part.dtype.inner.is_nested()):
                return None
            coded.append(_encode(part))
            if len(coded[-1].values) > len(part) / 2:
                return None
        values, places = (_merge_texts if part.dtype == pl.String else _merge_lists)(coded)
        return cls(values.alias(name), places)

    @property
    def name(self) -> str:
        """Name of the column."""
        return self.values.name

    @property
    def missing(self) -> int:
        """How many cells are missing."""
        if self.places is None:
            return self.values.null_count()
        meaningless = self.values.is_null().gather(self.places).sum()
        return self.places.null_count() + int(meaningless)

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
        return (_count_cells if self.places is None else _count_places)(self, labels)


def _count_cells(cells: Coded, labels: pl.Series) -> pl.DataFrame:
    rows = pl.DataFrame({"value": cells.values, "label": labels})
    if rows["value"].dtype.is_nested():  # to tell which are alike would take longer than to hold all
        return rows.with_columns(len=1)
    return rows.lazy().group_by("value", "label").len("len").collect(engine="streaming")


def _count_places(cells: Coded, labels: pl.Series) -> pl.DataFrame:
    kinds = int(labels.max() or 0) + 1  # type: ignore[arg-type]
    missing = len(cells.values)
    bins = (missing + 1) * kinds
    number = pl.Int32 if bins < 1 << 31 else pl.Int64
    key = pl.col("place").cast(number).fill_null(missing) * kinds + pl.col("label").cast(number)
    rows = pl.DataFrame({"place": cells.places, "label": labels})
    if bins <= _MOST_BINS:
        counts = np.zeros(bins, dtype=np.int64)
        for start in range(0, rows.height, _COUNTED_AT_ONCE):
            keys = rows.slice(start, _COUNTED_AT_ONCE).select(key)
            counts += np.bincount(keys.to_series().to_numpy(), minlength=bins)
        found = np.flatnonzero(counts)
        pairs = pl.DataFrame({"key": found, "len": counts[found]})
    else:
        pairs = rows.lazy().group_by(key.alias("key")).len("len").collect(engine="streaming")
    places = pairs["key"] // kinds
    values = cells.values.gather(places.set(places == missing, None))
    return pl.DataFrame({"value": values, "label": pairs["key"] % kinds, "len": pairs["len"]})


def places_of(texts: pl.Series) -> pl.Series:
    """Return Int32 numbers, as different as the texts are, from 0 in the order in which they occur; null stays null."""
    return pl.Series(texts.name, _encode_texts(texts).indices, dtype=pl.Int32)


class _Part(NamedTuple):
    """A part of a column: its values in the order in which they occur, and the place of each cell among them, Int32."""

    values: pl.Series
    places: pl.Series


def _encode(column: pl.Series) -> _Part:
    if column.dtype == pl.String:
        encoded = _encode_texts(column)
        return _Part(pl.Series(encoded.dictionary, dtype=pl.String), pl.Series(encoded.indices, dtype=pl.Int32))
    rows = pl.DataFrame({"value": column, "row": pl.int_range(len(column), eager=True)}).drop_nulls("value")
    groups = rows.group_by("value", maintain_order=True).agg("row").with_row_index("place")
    held = groups.select(pl.col("place").cast(pl.Int32), "row").explode("row")
    places = pl.repeat(None, len(column), dtype=pl.Int32, eager=True)
    return _Part(groups["value"], places.scatter(held["row"], held["place"]))


def _encode_texts(texts: pl.Series) -> pa.DictionaryArray:
    return texts.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest()).dictionary_encode()


def _merge_texts(parts: Sequence[_Part]) -> _Part:
    """Put parts together in Arrow, which also bears many values."""
    old = pl.CompatLevel.oldest()
    arrays = [
        pa.DictionaryArray.from_arrays(places.to_arrow(), values.to_arrow(compat_level=old)) for values, places in parts
    ]
    chunks = pa.chunked_array(arrays).unify_dictionaries().chunks
    places = pa.chunked_array([chunk.indices for chunk in chunks])
    return _Part(pl.Series(chunks[0].dictionary, dtype=pl.String), pl.Series(places, dtype=pl.Int32).rechunk())


def _merge_lists(parts: Sequence[_Part]) -> _Part:
    """Put parts together in Python, as Arrow has no dictionaries of lists."""
    numbers: dict[tuple[object, ...], int] = {}
    merged = []
    for values, places in parts:
        known = [numbers.setdefault(tuple(value), len(numbers)) for value in values.to_list()]
        merged.append(pl.Series(known, dtype=pl.Int32).gather(places))
    return _Part(pl.Series(map(list, numbers), dtype=parts[0].values.dtype), pl.concat(merged))
