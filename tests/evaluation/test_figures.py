import numpy as np
import polars as pl
import pytest
from matplotlib.colors import same_color
from matplotlib.figure import Figure

from weakcl_pipeline.evaluation import comparison_figure, histories_figure, history_figure
from weakcl_pipeline.evaluation.methods import describe_method
from weakcl_pipeline.evaluation.probes import probe_title, short_title
from weakcl_pipeline.evaluation.thumbnails import figure_uri

METHODS = ["majority", "random_encoder", "self_supervised", "attribute"]


@pytest.fixture
def comparison():
    rows = []
    for label, base in (("kind", 0.5), ("side", 0.7)):
        for probe in ("linear", "knn", "linear_1%"):
            for position, method in enumerate(METHODS):
                accuracy = base + 0.05 * position - (0.02 if probe == "knn" else 0)
                rows.append((label, probe, method, accuracy, accuracy - 0.03, accuracy + 0.01))
    schema = ["label", "probe", "method", "accuracy", "accuracy_low", "accuracy_high"]
    return pl.DataFrame(rows, schema=schema, orient="row")


def history(epochs=3, **more):
    columns = ["loss", "learning_rate", "images_per_second", "seconds", "alignment", "uniformity", "partner_share"]
    made = {name: np.linspace(1, 0.5, epochs) + i for i, name in enumerate(columns)}
    return pl.DataFrame({"epoch": np.arange(1, epochs + 1), **made, **more})


def panels(figure):
    return {axes.get_title(loc="left"): axes for axes in figure.axes}


def test_comparison_shows_every_accuracy_with_its_interval(comparison):
    figure = comparison_figure(comparison, 0.9)
    assert isinstance(figure, Figure)
    assert list(panels(figure)) == ["kind", "side"]
    axes = panels(figure)["kind"]
    assert "90% interval" in axes.get_xlabel()
    assert [text.get_text() for text in axes.get_yticklabels()] == [describe_method(name).title for name in METHODS]
    shown = comparison.filter((pl.col("label") == "kind") & pl.col("probe").is_in(["linear", "knn"]))
    bars = {round(float(bar.lines[0].get_xdata()[0]), 6): bar for bar in axes.containers}
    assert set(bars) == {round(100 * value, 6) for value in shown["accuracy"]}
    for accuracy, low, high in shown.select("accuracy", "accuracy_low", "accuracy_high").iter_rows():
        (segment,) = bars[round(100 * accuracy, 6)].lines[2][0].get_segments()
        assert segment[:, 0] == pytest.approx([100 * low, 100 * high])


def test_a_confidence_is_shown_in_full(comparison):
    assert "99.9% interval" in panels(comparison_figure(comparison, 0.999))["kind"].get_xlabel()


def test_comparison_shows_the_probe_on_augmented_views_where_it_was_used(comparison):
    augmented = comparison.filter(probe="knn").with_columns(
        probe=pl.lit("augmented"), accuracy=pl.col("accuracy") - 0.01
    )
    figure = comparison_figure(comparison.vstack(augmented))
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["linear probe", "k-NN", "SGD on augmented views"]
    heights = sorted(bar.lines[0].get_ydata()[0] for bar in panels(figure)["side"].containers)
    assert len(heights) == 3 * len(METHODS)
    assert np.diff(heights).min() > 0.2  # no two marks of a panel on one line


def test_comparison_marks_methods_by_colour_and_references_by_grey(comparison):
    axes = panels(comparison_figure(comparison, probes=("linear",)))["kind"]
    colours = {round(bar.lines[0].get_ydata()[0]): bar.lines[0].get_color() for bar in axes.containers}
    assert same_color(colours[0], colours[1])
    assert len({colours[i] for i in (1, 2, 3)}) == 3


def test_names_with_dollars_are_no_formulas(comparison):
    named = comparison.with_columns(label=pl.lit("preis_$_$"))
    figures = [comparison_figure(named), history_figure(history(**{"nmi_$x_$": [0.1, 0.2, 0.3]}))]
    assert all(figure_uri(figure).startswith("data:") for figure in figures)


def test_history_of_a_fixed_method():
    figure = history_figure(history())
    assert list(panels(figure)) == [
        *("Loss (nats)", "Alignment (lower is closer)", "Uniformity (lower is more even)", "Anchors with a partner"),
        *("Learning rate", "Pictures per second"),
    ]
    (line,) = panels(figure)["Loss (nats)"].lines
    np.testing.assert_allclose(line.get_xydata(), [[1, 1], [2, 0.75], [3, 0.5]])


def test_history_of_the_iterative_method_skips_epochs_without_clusters():
    more = {"inertia": [None, 2.0, 1.0], "nmi_previous": [None, None, 0.8], "nmi_kind": [None, 0.2, 0.3]}
    axes = panels(history_figure(history(**more)))
    np.testing.assert_allclose(axes["k-means inertia"].lines[0].get_xydata(), [[2, 2], [3, 1]])
    information = axes["Agreement of the clusters (NMI)"]
    assert [text.get_text() for text in information.get_legend().get_texts()] == [
        "with those before",
        "with label kind",
    ]
    assert information.lines[0].get_marker() == "o"  # one value makes no line


def test_history_of_one_epoch_is_drawn_as_dots():
    (line,) = panels(history_figure(history(epochs=1)))["Loss (nats)"].lines
    assert line.get_marker() == "o"


def test_columns_that_are_missing_are_left_out():
    assert list(panels(history_figure(history().select("epoch", "loss")))) == ["Loss (nats)"]


def test_several_histories_share_their_panels():
    figure = histories_figure({"supervised": history(), "attribute": history(5), "iterative": history(nmi_kind=0.5)})
    lines = panels(figure)["Loss (nats)"].lines
    assert [line.get_label() for line in lines] == ["Iterative k-means", "Attributes", "Supervised"]
    assert [len(line.get_xdata()) for line in lines] == [3, 5, 3]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [line.get_label() for line in lines]
    assert "Learning rate" not in panels(figure)


def test_figures_can_be_written(comparison):
    for figure in (
        comparison_figure(comparison),
        history_figure(history()),
        histories_figure({"attribute": history()}),
    ):
        assert figure_uri(figure).startswith("data:image/svg+xml;base64,")


def test_titles_of_probes():
    assert [probe_title(name) for name in ("linear", "knn", "linear_1%")] == [
        *("linear probe", "k-NN", "linear probe, 1% of the labels")
    ]
    assert [short_title(name) for name in ("linear", "knn", "linear_1%")] == [
        *("linear probe", "k-NN", "1% of the labels")
    ]
