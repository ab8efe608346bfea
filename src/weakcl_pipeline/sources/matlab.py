"""Structures in MATLAB's files of version 5, as the development kit of ILSVRC has one.

Only what such a file needs is read, of bytes that may be any: SciPy's reader ends the process on some of them.
"""

import math
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_HEADER = 128
_ORDERS = {b"IM": "<", b"MI": ">"}
"""Last bytes of the header -> order of bytes."""
_MATRIX, _COMPRESSED = 14, 15
_NUMBERS = {1: "b", 2: "B", 3: "h", 4: "H", 5: "i", 6: "I", 7: "f", 9: "d", 12: "q", 13: "Q"}
"""Type of an element -> how `struct` names it."""
_TEXTS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
"""Type of an element -> encoding of characters in it."""
_STRUCTURE, _CHARACTERS = 2, 4
_MOST = 64 << 20
"""Bytes that a compressed element may unpack to."""


class _Element(NamedTuple):
    kind: int
    data: bytes


class _Matrix(NamedTuple):
    kind: int
    size: int
    name: str
    parts: Iterator[_Element]
    """What follows the name."""


def read_structures(content: bytes, name: str, fields: Sequence[str]) -> list[tuple[float | str, ...]]:
    """Return some fields of an array of structures.

    Args:
        content: Of the file.
        name: Of the array.
        fields: Their names; each must hold a number or a text.

    Returns:
        The fields' values of each structure.

    Raises:
        ValueError: The content is another one; says what is wrong.
    """
    order = _ORDERS.get(content[_HEADER - 2 : _HEADER])
    if order is None:
        raise ValueError("it is no file of MATLAB, version 5")
    for element in _elements(content[_HEADER:], order):
        matrix = _matrix(_unpacked(element, order), order)
        if matrix.name == name:
            return list(_structures(matrix, fields, order))
    raise ValueError(f"there is no {name}")


def _elements(data: bytes, order: str) -> Iterator[_Element]:
    at = 0
    while at < len(data):
        if at + 8 > len(data):
            raise ValueError("it is cut off")
        kind, size = struct.unpack_from(f"{order}II", data, at)
        start = at + 8
        end = start + size + (0 if kind == _COMPRESSED else -size % 8)
        if kind >> 16:  # a small element, with its data in place of the size
            kind, size, start, end = kind & 0xFFFF, kind >> 16, at + 4, at + 8
        if start + size > min(end, len(data)):
            raise ValueError("it is cut off")
        yield _Element(kind, data[start : start + size])
        at = end


def _unpacked(element: _Element, order: str) -> _Element:
    if element.kind != _COMPRESSED:
        return element
    unpacking = zlib.decompressobj()
    try:
        data = unpacking.decompress(element.data, _MOST)
    except zlib.error as error:
        raise ValueError("its compression is damaged") from error
    if unpacking.unconsumed_tail:
        raise ValueError(f"it unpacks to more than {_MOST:,} bytes")
    return _next(_elements(data, order))


def _matrix(element: _Element, order: str) -> _Matrix:
    if element.kind != _MATRIX:
        raise ValueError(f"an element of type {element.kind} is no matrix")
    parts = _elements(element.data, order)
    flags, shape, name = _next(parts), _next(parts), _next(parts)
    if len(flags.data) != 8:
        raise ValueError("a matrix has no class")
    kind = struct.unpack(f"{order}II", flags.data)[0] & 0xFF
    return _Matrix(kind, math.prod(map(int, _numbers(shape, order))), name.data.decode("latin-1"), parts)


def _structures(matrix: _Matrix, fields: Sequence[str], order: str) -> Iterator[tuple[float | str, ...]]:
    if matrix.kind != _STRUCTURE:
        raise ValueError(f"{matrix.name} is no array of structures")
    width, joined = _numbers(_next(matrix.parts), order), _next(matrix.parts).data
    if len(width) != 1 or width[0] < 1:
        raise ValueError(f"the structures in {matrix.name} have no fields")
    step = int(width[0])
    starts = range(0, len(joined), step)
    names = [joined[start : start + step].partition(b"\0")[0].decode("latin-1") for start in starts]
    missing = [field for field in fields if field not in names]
    if missing:
        raise ValueError(f"the structures in {matrix.name} have no {missing[0]}")
    for _ in range(matrix.size):
        values = dict(zip(names, [_next(matrix.parts) for _ in names], strict=True))
        yield tuple(_value(_matrix(values[field], order), field, order) for field in fields)


def _value(matrix: _Matrix, field: str, order: str) -> float | str:
    content = _next(matrix.parts)
    if matrix.kind == _CHARACTERS and content.kind in _TEXTS:
        encoding = _TEXTS[content.kind]
        wide = ("-le" if order == "<" else "-be") if encoding in ("utf-16", "utf-32") else ""
        return content.data.decode(encoding + wide)
    numbers = _numbers(content, order)
    if matrix.kind == _CHARACTERS or len(numbers) != 1:
        raise ValueError(f"{field} holds no single number and no text")
    return numbers[0]


def _numbers(element: _Element, order: str) -> tuple[float, ...]:
    form = _NUMBERS.get(element.kind)
    if form is None or len(element.data) % struct.calcsize(form):
        raise ValueError(f"an element of type {element.kind} holds no numbers")
    return struct.unpack(f"{order}{len(element.data) // struct.calcsize(form)}{form}", element.data)


def _next(elements: Iterator[_Element]) -> _Element:
    for element in elements:
        return element
    raise ValueError("it is cut off")
