import math

import polars as pl
import pytest

from weakcl_pipeline.evaluation.study_figure import mean_over_seeds, rank_correlation, study_figure
from weakcl_pipeline.evaluation.thumbnails import figure_uri


def rows(variable, values, accuracies, method="attribute", seed=0, chosen=None):
    return pl.DataFrame(
        {
            "method": method,
            "variable": variable,
            "value": [float(value) for value in values],
            "chosen": [value == chosen for value in values],
            "seed": seed,
            "information": [float(value) for value in values],
            "information_shuffled": 0.5,
            "conditional_entropy": [float(value) for value in values],
            "partner_share": 0.5,
            "label": "kind",
            "probe": "linear",
            "accuracy": accuracies,
            "validation_accuracy": accuracies,
        }
    )


def test_rank_correlation_is_spearman_s():
    found = rows("split", [1, 2, 4, 8], [0.9, 0.7, 0.8, 0.5])
    # ranks 1 2 3 4 against 4 2 3 1: 1 - 6 (9 + 0 + 0 + 9) / (4 (16 - 1))
    assert rank_correlation(found, "value") == pytest.approx(-0.8)
    assert rank_correlation(rows("split", [1, 2, 4], [0.9, 0.8, 0.1]), "value") == -1
    assert math.isnan(rank_correlation(rows("split", [1, 2], [0.5, 0.5]), "value"))


def test_a_label_with_dollars_is_no_formula():
    found = rows("noise", [0, 1], [0.4, 0.2]).with_columns(label=pl.lit("preis_$_$"))
    assert figure_uri(study_figure(found, "preis_$_$")).startswith("data:")


def test_means_are_over_the_seeds():
    found = pl.concat([rows("noise", [0, 1], [0.4, 0.2]), rows("noise", [0, 1], [0.6, 0.4], seed=1)])
    assert mean_over_seeds(found)["accuracy"].to_list() == pytest.approx([0.5, 0.3])


def test_a_curve_is_of_the_seeds_that_all_its_values_have():
    curve = [rows("noise", [0, 1], [0.4, 0.2]), rows("noise", [0], [0.8], seed=1), rows("noise", [1], [0.9], seed=2)]
    other = [rows("noise", [0], [0.5], "affinity"), rows("noise", [1], [0.3], "affinity", seed=1)]
    means = mean_over_seeds(pl.concat([*curve, *other]))
    assert means.filter(method="attribute")["accuracy"].to_list() == pytest.approx([0.4, 0.2])
    assert means.filter(method="affinity")["accuracy"].to_list() == pytest.approx([0.5, 0.3])  # there is no such seed


def test_a_panel_for_each_study_that_was_run_with_the_chosen_setting_ringed():
    found = pl.concat(
        [
            rows("granularity, cluster_aware batches", [5, 50], [0.5, 0.6], chosen=50),
            rows("granularity, uniform batches", [5, 50], [0.5, 0.4]),
            rows("missing", [0, 0.5], [0.6, 0.5], chosen=0),
            rows("missing", [0, 0.5], [0.7, 0.6], method="affinity"),
            rows("temperature", [0.1], [0.5]),
        ]
    )
    missing, granularity, by_information, by_entropy, temperature = study_figure(found, "kind").axes
    assert (missing.get_title(loc="left"), temperature.get_title(loc="left")) == ("Cells deleted", "Temperature")
    assert (by_information.get_xlabel(), by_entropy.get_xlabel()) == ("I(Z;T) beyond chance (bits)", "H(Z|T) (bits)")
    assert sorted(by_information.lines[0].get_xdata()) == [4.5, 49.5]
    assert by_information.get_xscale() == by_entropy.get_xscale() == "linear"
    legends = [text.get_text() for text in granularity.get_legend().get_texts()]
    assert legends == ["cluster_aware batches: rank correlation +1.00", "uniform batches: rank correlation -1.00"]
    assert {text.get_text()[:8] for text in missing.get_legend().get_texts()} == {"Affinity", "Attribut"}
    assert temperature.get_legend() is None
    ringed = [line for line in granularity.lines if line.get_fillstyle() == "none" and len(line.get_xdata())]
    assert [line.get_xdata().tolist() for line in ringed] == [[50]]
    assert granularity.get_xscale() == "log"
