"""The combinations that the binary attributes of many rows form; each is looked at once, not once a row."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import polars as pl

BITS_PER_WORD = 62
"""As many attributes make one Int64 that is not negative, so that words are ordered as combinations are."""

_ROWS_AT_ONCE = 1 << 22
"""Rows of which the words are held at once."""
_PACKED_AT_ONCE = 1 << 16
"""Rows that are packed at once, which the cache holds."""
_BITS_PER_BYTE = 8
_FEW = 1 << 16
"""Words are numbered by a table of all there can be, if no longer than this or than the rows; else by sorting."""

Words = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Combinations:
    """The distinct combinations among N rows of K binary attributes, the most important attribute first.

    Attributes:
        attributes: K.
        words: Those of the D combinations, int64 (D, ceil(K / 62)): the attributes as bits, false where missing.
        known: How many attributes are known before the first that is missing, int64 (D,).
        codes: The combination of each row, int32 (N,).
    """

    attributes: int
    words: Words
    known: Words
    codes: Codes

    @classmethod
    def of(cls, binary: pl.DataFrame) -> Self:
        """Find the combinations of a table.

        Args:
            binary: N rows of K nullable Boolean columns, the most important first.
        """
        codes = np.zeros(binary.height, dtype=np.int32)
        slices = _slices(binary.height)
        parts: list[Words] = []  # a combination's words so far, and what is known of it
        for start in range(0, binary.width, BITS_PER_WORD):
            columns = binary[:, start : start + BITS_PER_WORD]
            codes, parts = _with((_packed(columns[rows]) for rows in slices), columns.width, codes, parts)
        if any(column.null_count() for column in binary):
            codes, parts = _with((_known(binary[rows]) for rows in slices), binary.width.bit_length(), codes, parts)
            *parts, known = parts
        else:
            known = np.full(len(parts[0]) if parts else 1, binary.width)
        return cls(binary.width, np.stack(parts, axis=1) if parts else np.zeros((1, 0), np.int64), known, codes)

    def first(self, k: int) -> pl.DataFrame:
        """Return the words of the first k attributes of each combination, (D,); null where one of them is missing.

        A word of fewer than 62 attributes holds them in its lowest bits.
        """
        frame = pl.DataFrame(self._cut(k), schema=dict.fromkeys(word_names(k), pl.Int64))
        return frame.with_columns(pl.when(pl.Series(self.known >= k)).then(pl.all()))

    def numbered(self, k: int, train: npt.NDArray[np.bool_]) -> tuple[pl.DataFrame, Codes]:
        """Number the combinations of the first k attributes as `numbering.number_by_size` does.

        They are sorted, and not hashed: where they are many, that takes a fraction of the memory.

        Args:
            k: At most the number of attributes.
            train: (N,) rows of the train split.

        Returns:
            The words of the distinct combinations in the order of their numbers, and the number of each row's, int32
            (N,), -1 where one of the first k attributes is missing.
        """
        words = self._cut(k)
        order = np.lexsort(words.T[::-1])
        order = order[self.known[order] >= k]
        in_order = words[order]
        first = np.ones(len(order), dtype=np.bool_)
        first[1:] = (in_order[1:] != in_order[:-1]).any(axis=1)
        starts = np.flatnonzero(first)
        on_train = np.bincount(self.codes[train], minlength=len(words))[order]
        sizes = np.add.reduceat(on_train, starts) if len(starts) else on_train
        by_size = np.argsort(-sizes, kind="stable")
        numbers = np.full(len(words), -1, dtype=np.int32)
        numbers[order] = np.argsort(by_size).astype(np.int32)[np.cumsum(first) - 1]
        distinct = in_order[starts[by_size]]
        return pl.DataFrame(distinct, schema=dict.fromkeys(word_names(k), pl.Int64)), numbers[self.codes]

    def _cut(self, k: int) -> Words:
        """The words of the first k attributes, (D, ceil(k / 62))."""
        cut = self.words[:, : len(word_names(k))].copy()
        if k % BITS_PER_WORD:
            held = min(BITS_PER_WORD, self.attributes - k // BITS_PER_WORD * BITS_PER_WORD)
            cut[:, -1] >>= held - k % BITS_PER_WORD
        return cut


def word_names(k: int) -> list[str]:
    """Return the names of the columns that hold the words of k attributes."""
    return [f"word_{number}" for number in range(-(-k // BITS_PER_WORD))]


def _slices(rows: int) -> list[slice]:
    """The rows in slices of which words are held at once; at least one, be it empty."""
    return [slice(start, start + _ROWS_AT_ONCE) for start in range(0, max(1, rows), _ROWS_AT_ONCE)]


def _packed(binary: pl.DataFrame) -> Words:
    """At most 62 Boolean columns as the bits of a word, the first as the highest; false where missing."""
    words = np.zeros(binary.height, dtype=np.int64)
    columns = [column.fill_null(value=False) if column.null_count() else column for column in binary]
    for start in range(0, len(words), _PACKED_AT_ONCE):
        word = words[start : start + _PACKED_AT_ONCE]
        for place in range(0, len(columns), _BITS_PER_BYTE):
            of_byte = columns[place : place + _BITS_PER_BYTE]
            byte = np.zeros(len(word), dtype=np.uint8)
            for column in of_byte:
                byte <<= 1
                byte |= column.slice(start, _PACKED_AT_ONCE).to_numpy().view(np.uint8)
            word <<= len(of_byte)
            word |= byte
    return words


def _known(binary: pl.DataFrame) -> Words:
    """How many columns are known before the first that is missing, (N,)."""
    known = np.full(binary.height, binary.width)
    for place, column in reversed(list(enumerate(binary))):
        if column.null_count():
            known[column.is_null().to_numpy()] = place
    return known


def _with(words: Iterable[Words], bits: int, codes: Codes, parts: list[Words]) -> tuple[Codes, list[Words]]:
    """Tell combinations apart by a further word of each row, of so many bits; they come in `_slices`."""
    keys, distinct = _numbered(words, bits, len(codes))
    if not parts:
        return keys, [distinct]
    both = (codes[rows].astype(np.int64) << 32 | keys[rows] for rows in _slices(len(codes)))
    joint, pairs = _numbered(both, 64, len(codes))
    return joint, [*(part[pairs >> 32] for part in parts), distinct[pairs & (1 << 32) - 1]]


def _numbered(words: Iterable[Words], bits: int, count: int) -> tuple[Codes, Words]:
    """Number the distinct words of the rows: each one's number, (N,), and the words in the order of numbers."""
    codes, slices = np.empty(count, dtype=np.int32), _slices(count)
    if 1 << bits <= max(count, _FEW):
        there = np.zeros(1 << bits, dtype=np.bool_)
        for rows, held in zip(slices, words, strict=True):
            codes[rows] = held
            there[held] = True
        numbers = np.cumsum(there, dtype=np.int32) - np.int32(1)
        for rows in slices:
            codes[rows] = numbers[codes[rows]]
        return codes, np.flatnonzero(there)
    found = []  # the distinct words of each slice
    for rows, held in zip(slices, words, strict=True):
        distinct, codes[rows] = np.unique(held, return_inverse=True)
        found.append(distinct)
    distinct = _merged(found)
    for rows, of_slice in zip(slices, found, strict=True):
        codes[rows] = np.searchsorted(distinct, of_slice)[codes[rows]]
    return codes, distinct


def _merged(found: Sequence[Words]) -> Words:
    """Return the distinct words of all slices in order; `numpy.unique` would hash them, which takes longer."""
    words = np.concatenate(found)
    words.sort()
    new = np.ones(len(words), dtype=np.bool_)
    np.not_equal(words[1:], words[:-1], out=new[1:])
    return words[new]
