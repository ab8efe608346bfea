"""What the comparison says, in plain words."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from weakcl_pipeline.evaluation.methods import LOWER, METHOD, UPPER, describe_method


def verdict(comparison: pl.DataFrame, confidence: float) -> list[str]:
    """Say for each label whether auxiliary information helped, by how much, and whether that may be chance.

    Args:
        comparison: As :func:`weakcl_pipeline.evaluation.compare` returns it.
        confidence: Of the intervals in it.

    Returns:
        A text per label, in the order of the labels.
    """
    linear = comparison.filter(pl.col("probe") == "linear")
    texts = []
    for label in linear["label"].unique(maintain_order=True):
        rows = {row["method"]: row for row in linear.filter(pl.col("label") == label).iter_rows(named=True)}
        texts.append(_about(label, rows, confidence))
    return texts


def _about(label: str, rows: Mapping[str, Mapping[str, Any]], confidence: float) -> str:
    if not {METHOD, LOWER} <= rows.keys():
        best = max(rows.values(), key=lambda row: row["accuracy"])
        title = describe_method(best["method"]).title
        return f"On {label}, {title} is highest, with {_percent(best['accuracy'])} of the test pictures right."
    method, lower = rows[METHOD], rows[LOWER]
    upper = f" and {_percent(rows[UPPER]['accuracy'])} supervised" if UPPER in rows else ""
    accuracies = f"a linear probe is right on {_percent(method['accuracy'])} of the test pictures"
    against = f"against {_percent(lower['accuracy'])} self-supervised{upper}"
    return f"{_headline(label, method)}: {accuracies}, {against}. {_certainty(method, confidence)}"


def _headline(label: str, method: Mapping[str, Any]) -> str:
    gain, share = method["difference"], method["gap_closed"]
    if gain <= 0:
        return f"On {label}, auxiliary information does not help"
    if share is None:
        return f"On {label}, auxiliary information helps, but there is no gap to supervised training to close"
    if share >= 1:
        return f"On {label}, auxiliary information closes the whole gap between self-supervised and supervised"
    return f"On {label}, auxiliary information closes {share:.0%} of the gap between self-supervised and supervised"


def _chance(method: Mapping[str, Any]) -> str:
    seeds = len(method["seeds"])
    return "the choice of test pictures" if seeds == 1 else f"the choice of test pictures and of {seeds} seeds"


def _certainty(method: Mapping[str, Any], confidence: float) -> str:
    gain, low, high = (100 * method[f"difference{end}"] for end in ("", "_low", "_high"))
    ends = f"{confidence:.0%} interval {low:+.1f} to {high:+.1f}"
    if low <= 0 <= high:
        return f"The difference of {gain:+.1f} points may be due to {_chance(method)} ({ends})."
    word = "gain" if gain > 0 else "loss"
    return f"The {word} of {abs(gain):.1f} points is more than {_chance(method)} explains ({ends})."


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"
