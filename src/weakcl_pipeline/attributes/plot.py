"""The figure of the cluster report: what each granularity tells of the labels, and how training sees it."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

_BLUE, _ORANGE, _GREEN, _GREY = "#0072B2", "#D55E00", "#009E73", "#666666"  # safe for colour-blind readers


_SIZE = 5  # of markers, in points


def as_written(name: str) -> str:
    """Return a name that a user gave such that Matplotlib writes it as it is: what is between two $ is TeX to it."""
    return name.replace("$", r"\$")


def plot_granularities(report: dict[str, Any]) -> Figure:
    """Information, number of clusters, partner share and the criterion over the granularities, the chosen one marked.

    Args:
        report: The artifact `cluster_report`.
    """
    entries = report["granularities"]
    ks = [entry["granularity"] for entry in entries]
    figure = Figure(figsize=(13, 3.4), layout="constrained")
    information, number, partners, learned = figure.subplots(1, 4)
    _draw_information(information, report)
    _line(number, ks, [entry["clusters"] for entry in entries], "clusters", ("o-", _BLUE))
    _line(number, ks, [entry["singletons"] for entry in entries], "of one sample", ("s--", _ORANGE))
    number.set_yscale("symlog", linthresh=1)
    number.set(title="Clusters (train)", ylabel="number")
    _draw_partners(partners, report)
    _line(learned, ks, [entry["bits_learned"] for entry in entries], "as training draws", ("o-", _BLUE))
    learned.set(title="What an anchor learns (criterion)", ylabel="bits", ylim=(0, None))
    for axes in (information, number, partners, learned):
        axes.set_xscale("log")
        axes.set_xticks(ks, [str(k) for k in ks])
        axes.minorticks_off()
        axes.set_xlabel(f"k ({report['granularity_is']})")
        axes.axvline(report["chosen_granularity"], color=_GREY, linewidth=1, linestyle=":", label="chosen")
        axes.grid(visible=True, alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(framealpha=0.85, edgecolor="none", fontsize=8)
    return figure


def _draw_information(axes: Axes, report: dict[str, Any]) -> None:
    """I(Z;T), H(Z|T) and the shuffled I of the first label; H(Z) alone where there is none."""
    entries = report["granularities"]
    ks = [entry["granularity"] for entry in entries]
    axes.set(title="Information", ylabel="bits")
    if not report["labels"]:
        _line(axes, ks, [entry["H(Z)"] for entry in entries], "H(Z)", ("o-", _BLUE))
        return
    label = report["labels"][0]
    axes.set_title(f"Information (T = {as_written(label)})")
    for name, look in (
        ("I(Z;T)", ("o-", _BLUE)),
        ("H(Z|T)", ("s-", _ORANGE)),
        ("I(Z;T) shuffled", ("^--", _GREEN)),
    ):
        _line(axes, ks, [entry["labels"][label][name] for entry in entries], name, look)


def _draw_partners(axes: Axes, report: dict[str, Any]) -> None:
    entries = report["granularities"]
    ks = [entry["granularity"] for entry in entries]
    for key, name, look in (
        ("partner_share_uniform", "uniform batches", ("o-", _BLUE)),
        ("partner_share_cluster_aware", "cluster-aware batches", ("s-", _ORANGE)),
    ):
        _line(axes, ks, [entry[key] for entry in entries], name, look)
    axes.set(title=f"Anchors with a partner (batch {report['batch_size']})", ylabel="share", ylim=(-0.03, 1.03))


def _line(axes: Axes, x: list[int], y: list[float], label: str, look: tuple[str, str]) -> None:
    style, colour = look
    axes.plot(x, y, style, color=colour, label=label, markersize=_SIZE)
