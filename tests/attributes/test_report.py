import json

import numpy as np
import polars as pl
import pytest

from weakcl_pipeline.attributes.clustering import ClusteringConfig
from weakcl_pipeline.attributes.plot import plot_granularities
from weakcl_pipeline.attributes.report import assemble_report, describe_granularity, describe_largest

CLUSTERS = np.array([0, 0, 0, 0, 1, 1, 2, -1])
LABEL = pl.Series(["a", "a", "b", "b", "a", None, "b", "a"])


def describe(clusters=CLUSTERS, labels=None):
    labels = {"class": LABEL} if labels is None else labels
    return describe_granularity(clusters, labels, batch_size=4, shuffles=50, rng=np.random.default_rng(0))


def test_figures_of_one_granularity():
    figures = describe()
    assert figures["clusters"] == 3
    assert figures["singletons"] == 1
    assert figures["largest_share"] == 4 / 8
    assert figures["unclustered_share"] == 1 / 8
    assert figures["H(Z)"] == pytest.approx(-(4 / 7 * np.log2(4 / 7) + 2 / 7 * np.log2(2 / 7) + np.log2(1 / 7) / 7))


def test_figures_against_a_label_use_the_samples_that_have_both():
    figures = describe()["labels"]["class"]
    # Both: a a b b in cluster 0, a in 1, b in 2. H(T) = 1; H(T|Z) = 4/6 * 1.
    assert figures["samples"] == 6
    assert figures["H(T)"] == pytest.approx(1)
    assert figures["I(Z;T)"] == pytest.approx(1 / 3)
    h_z = -(4 / 6 * np.log2(4 / 6) + 2 / 6 * np.log2(1 / 6))
    assert figures["H(Z|T)"] == pytest.approx(h_z - 1 / 3)
    assert 0 < figures["I(Z;T) shuffled"] <= 1


def test_no_labels_and_no_clusters_are_no_special_case():
    assert describe(labels={})["labels"] == {}
    empty = describe(np.full(8, -1))
    assert empty["clusters"] == 0
    assert empty["H(Z)"] == empty["partner_share_uniform"] == 0
    assert empty["labels"]["class"]["I(Z;T)"] == 0


def test_what_the_members_of_a_cluster_have_in_common():
    binary = pl.DataFrame(
        {
            "everywhere": [True] * 8,
            "mostly": [True, True, True, False, False, False, False, False],
            "whole": [True, True, True, True, False, False, True, False],
            "half": [False, False, True, True, True, True, True, None],
        }
    )
    first, second, third = describe_largest(CLUSTERS, binary)
    assert first == {"cluster": 0, "size": 4, "attributes": ["mostly", "whole"]}
    assert second == {"cluster": 1, "size": 2, "attributes": ["half"]}
    assert third["size"] == 1
    assert describe_largest(CLUSTERS, binary, largest=1, features=1) == [first | {"attributes": ["mostly"]}]
    json.dumps(first)


def report_of(config, labels, chosen=2):
    figures = {
        k: describe(np.arange(8) // size, labels)
        | {"partner_share_cluster_aware": 1.0, "bits_learned": float(size == 2)}
        for k, size in zip(config.granularities, (8, 2, 1), strict=True)
    }
    return assemble_report(figures, config, chosen, batch_size=4)


def test_the_report_says_what_was_chosen_and_why():
    report = report_of(ClusteringConfig(granularities=(1, 2, 3)), {"class": LABEL})
    assert report["chosen"] == "top_2"
    assert report["chosen_granularity"] == 2
    assert "most bits in the batches of training" in report["criterion"]
    assert [entry["column"] for entry in report["granularities"]] == ["top_1", "top_2", "top_3"]
    assert report["labels"] == ["class"]
    json.dumps(report)
    fixed = report_of(ClusteringConfig(granularities=(1, 2, 3), granularity=3), {}, chosen=3)
    assert fixed["chosen"] == "top_3"
    assert fixed["criterion"] == "set by clustering.granularity"


@pytest.mark.parametrize("labels", [{}, {"class": LABEL}])
def test_the_figure_shows_the_figures(labels):
    report = report_of(ClusteringConfig(granularities=(1, 2, 3)), labels)
    figure = plot_granularities(report)
    information, number, partners, learned = figure.axes
    shown = {line.get_label(): list(line.get_ydata()) for axes in figure.axes[:3] for line in axes.get_lines()}
    assert list(learned.get_lines()[0].get_ydata()) == [entry["bits_learned"] for entry in report["granularities"]]
    assert shown["clusters"] == [1, 4, 8]
    assert shown["of one sample"] == [0, 0, 8]
    assert shown["uniform batches"] == [entry["partner_share_uniform"] for entry in report["granularities"]]
    if labels:
        assert "T = class" in information.get_title()
        assert shown["I(Z;T)"] == [entry["labels"]["class"]["I(Z;T)"] for entry in report["granularities"]]
    else:
        assert shown["H(Z)"] == [0, 2, 3]
    for axes in (information, number, partners, learned):
        chosen = [line for line in axes.get_lines() if line.get_label() == "chosen"]
        assert list(chosen[0].get_xdata()) == [2, 2]
    figure.canvas.draw()
