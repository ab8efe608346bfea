"""What was made with other parameters than its like, and yet is to be compared with it."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from weakcl_pipeline.hooks.consistency import Origin

_PREFIX = "params:"
_NOT_COMPARED = ("seed",)


def unlike(origins: Sequence[Origin]) -> list[str]:
    """Say which parameters differ between artifacts of one kind, such as the histories of several methods.

    Args:
        origins: What a node reads.

    Returns:
        A line for each parameter that two of a kind were given different values of, its values with their artifacts.
    """
    values: dict[tuple[str, str], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for origin in origins:
        _, namespaced, kind = origin.name.rpartition(".")
        if not namespaced:
            continue
        for key, value in _flat(origin.parameters):
            values[kind, key][json.dumps(value)].append(origin.name)
    return [
        f"{key}: " + "; ".join(f"{value} for {', '.join(sorted(names))}" for value, names in found.items())
        for (_, key), found in values.items()
        if len(found) > 1
    ]


def _flat(parameters: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in parameters.items():
        name = prefix + key.removeprefix(_PREFIX)
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{name}.")
        elif name not in _NOT_COMPARED:
            yield name, value
