"""Random bytes, read as choices."""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Choices:
    """Choices that an input of the fuzzer makes; where it ends, the first of all possibilities is taken.

    As `atheris.FuzzedDataProvider` does, but an input means the same where there is no atheris. All is
    read from the front, so that an input can end with the content of a file.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __bool__(self) -> bool:
        return self._data != b""

    def number(self, most: int) -> int:
        """Return a number from 0 to `most`."""
        width = (most.bit_length() + 7) // 8
        return int.from_bytes(self._taken(width), "little") % (most + 1)

    def pick(self, options: Sequence[T]) -> T:
        """Return one of some options."""
        return options[self.number(len(options) - 1)]

    def some(self) -> bytes:
        """Return up to 255 bytes."""
        return self._taken(self.number(255))

    def rest(self) -> bytes:
        """Return all bytes that are left."""
        return self._taken(len(self._data))

    def _taken(self, count: int) -> bytes:
        taken, self._data = self._data[:count], self._data[count:]
        return taken
