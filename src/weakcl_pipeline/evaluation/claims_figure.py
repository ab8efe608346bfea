"""The figure of a claim: every difference that it is about, with its interval."""

import polars as pl
from matplotlib.figure import Figure

from weakcl_pipeline.attributes.plot import as_written
from weakcl_pipeline.evaluation.bootstrap import as_percent, read_interval
from weakcl_pipeline.evaluation.figures import GREY, style_axes
from weakcl_pipeline.evaluation.methods import describe_method
from weakcl_pipeline.evaluation.probes import probe_title

_ROW = 0.22  # inches


def claim_figure(rows: pl.DataFrame, confidence: float) -> Figure:
    """Draw a panel for each rival, a line for each label and probe; grey where chance may explain a difference.

    Args:
        rows: Of one claim, at least one, as :func:`weakcl_pipeline.evaluation.check_claims` returns them.
        confidence: Of the intervals in it.
    """
    cells = rows.select("label", "probe").unique(maintain_order=True).rows()
    panels = rows.partition_by("rival", maintain_order=True)
    figure = Figure(figsize=(2.2 + 2.4 * len(panels), 1.0 + _ROW * len(cells)), layout="constrained")
    drawn = figure.subplots(1, len(panels), sharey=True, sharex=True, squeeze=False)[0]
    for axes, panel in zip(drawn, panels, strict=True):
        method, rival = (describe_method(panel[name][0]) for name in ("method", "rival"))
        axes.set_title(f"against {rival.title}", fontsize=10, loc="left")
        axes.axvline(0, color=GREY, linewidth=0.8)
        for row in panel.iter_rows(named=True):
            value, low, high = (100 * end for end in read_interval(row, "difference"))
            colour = method.colour if low > 0 else rival.colour if high < 0 else GREY
            position = cells.index((row["label"], row["probe"]))
            axes.plot([low, high], [position, position], color=colour, linewidth=1.4)
            axes.plot(value, position, "o", color=colour, markersize=5)
        style_axes(axes, grid="x")
        axes.tick_params(axis="y", length=0)
    drawn[0].set_yticks(range(len(cells)), [f"{as_written(label)}, {probe_title(probe)}" for label, probe in cells])
    drawn[0].set_ylim(len(cells) - 0.5, -0.5)
    measured = f"test accuracy in points, {as_percent(confidence)} interval"
    figure.supxlabel(f"{method.title} minus rival, {measured}", fontsize=9)
    return figure
