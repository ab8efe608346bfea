"""The probes, and what each is called in metrics, in tables and in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Probe:
    """A probe on all train labels.

    Attributes:
        name: What predictions and tables call it.
        key: What metrics call it.
        title: In words.
    """

    name: str
    key: str
    title: str


LINEAR = Probe("linear", "linear_probe", "linear probe")
KNN = Probe("knn", "knn", "k-NN")
AUGMENTED = Probe("augmented", "augmented_probe", "SGD on augmented views")
PROBES = {probe.name: probe for probe in (LINEAR, KNN, AUGMENTED)}

FEW_LABEL = "few_label"
"""What metrics call the linear probes on few labels, which are there by the share of the labels, as ``1%``."""

_PREFIX = f"{LINEAR.name}_"


def share_name(share: float) -> str:
    """Return a share as metrics name it, for instance ``1%``."""
    return f"{100 * share:g}%"


def probe_name(share: str) -> str:
    """Return what predictions and tables call the probe on a share, for instance ``linear_1%``."""
    return f"{_PREFIX}{share}"


def share_of(probe: str) -> str | None:
    """Return the share that a probe is on, for instance ``1%``; None for a probe on all train labels."""
    return probe.removeprefix(_PREFIX) if probe.startswith(_PREFIX) else None


def probe_title(probe: str) -> str:
    """Return a probe's name in words, for instance ``linear probe, 1% of the labels`` for ``linear_1%``."""
    return PROBES[probe].title if probe in PROBES else f"{LINEAR.title}, {share_of(probe)} of the labels"


def short_title(probe: str) -> str:
    """Return a probe's name for the head of a column, where few labels say which: ``1% of the labels``."""
    share = share_of(probe)
    return f"{share} of the labels" if share else probe_title(probe)


def by_probe(metrics: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return what each probe measured, by the probe's name in tables, of a label's metrics."""
    few = {probe_name(share): measured for share, measured in metrics.get(FEW_LABEL, {}).items()}
    return {probe.name: metrics[probe.key] for probe in PROBES.values() if probe.key in metrics} | few
