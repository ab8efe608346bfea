"""What the comparison says, in plain words."""

import math
from collections.abc import Mapping
from typing import Any

import polars as pl

from weakcl_pipeline.evaluation.bootstrap import as_percent, read_interval
from weakcl_pipeline.evaluation.methods import LOWER, METHOD, UPPER, describe_method
from weakcl_pipeline.evaluation.probes import LINEAR, probe_name, share_of

Rows = Mapping[str, Mapping[str, Any]]
"""Method -> its row of the comparison."""


def verdict(comparison: pl.DataFrame, confidence: float, supervised_label: str) -> list[str]:
    """Say for each label whether auxiliary information helped, by how much, and whether that may be chance.

    That is by the linear probe on all train labels; what one on the smallest share of them says is told beside it.

    Args:
        comparison: As :func:`weakcl_pipeline.evaluation.compare` returns it.
        confidence: Of the intervals in it.
        supervised_label: The label that the supervised method was trained on.

    Returns:
        A text per label, in the order of the labels.
    """
    shares = [share for probe in comparison["probe"].unique() if (share := share_of(probe))]
    fewest = min(shares, key=lambda share: float(share.removesuffix("%")), default=None)
    texts = []
    for label in comparison.filter(probe=LINEAR.name)["label"].unique(maintain_order=True):
        other = None if label == supervised_label else supervised_label
        text = _about(label, _by_method(comparison, label, LINEAR.name), confidence, other)
        few = _with_few(fewest, _by_method(comparison, label, probe_name(fewest)), confidence) if fewest else ""
        texts.append(f"{text} {few}".rstrip())
    return texts


def _by_method(comparison: pl.DataFrame, label: str, probe: str) -> Rows:
    return {row["method"]: row for row in comparison.filter(label=label, probe=probe).iter_rows(named=True)}


def _about(label: str, rows: Rows, confidence: float, other: str | None) -> str:
    """Tell of one label; ``other`` is the one that the supervised method was trained on, if it is another."""
    if not {METHOD, LOWER} <= rows.keys():
        return f"On {label}, {_highest(rows)} of the test pictures right."
    method, lower = rows[METHOD], rows[LOWER]
    upper = f" and {_percent(rows[UPPER]['accuracy'])} supervised" if UPPER in rows else ""
    upper += f" by {other}" if upper and other else ""
    accuracies = f"a linear probe is right on {_percent(method['accuracy'])} of the test pictures"
    against = f"against {_percent(lower['accuracy'])} self-supervised{upper}"
    headline = _headline(method, rows.get(UPPER) if other is None else None)
    return f"On {label}, {headline}: {accuracies}, {against}. {_certainty(method, lower, confidence)}"


def _highest(rows: Rows) -> str:
    best = max(row["accuracy"] for row in rows.values())
    titles = [describe_method(name).title for name, row in rows.items() if math.isclose(row["accuracy"], best)]
    return f"{' and '.join(titles)} {'is' if len(titles) == 1 else 'are'} highest, with {_percent(best)}"


def _with_few(share: str, rows: Rows, confidence: float) -> str:
    """Say what the probe on a share of the labels says, or nothing where it does not say it of both methods."""
    if not {METHOD, LOWER} <= rows.keys():
        return ""
    method, lower = rows[METHOD], rows[LOWER]
    accuracies = f"it is right on {_percent(method['accuracy'])}, against {_percent(lower['accuracy'])}"
    certainty = _certainty(method, lower, confidence) if _known(method) else ""  # without, all was said of all labels
    return f"With {share} of the labels {accuracies}. {certainty}".rstrip()


def _headline(method: Mapping[str, Any], upper: Mapping[str, Any] | None) -> str:
    """Say whether it helps, and how much of the gap to training by the same label it closes, if there is a gap."""
    if not _known(method):
        return "auxiliary information and self-supervision were not trained with one seed, so they do not compare"
    if method["difference_low"] <= 0 <= method["difference_high"]:
        return "it is open whether auxiliary information helps"
    if method["difference"] <= 0:
        return "auxiliary information does not help"
    if method["gap_closed"] is not None:
        share, low, high = read_interval(method, "gap_closed")
        gap = "the gap between self-supervised and supervised"
        return f"auxiliary information closes {share:.0%} of {gap} (interval {low:.0%} to {high:.0%})"
    return f"auxiliary information helps{_instead_of_gap(upper)}"


def _instead_of_gap(upper: Mapping[str, Any] | None) -> str:
    if upper is None or not _known(upper):
        return ""
    if upper["difference_high"] < 0:
        return ", and supervised training does not"
    if upper["difference_low"] > 0:  # the gap was measured by other seeds than these methods share
        return ""
    return ", but there is no gap to supervised training beyond chance"


def _known(row: Mapping[str, Any]) -> bool:
    """Whether there is a seed with which both the method and self-supervision were trained."""
    return row["difference"] is not None


def _chance(method: Mapping[str, Any]) -> str:
    seeds, groups = len(method["shared_seeds"]), method["groups"]
    pictures = f"test pictures in {groups} group{'s' * (groups > 1)}" if groups < method["samples"] else "test pictures"
    return f"the choice of {pictures}" + (f" and of {seeds} seeds" if seeds > 1 else "")


def _certainty(method: Mapping[str, Any], lower: Mapping[str, Any], confidence: float) -> str:
    if not _known(method):
        return "Train both with the same seed, for instance with `--params=seed=0`."
    gain, low, high = (100 * end for end in read_interval(method, "difference"))
    ends = f"{as_percent(confidence)} interval {low:+.1f} to {high:+.1f}"
    by = ""
    if not method["seeds"] == lower["seeds"] == method["shared_seeds"]:
        by = f", by what both have, seed {' and '.join(map(str, method['shared_seeds']))},"
    if low <= 0 <= high:
        return f"The difference of {gain:+.1f} points{by} may be due to {_chance(method)} ({ends})."
    word = "gain" if gain > 0 else "loss"
    return f"The {word} of {abs(gain):.1f} points{by} is more than {_chance(method)} explains ({ends})."


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"
