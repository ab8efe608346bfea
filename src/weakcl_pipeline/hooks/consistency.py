"""Whether artifacts belong together, and which of their versions do.

Two artifacts belong together when they mean the same version of everything they both come from. Only those
that meet matter: those that some node of the run combines, directly or through what is made from them.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from typing import Any, Self

from weakcl_pipeline.datasets import Lineage, Provenance
from weakcl_pipeline.datasets.lineage import RepeatRecord
from weakcl_pipeline.errors import some, some_lines

_NAMED = 8
"""Lines, and artifacts in a line, that a message names; a run with all rivals has dozens of both."""


@dataclass(frozen=True)
class Origin:
    """A version of something that a node reads, and what it comes from.

    Attributes:
        name: Name in the catalog.
        version: Its version; of unversioned raw data, its content hash.
        hash: Its content hash, where it lies on a disk.
        siblings: What the same node made with it.
        ancestry: Version of everything it was made from.
        recipe: What it was made by, the seed aside; its content, if no seed went into it.
        seed: The seed it was made with.
        seeded: Whether a seed went into it.
        parameters: What the node that made it was given, by name.
        made_by: Versions of the code and the libraries that ran.
        repeats: Versions from other seeds that went into it, too, which therefore need not agree with anything.
    """

    name: str
    version: str
    hash: str | None = None
    siblings: tuple[str, ...] = ()
    ancestry: Mapping[str, str] = field(default_factory=dict)
    recipe: str | None = None
    seed: int | None = None
    seeded: bool = False
    parameters: Mapping[str, Any] = field(default_factory=dict)
    made_by: Mapping[str, str] = field(default_factory=dict)
    repeats: Mapping[str, Sequence[RepeatRecord]] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, lineage: Lineage) -> Self:
        """Take the origin of the artifact ``name`` from its lineage file."""
        return cls.made(name, lineage.version, lineage, lineage.hash)

    @classmethod
    def made(cls, name: str, version: str, made: Provenance, content: str | None = None) -> Self:
        """Return the origin of what was made in a way that is known; ``content`` is its hash, if on a disk."""
        return cls(
            name,
            version,
            content,
            siblings=made.siblings,
            ancestry=made.ancestry,
            recipe=made.recipe,
            seed=made.seed,
            seeded=made.seeded,
            parameters=made.parameters,
            made_by=made.made_by(),
            repeats=made.repeats,
        )

    @cached_property
    def claims(self) -> dict[str, str]:
        """Version of itself, its siblings and ancestors: what all that is combined with it must agree on."""
        return {**self.ancestry, **dict.fromkeys((*self.siblings, self.name), self.version)}

    def agrees_with(self, other: "Origin") -> bool:
        """Whether both mean the same version of everything they both know."""
        return not self.disputes(other)

    def disputes(self, other: "Origin") -> set[str]:
        """Names of which the two mean different versions."""
        mine, theirs = self.claims, other.claims
        return {name for name in mine.keys() & theirs.keys() if mine[name] != theirs[name]}


@dataclass(frozen=True)
class Meetings:
    """Which artifacts a run combines.

    Attributes:
        reach: For each artifact, the nodes that use it or something made from it.
    """

    reach: Mapping[str, frozenset[str]]

    def between(self, first: Origin, second: Origin) -> bool:
        """Whether some node combines the two, directly or not."""
        return not self.reach[first.name].isdisjoint(self.reach[second.name])

    def conflict(self, first: Origin, second: Origin) -> bool:
        """Whether the two meet and disagree."""
        return self.between(first, second) and not first.agrees_with(second)


def conflicts(origins: Sequence[Origin], meetings: Meetings) -> list[tuple[Origin, Origin]]:
    """Return all pairs that meet and disagree."""
    return [pair for pair in combinations(origins, 2) if meetings.conflict(*pair)]


def describe(pairs: Iterable[tuple[Origin, Origin]]) -> str:
    """Say what disagrees: one line per version of a disputed artifact, with the artifacts that mean it.

    Of many lines and many artifacts the first are named, and the others counted.
    """
    pairs = list(pairs)
    involved = {origin.name for pair in pairs for origin in pair}
    disputed = {name for first, second in pairs for name in first.disputes(second)}
    shown = disputed & involved or disputed  # the inputs themselves say more than their ancestors
    sides: dict[tuple[str, str], set[str]] = defaultdict(set)
    for pair in pairs:
        for origin in pair:
            for name in pair[0].disputes(pair[1]) & shown:
                sides[name, origin.claims[name]].add(origin.name)
    lines = [
        f"{name} {version}: {some(sorted(users), most=_NAMED)}" for (name, version), users in sorted(sides.items())
    ]
    return some_lines(lines, _NAMED)


def find_agreeing(options: Mapping[str, Sequence[Origin]], meetings: Meetings) -> dict[str, Origin] | None:
    """Choose a version of every artifact such that all that meet agree.

    Newer versions are tried first, beginning with the artifacts that come from the most others. After each
    choice the versions that it rules out are dropped, so a hopeless choice is given up at once.

    Args:
        options: For each artifact its eligible versions, the most wanted first.
        meetings: Which artifacts are combined.

    Returns:
        The chosen version of each artifact, or None if no choice agrees.
    """
    if any(not versions for versions in options.values()):
        return None
    found, _ = _search(options, dict.fromkeys(options, frozenset()), meetings)
    return found


def _search(
    options: Mapping[str, Sequence[Origin]], ruled_by: Mapping[str, frozenset[str]], meetings: Meetings
) -> tuple[dict[str, Origin] | None, frozenset[str]]:
    """Choose among the versions that earlier choices left.

    Args:
        options: For each artifact that is yet to be chosen, the versions that are left; at least one.
        ruled_by: For each of them, the artifacts whose choice has ruled a version out.
        meetings: Which artifacts are combined.

    Returns:
        The chosen versions; or None, and of the earlier artifacts those whose choice is to blame. Other versions of
        any other artifact would be in vain, and are not tried.
    """
    if not options:
        return {}, frozenset()
    name = max(options, key=lambda key: (max(len(origin.claims) for origin in options[key]), key))
    blamed = ruled_by[name]
    for choice in options[name]:
        left = {
            other: [origin for origin in versions if not meetings.conflict(choice, origin)]
            for other, versions in options.items()
            if other != name
        }
        ruled = {
            other: ruled_by[other] | {name} if len(left[other]) < len(options[other]) else ruled_by[other]
            for other in left
        }
        dead = [other for other, versions in left.items() if not versions]
        found, to_blame = (None, ruled[dead[0]]) if dead else _search(left, ruled, meetings)
        if found is not None:
            return {name: choice, **found}, frozenset()
        if name not in to_blame:
            return None, to_blame
        blamed |= to_blame - {name}
    return None, blamed
