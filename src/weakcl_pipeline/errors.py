"""What goes wrong because of what a user gave, as opposed to a defect of this package."""

import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import Any

_LONGEST = 4000
"""Characters of a message; more are what a file quotes that is no table, or not the one it should be."""
_END = 500
FEW = 5
"""Of many offending values, how many a message shows."""
_CLOSING = ".,:;!?'\"`)]}>"


class InputError(ValueError):
    """Data, a parameter or a file of the user's that cannot be used.

    Args:
        message: Names the file, row, column or key, says what is wrong, and what to do about it. Of a long one, the
            middle is left out.
        command: A command that mends it, for a further line, which is never cut.
    """

    def __init__(self, message: str, command: str = "") -> None:
        if len(message) > _LONGEST:
            start, end = message[: _LONGEST - 2 * _END], message[-_END:]
            message = f"{start}\n... ({len(message) - len(start) - len(end):,} characters) ...\n{end}"
        super().__init__(f"{message}\n  {command}" if command else message)

    def __reduce__(self) -> tuple[Any, ...]:
        """Be pickled with the text as it is, which is cut already."""
        return _as_told, (type(self), *self.args)


def _as_told(kind: type[InputError], text: str) -> InputError:
    error = kind.__new__(kind)
    error.args = (text,)
    return error


def shown(text: str) -> str:
    """Return a URL, or a text with URLs in it, without the names, passwords and queries in them.

    A query may be a signature, which is as good as a password. It ends where a space follows; quotes, brackets and
    stops before that are the text's.
    """
    return re.sub(r"\S+", _without_query, re.sub(r"://[^/?#\s]*@", "://", text))


def _without_query(word: re.Match[str]) -> str:
    scheme, separator, rest = word[0].partition("://")
    address, mark, query = rest.partition("?")
    query = mark + query
    return scheme + separator + address + query[len(query.rstrip(_CLOSING)) :]


def brief(text: str, most: int = 60) -> str:
    """Return a text, or the start of one that has more characters."""
    return text if len(text) <= most else text[: most - 3] + "..."


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a sentence with the known name that is most like one that is not; none where no known one is like it."""
    matches = get_close_matches(name, list(known), n=1)
    return f" Did you mean '{matches[0]}'?" if matches else ""


def some(texts: Sequence[str], total: int | None = None, most: int = FEW, separator: str = ", ") -> str:
    """Return the first of many texts in a row, and how many are left out.

    Args:
        texts: The first of them, or all.
        total: How many there are; as many as `texts` where not given.
        most: How many are shown.
        separator: What stands between them.
    """
    left = (len(texts) if total is None else total) - most
    return separator.join(texts[:most]) + (f" and {left} more" if left > 0 else "")


def some_lines(texts: Sequence[str], most: int = FEW) -> str:
    """Return the first of many texts, an indented line each, and how many are left out."""
    left = len(texts) - most
    return "\n".join(f"  {text}" for text in [*texts[:most], *([f"... and {left} more"] if left > 0 else [])])


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, the one that it was raised from, and so on."""
    while error is not None:
        yield error
        error = error.__cause__
