"""The WordNet hierarchy in the files that ImageNet's site offers, `wordnet.is_a.txt` and `words.txt`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from weakcl_pipeline.errors import InputError
from weakcl_pipeline.sources.records import TEXT, read_records

IS_A, WORDS = "wordnet.is_a.txt", "words.txt"
WNID = "n[0-9]{8}"
"""Pattern of a noun synset of WordNet 3.0: its part of speech and its offset."""
_DEEPEST = 100
"""Nodes of a path, well beyond those of WordNet."""


class Above(NamedTuple):
    """A synset that is directly above another one.

    Attributes:
        parent: The synset.
        line: Where the file says so, counted from 1.
    """

    parent: str
    line: int


def hierarchy(folder: Path, wnids: Sequence[str]) -> dict[str, list[str]]:
    """Return each synset's path in the hierarchy, root first and the synset itself last.

    A synset may lie below several others. Then its path is the shortest one, and of equally short ones the one by the
    parent that the file has first; synsets that share an ancestor share the path to it.

    Args:
        folder: Holds the two files.
        wnids: Synsets, such as `n02084071`.

    Returns:
        Synset -> nodes, each written as its first word and its id, `dog (n02084071)`.

    Raises:
        InputError: A file is missing or has a line not of its form, a synset is not in it, or is above itself.
    """
    file = folder / IS_A
    above = _read_is_a(file)
    for wnid in wnids:
        if wnid not in above:
            raise InputError(f"{file}: the class {wnid} lies below nothing. It must be a synset of WordNet 3.0.")
    paths = _shortest_paths(wnids, above, file)
    names = _read_words(folder / WORDS, {node for wnid in wnids for node in paths[wnid]})
    return {wnid: [names[node] for node in paths[wnid]] for wnid in wnids}


def _read_is_a(file: Path) -> dict[str, list[Above]]:
    """Return what each synset lies directly below."""
    above: dict[str, list[Above]] = {}
    rows = read_records(file, {"parent": WNID, "child": WNID}).rows
    for parent, child, line in rows.select("parent", "child", "line").iter_rows():
        above.setdefault(child, []).append(Above(parent, line))
    return above


def _shortest_paths(wnids: Sequence[str], above: Mapping[str, list[Above]], file: Path) -> dict[str, list[str]]:
    """Return the path of each synset."""
    graph: dict[str, list[str]] = {}
    waiting = list(wnids)
    while waiting:
        node = waiting.pop()
        if node not in graph:
            graph[node] = [parent for parent, _ in above.get(node, ())]
            waiting += graph[node]
    depths: dict[str, int] = {}
    nearest: dict[str, str | None] = {}  # of the parents, the one by which the way is shortest
    try:
        for node in TopologicalSorter(graph).static_order():
            nearest[node] = min(graph[node], key=depths.__getitem__, default=None)
            depths[node] = 1 + depths.get(nearest[node] or "", 0)
    except CycleError as error:
        raise InputError(f"{file}: {_cycle(error.args[1], above)}. Remove one of the lines.") from error
    deepest = max(wnids, key=depths.__getitem__)
    if depths[deepest] > _DEEPEST:
        raise InputError(
            f"{file}: the class {deepest} lies {depths[deepest] - 1} levels deep, as no synset of WordNet"
            " 3.0 does. Is it the file of ImageNet's site?"
        )
    return {wnid: [*_up(wnid, nearest)][::-1] for wnid in wnids}


def _up(node: str | None, nearest: Mapping[str, str | None]) -> Iterator[str]:
    while node is not None:
        yield node
        node = nearest[node]


def _cycle(nodes: Sequence[str], above: Mapping[str, list[Above]]) -> str:
    """Say which lines put a synset above itself; each node is a parent of the next one."""
    steps = [
        f"{parent} above {child} (line {next(found.line for found in above[child] if found.parent == parent)})"
        for parent, child in pairwise(nodes)
    ]
    return f"a synset is above itself: {', '.join(steps)}"


def _read_words(file: Path, wnids: Iterable[str]) -> dict[str, str]:
    """Return the names of some synsets."""
    rows = read_records(file, {"wnid": WNID, "words": TEXT}).rows
    words = dict(rows.select("wnid", "words").iter_rows())
    names = {}
    for wnid in sorted(wnids):
        if wnid not in words:
            raise InputError(f"{file}: there is no line for {wnid}, which lies above a class or is one.")
        names[wnid] = f"{words[wnid].split(',')[0].strip()} ({wnid})"
    return names
