"""Figures of the evaluation: the comparison of methods, and what happened while they were trained."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Literal

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from weakcl_pipeline.attributes.plot import as_written
from weakcl_pipeline.evaluation.bootstrap import as_percent, read_interval
from weakcl_pipeline.evaluation.methods import LOWER, describe_method, in_order
from weakcl_pipeline.evaluation.probes import AUGMENTED, KNN, LINEAR, PROBES, probe_title

GREY = "#8c8c8c"
_INK, _FAINT = "#22272e", "#e4e6e8"
_PANEL = (3.7, 2.7)  # inches

_MARKERS = {LINEAR.name: "o", KNN.name: "s", AUGMENTED.name: "^"}
_APART = 0.28  # two probes of a method, in rows

_PANELS = {
    "loss": "Loss (nats)",
    "alignment": "Alignment (lower is closer)",
    "uniformity": "Uniformity (lower is more even)",
    "partner_share": "Anchors with a partner",
    "learning_rate": "Learning rate",
    "images_per_second": "Pictures per second",
    "inertia": "k-means inertia",
}


def comparison_figure(
    comparison: pl.DataFrame, confidence: float = 0.95, probes: Sequence[str] | None = None
) -> Figure:
    """Draw accuracy with its interval, a panel for each label, a row for each method; references are grey.

    Args:
        comparison: As :func:`weakcl_pipeline.evaluation.compare` returns it.
        confidence: Of the intervals in it.
        probes: The probes to show, one marker each; those on all train labels that were used where not given.
    """
    used = set(comparison["probe"])
    probes = [name for name in PROBES if name in used] if probes is None else probes
    labels = comparison["label"].unique(maintain_order=True).to_list()
    methods = in_order(comparison["method"].unique().to_list())
    figure = Figure(figsize=(1.6 + 4 * len(labels), 1.1 + 0.42 * len(methods)), layout="constrained")
    panels = figure.subplots(1, len(labels), sharey=True, squeeze=False)[0]
    for axes, label in zip(panels, labels, strict=True):
        _draw_label(axes, comparison.filter(pl.col("label") == label), methods, probes)
        axes.set_title(as_written(label), fontsize=11, fontweight="bold", loc="left", color=_INK)
        axes.set_xlabel(f"Test accuracy (%), {as_percent(confidence)} interval", fontsize=9)
    panels[0].set_yticks(range(len(methods)), [describe_method(name).title for name in methods])
    panels[0].set_ylim(len(methods) - 0.5, -0.5)
    shown = [
        Line2D([], [], marker=_MARKERS.get(p, "D"), color=_INK, linestyle="", fillstyle=_fill(p), label=probe_title(p))
        for p in probes
    ]
    figure.legend(handles=shown, loc="outside lower right", ncols=len(shown), frameon=False, fontsize=9)
    return figure


def _fill(probe: str) -> Literal["full", "none"]:
    return "full" if probe == LINEAR.name else "none"


def _draw_label(axes: Axes, found: pl.DataFrame, methods: Sequence[str], probes: Sequence[str]) -> None:
    offsets = _APART * (np.arange(len(probes)) - (len(probes) - 1) / 2)
    for probe, offset in zip(probes, offsets, strict=True):
        for row in found.filter(pl.col("probe") == probe).iter_rows(named=True):
            method = describe_method(row["method"])
            accuracy, low, high = (100 * end for end in read_interval(row, "accuracy"))
            axes.errorbar(
                accuracy,
                methods.index(row["method"]) + offset,
                xerr=[[max(0.0, accuracy - low)], [max(0.0, high - accuracy)]],
                fmt=_MARKERS.get(probe, "D"),
                color=method.colour,
                fillstyle=_fill(probe),
                markersize=6,
                elinewidth=1.4,
                capsize=0,
            )
            if probe == LINEAR.name and method.name == LOWER:
                axes.axvline(accuracy, color=GREY, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
    style_axes(axes, grid="x")
    axes.tick_params(axis="y", length=0)
    for position in range(len(methods)):
        axes.axhline(position, color=_FAINT, linewidth=0.6, zorder=0)


def history_figure(history: pl.DataFrame) -> Figure:
    """Draw the learning curves of one training.

    Args:
        history: A row an epoch: ``epoch``, ``loss``, ``learning_rate``, ``images_per_second``, ``alignment``,
            ``uniformity``, ``partner_share``; of the iterative variant also ``inertia``, ``nmi_previous`` and
            ``nmi_<label>``. Columns that are missing are left out.
    """
    return _draw_histories({"": history}, list(_PANELS))


def histories_figure(histories: Mapping[str, pl.DataFrame]) -> Figure:
    """Draw the learning curves of several methods into the same panels.

    Args:
        histories: Method -> its history.
    """
    ordered = {name: histories[name] for name in in_order(histories)}
    return _draw_histories(ordered, ["loss", "alignment", "uniformity", "partner_share"])


def _draw_histories(histories: Mapping[str, pl.DataFrame], wanted: Sequence[str]) -> Figure:
    columns = {column for history in histories.values() for column in history.columns}
    panels = [name for name in wanted if name in columns]
    information = any(name.startswith("nmi_") for name in columns)
    count = len(panels) + information
    width = count if count <= 3 else 4 if count in (4, 7, 8) else 3
    rows = -(-count // width)
    figure = Figure(figsize=(_PANEL[0] * width, _PANEL[1] * rows + 0.3), layout="constrained")
    axes = list(figure.subplots(rows, width, squeeze=False).flat)
    for name, panel in zip(panels, axes, strict=False):
        panel.set_title(_PANELS[name], loc="left", fontsize=10, color=_INK)
        for method, history in histories.items():
            _draw_curve(panel, history, name, colour=_colour(method), label=describe_method(method).title)
        if name == "partner_share":
            panel.set_ylim(-0.03, 1.03)
    if information:
        _draw_information(axes[len(panels)], histories)
    for panel in axes[:count]:
        style_axes(panel, grid="y")
        panel.set_xlabel("epoch", fontsize=9)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    for panel in axes[count:]:
        panel.remove()
    if len(histories) > 1:
        handles = [Line2D([], [], color=_colour(name), label=describe_method(name).title) for name in histories]
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
    return figure


def _colour(method: str) -> str:
    return describe_method(method).colour if method else "#0072B2"


def _draw_curve(axes: Axes, history: pl.DataFrame, column: str, *, colour: str, label: str, dashes: str = "-") -> None:
    if column not in history.columns:
        return
    known = history.filter(pl.col(column).is_not_null())
    marker = "o" if len(known) < 2 else ""  # one epoch makes no line
    axes.plot(
        known["epoch"], known[column], dashes, color=colour, linewidth=1.6, marker=marker, markersize=4, label=label
    )


def _draw_information(axes: Axes, histories: Mapping[str, pl.DataFrame]) -> None:
    """Draw the agreement of the k-means clusters with those before, and with the labels."""
    axes.set_title("Agreement of the clusters (NMI)", loc="left", fontsize=10, color=_INK)
    for method, history in histories.items():
        columns = [name for name in history.columns if name.startswith("nmi_")]
        for column, dashes in zip(columns, cycle(["-", "--", ":", "-."]), strict=False):
            name = column.removeprefix("nmi_")
            words = "with those before" if name == "previous" else f"with label {as_written(name)}"
            _draw_curve(axes, history, column, colour=_colour(method), label=words, dashes=dashes)
    axes.set_ylim(0, 1)
    axes.legend(frameon=False, fontsize=8)


def style_axes(axes: Axes, grid: Literal["x", "y"]) -> None:
    """Give axes the look of all figures: two spines, and a pale grid across one axis."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.tick_params(colors=_INK, labelsize=9)
    axes.grid(visible=True, axis=grid, color=_FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
