"""What was made with other parameters, code or libraries than its like, and yet is to be compared with it."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from weakcl_pipeline.errors import some
from weakcl_pipeline.hooks.consistency import Origin
from weakcl_pipeline.hooks.repeats import Repeat

_PREFIX = "params:"
_NOT_COMPARED = ("seed",)


def unlike(origins: Iterable[Origin]) -> dict[str, str]:
    """Say which parameters differ between artifacts that are alike, such as the histories of several methods.

    Args:
        origins: What a node reads.

    Returns:
        Each parameter that two of the like were given different values of -> its values with their artifacts.
    """
    differences: dict[str, str] = {}
    for alike in _alike(origins):
        values: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        for origin in alike:
            for key, value in _flat(origin.parameters):
                values[key][json.dumps(value)].append(origin.name)
        for key, found in values.items():
            if len(found) > 1:
                told = "; ".join(f"{value} for {', '.join(sorted(names))}" for value, names in found.items())
                differences.setdefault(key, told)
    return differences


def made_otherwise(origins: Iterable[Origin], repeats: Mapping[str, Sequence[Repeat]]) -> list[str]:
    """Say how code and libraries differ between artifacts and their repeats, which recipes know nothing of.

    Args:
        origins: What a node reads.
        repeats: What it reads beside them, by name.

    Returns:
        A line for the code and for each library of which there are several versions, with what was made by another one.
    """
    found: dict[str, _Otherwise] = defaultdict(_Otherwise)
    for origin in origins:
        for repeat in repeats.get(origin.name, ()):
            for name in origin.made_by.keys() & repeat.made_by.keys():
                if origin.made_by[name] != repeat.made_by[name]:
                    found[name].add(origin, repeat, name)
    return [f"{name} {found[name]}" for name in sorted(found)]


@dataclass
class _Otherwise:
    versions: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    seeds: set[int] = field(default_factory=set)

    def add(self, origin: Origin, repeat: Repeat, what: str) -> None:
        self.versions |= {origin.made_by[what], repeat.made_by[what]}
        self.names.add(origin.name)
        self.seeds.add(repeat.seed)

    def __str__(self) -> str:
        versions = some(sorted(self.versions), separator=" and ")
        seeds = some([str(seed) for seed in sorted(self.seeds)])
        return f"{versions}: {some(sorted(self.names))} of seed {seeds}"


def _alike(origins: Iterable[Origin]) -> Iterator[list[Origin]]:
    """Yield what is held against each other: a kind of several namespaces, or, as studies are, the kinds of one."""
    by_kind: dict[str, list[Origin]] = defaultdict(list)
    for origin in origins:
        namespace, _, kind = origin.name.rpartition(".")
        if namespace:
            by_kind[kind].append(origin)
    by_namespace: dict[str, list[Origin]] = defaultdict(list)
    for found in by_kind.values():
        if len(found) > 1:
            yield found
        else:
            by_namespace[found[0].name.rpartition(".")[0]] += found
    yield from by_namespace.values()


def _flat(parameters: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in parameters.items():
        name = prefix + key.removeprefix(_PREFIX)
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{name}.")
        elif name not in _NOT_COMPARED:
            yield name, value
