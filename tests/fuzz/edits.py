"""Ways to spoil a file, each with choices of its own: bytes, cells and lines of the content, or the file as such."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.fuzz.choices import Choices

MOST = 1 << 18
"""Bytes that a spoilt file may have."""

_CELL = re.compile(rb"[^\s,;:\t|\"\[\]{}/=]+")
_WORDS = (
    b"", b"0", b"-1", b"1", b"999999999", b"9" * 20, b"1e400", b"nan", b"null", b'"', b"''", b",", b"/", b"..", b"\0",
    b"\xff\xfe", b"\xef\xbb\xbf", b"\r", b"\n", b"\r\n", b"\t", b" ", b"\xc3", "\N{COMBINING ACUTE ACCENT}".encode(),
    b"a" * 5000, b"[" * 3000, b'{"a":' * 2000, "\N{LINE SEPARATOR}\N{NO-BREAK SPACE}".encode(),
)  # fmt: skip
_NUMBERS = (0, 1, 2, 127, 255, 256, 65535, 1 << 20, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 40, (1 << 63) - 1, -1)

Edit = Callable[[bytes, Choices, Sequence[bytes]], bytes]


def _whole(content: bytes, choices: Choices, words: Sequence[bytes]) -> bytes:
    """Put the rest of the input in its place."""
    return choices.rest()


def _cut(content: bytes, choices: Choices, words: Sequence[bytes]) -> bytes:
    start, end = _span(content, choices)
    return content[:start] + content[end:]


def _truncate(content: bytes, choices: Choices, words: Sequence[bytes]) -> bytes:
    return content[: choices.number(len(content))]


def _insert(content: bytes, choices: Choices, words: Sequence[bytes]) -> bytes:
    at = choices.number(len(content))
    return content[:at] + choices.some() + content[at:]


def _overwrite(content: bytes, choices: Choices, words: Sequence[bytes]) -> bytes:
    at, piece = choices.number(len(content)), choices.some()
    return content[:at] + piece + content[at + len(piece) :]


def _number(content: bytes, choices: Choices, words: Sequence[bytes]) -> bytes:
    """Overwrite bytes with a binary number."""
    width, order = choices.pick((4, 8, 2, 1)), choices.pick(("little", "big"))
    piece = (choices.pick(_NUMBERS) % (1 << 8 * width)).to_bytes(width, order)
    at = choices.number(len(content))
    return content[:at] + piece + content[at + width :]


def _repeat(content: bytes, choices: Choices, words: Sequence[bytes]) -> bytes:
    """Write a piece many times."""
    start, end = _span(content, choices)
    times = min(1 << choices.number(20), MOST // max(1, end - start))
    return content[:start] + content[start:end] * times + content[end:]


def _cell(content: bytes, choices: Choices, words: Sequence[bytes]) -> bytes:
    """Put a special word, or another cell, in place of one."""
    cells = list(_CELL.finditer(content))
    if not cells:
        return choices.pick((*words, *_WORDS))
    cell = choices.pick(cells)
    word = choices.pick((lambda: choices.pick((*words, *_WORDS)), lambda: choices.pick(cells)[0], choices.some))()
    return content[: cell.start()] + word + content[cell.end() :]


def _line(content: bytes, choices: Choices, words: Sequence[bytes]) -> bytes:
    """Write another line in place of one, or before it."""
    lines = content.splitlines(keepends=True) or [b""]
    at, other = choices.number(len(lines) - 1), choices.pick(lines)
    lines[at : at + choices.number(1)] = [other]
    return b"".join(lines)


def _span(content: bytes, choices: Choices) -> tuple[int, int]:
    start = choices.number(len(content))
    return start, min(len(content), start + choices.number(choices.pick((64, 1024, len(content)))))


EDITS: tuple[Edit, ...] = (_whole, _cut, _truncate, _insert, _overwrite, _number, _repeat, _cell, _line)


def _change(file: Path, choices: Choices, words: Sequence[bytes], seal: Callable[[bytes], bytes]) -> None:
    content = file.read_bytes() if file.is_file() else b""
    content = choices.pick(EDITS)(content, choices, words)[:MOST]
    if file.parent.is_dir() and not file.is_dir():
        file.write_bytes(seal(content) if choices.number(3) else content)


def _remove(file: Path, choices: Choices, words: Sequence[bytes], seal: Callable[[bytes], bytes]) -> None:
    if file.is_file():
        file.unlink()


def _make_folder(file: Path, choices: Choices, words: Sequence[bytes], seal: Callable[[bytes], bytes]) -> None:
    _remove(file, choices, words, seal)
    file.mkdir(exist_ok=True, parents=True)


def _rename(file: Path, choices: Choices, words: Sequence[bytes], seal: Callable[[bytes], bytes]) -> None:
    """Give it another name, which need not be text."""
    name = choices.some().translate(None, b"/\0")[:100]
    if file.is_file() and name not in (b"", b".", b".."):
        target = file.parent / name.decode("utf-8", "surrogateescape")
        if not target.exists():
            file.rename(target)


_OF_FILES = (_change,) * 7 + (_remove, _make_folder, _rename)


WHOLE = (_OF_FILES.index(_change), EDITS.index(_whole))
"""Choices that put all that follows in place of a file."""


def spoil(files: Sequence[Path], choices: Choices, words: Sequence[bytes], seal: Callable[[bytes], bytes]) -> None:
    """Spoil a data set's files.

    Args:
        files: Those that may be spoilt.
        choices: How.
        words: What has a meaning in the format, to be put where other words are.
        seal: Repairs the checksums of a spoilt content, so that readers look beyond them.
    """
    for _ in range(8):
        if choices:
            file = files[0] if len(files) == 1 else choices.pick(files)
            choices.pick(_OF_FILES)(file, choices, words, seal)
