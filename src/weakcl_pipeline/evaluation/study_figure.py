"""The figure of the studies: accuracy against what was varied."""

from itertools import cycle
from math import isnan
from typing import NamedTuple

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import spearmanr

from weakcl_pipeline.attributes.plot import as_written
from weakcl_pipeline.evaluation.figures import style_axes
from weakcl_pipeline.evaluation.methods import describe_method
from weakcl_pipeline.evaluation.probes import LINEAR

_COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7")
_LOGARITHMIC = ("granularity", "batch size", "temperature")

_CURVE = ["method", "variable", "label", "probe"]  # what a curve is of
_GRANULARITIES = ("granularity, uniform batches", "granularity, cluster_aware batches")


class _Panel(NamedTuple):
    """A panel: its title, the variables it shows, the column along its axis, and that column's name."""

    title: str
    variables: tuple[str, ...]
    by: str
    name: str


_PANELS = (
    _Panel("Classes merged (H(Z|T) = 0)", ("merged",), "information", "I(Z;T) (bits)"),
    _Panel("Classes split (full I(Z;T))", ("split",), "conditional_entropy", "H(Z|T) (bits)"),
    _Panel("Attributes turned into noise", ("noise",), "value", "share of the attributes"),
    _Panel("Cells deleted", ("missing",), "value", "share of the cells"),
    _Panel("Binary attributes deleted one by one", ("missing one by one",), "value", "share of the binary attributes"),
    _Panel("Granularity (ringed: chosen without labels)", _GRANULARITIES, "value", "binary attributes k"),
    _Panel("Granularity: what clusters tell", _GRANULARITIES, "beyond_chance", "I(Z;T) beyond chance (bits)"),
    _Panel("Granularity: what they tell besides", _GRANULARITIES, "conditional_entropy", "H(Z|T) (bits)"),
    _Panel("Batch size", ("batch size",), "value", "pictures in a batch"),
    _Panel("Temperature", ("temperature",), "value", "temperature"),
)


def rank_correlation(found: pl.DataFrame, by: str) -> float:
    """Return Spearman's rank correlation of the accuracy with a column; NaN where either does not vary."""
    if min(found[by].n_unique(), found["accuracy"].n_unique()) < 2:
        return float("nan")
    return float(spearmanr(found[by].to_numpy(), found["accuracy"].to_numpy()).statistic)


def mean_over_seeds(found: pl.DataFrame) -> pl.DataFrame:
    """Return a row for each method, variable, value, label and probe of the studies' tables, means over the seeds.

    These are the seeds that all values of a curve have, or where there are none, each value's own. ``beyond_chance`` is
    I(Z;T) less what shuffled clusters would seem to tell, which is the more, the smaller they are.
    """
    keys = [*_CURVE, "value"]
    clusters = ["information", "information_shuffled", "conditional_entropy", "partner_share"]
    measured = [*clusters, "accuracy", "validation_accuracy"]
    means = _of_shared_seeds(found).group_by(keys, maintain_order=True).agg(pl.mean(*measured), pl.col("chosen").any())
    means = means.with_columns(beyond_chance=pl.col("information") - pl.col("information_shuffled"))
    return means.sort("variable", "method", "value", maintain_order=True)


def _of_shared_seeds(found: pl.DataFrame) -> pl.DataFrame:
    """Leave out the seeds that only some values of a curve have, as means over them and over all do not compare."""
    values = pl.col("value").n_unique()
    marked = found.with_columns(shared=values.over([*_CURVE, "seed"]) == values.over(_CURVE))
    return marked.filter(pl.col("shared") | ~pl.col("shared").any().over(_CURVE)).drop("shared")


def study_figure(found: pl.DataFrame, label: str, probe: str = LINEAR.name) -> Figure:
    """Draw the accuracy on the test split against what each study varied; titles give the rank correlation.

    Args:
        found: Rows of :func:`weakcl_pipeline.evaluation.run_setting`.
        label: The label whose accuracy is drawn.
        probe: The probe.
    """
    means = mean_over_seeds(found.filter(label=label, probe=probe))
    panels = [panel for panel in _PANELS if not means.filter(pl.col("variable").is_in(panel.variables)).is_empty()]
    width = min(3, len(panels))
    height = -(-len(panels) // width)
    figure = Figure(figsize=(3.9 * width, 3.0 * height), layout="constrained")
    axes = list(figure.subplots(height, width, squeeze=False, sharey=True).flat)
    for drawn, panel in zip(axes, panels, strict=False):
        _draw(drawn, means.filter(pl.col("variable").is_in(panel.variables)), panel.by)
        drawn.set_title(panel.title, loc="left", fontsize=10)
        drawn.set_xlabel(panel.name, fontsize=9)
        drawn.set_ylabel(f"test accuracy on {as_written(label)} (%)", fontsize=9)
        style_axes(drawn, grid="y")
    for panel in axes[len(panels) :]:
        panel.remove()
    return figure


def _draw(axes: Axes, shown: pl.DataFrame, by: str) -> None:
    curves = shown.partition_by("variable", "method", as_dict=True, maintain_order=True)
    methods = shown["method"].n_unique()
    for ((variable, method), curve), colour in zip(curves.items(), cycle(_COLOURS), strict=False):
        points = curve.sort(by)
        batches = str(variable).partition(", ")[2]
        title = describe_method(str(method)).title if methods > 1 else batches
        correlation = rank_correlation(points, by)
        known = "" if isnan(correlation) else f"rank correlation {correlation:+.2f}"
        legend = ": ".join(part for part in (title, known) if part) or None
        axes.plot(points[by], 100 * points["accuracy"], "o-", color=colour, markersize=4, linewidth=1.4, label=legend)
        ringed = points.filter(pl.col("chosen"))
        axes.plot(ringed[by], 100 * ringed["accuracy"], "o", color=colour, markersize=10, fillstyle="none")
        if by == "value" and str(variable).startswith(_LOGARITHMIC):
            axes.set_xscale("log")
            axes.set_xticks(points[by].to_list(), [f"{value:g}" for value in points[by]])
            axes.minorticks_off()
    if axes.get_legend_handles_labels()[1]:
        axes.legend(frameon=False, fontsize=7)
