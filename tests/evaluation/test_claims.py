from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from tests.evaluation.data import make_samples
from tests.evaluation.test_comparison import made_up_outcomes
from weakcl_pipeline.evaluation import BootstrapConfig, check_claims, measure_accuracies
from weakcl_pipeline.evaluation.claims import CLAIMS, judge
from weakcl_pipeline.evaluation.claims_figure import claim_figure
from weakcl_pipeline.evaluation.methods import METHODS

BOOTSTRAP = BootstrapConfig(resamples=400)
SAMPLES = make_samples(train=8, val=8, test=200)


def right(share):
    """The first test samples are right; a greater share is right wherever a smaller one is."""
    return np.arange(200) < round(200 * share)


def check(few=None, **shares):
    """Check the claims given the share of test samples, or by seed the shares, that each method gets right.

    `few` gives the same by a probe on a tenth of the labels.
    """
    outcomes = outcomes_of(shares)
    for name, found in outcomes_of(few or {}).items():
        predictions = {
            seed: frame.vstack(found.predictions[seed].with_columns(probe=pl.lit("linear_10%")))
            for seed, frame in outcomes[name].predictions.items()
        }
        outcomes[name] = replace(outcomes[name], predictions=predictions)
    return check_claims(measure_accuracies(outcomes, SAMPLES, BOOTSTRAP, seed=0), 0.95)


def outcomes_of(shares):
    seeds = {
        name: {seed: right(share) for seed, share in (found if isinstance(found, dict) else {0: found}).items()}
        for name, found in shares.items()
    }
    return made_up_outcomes(seeds, SAMPLES)


def verdicts(claims):
    return {found.claim.number: found.verdict for found in judge(claims)}


def test_claims_name_methods_that_there_are():
    names = {method.name for method in METHODS}
    assert all({claim.method, *claim.rivals} <= names for claim in CLAIMS)
    assert [claim.number for claim in CLAIMS] == [1, 2, 3, 4]


def test_a_row_for_every_rival_that_was_trained():
    claims = check(self_supervised=0.4, iterative=0.5, attribute=0.6, supervised=0.7, pcl=0.3, cmc=0.55)
    found = [(row["claim"], row["method"], row["rival"]) for row in claims.iter_rows(named=True)]
    assert found == [
        (1, "attribute", "self_supervised"),
        (2, "attribute", "cmc"),
        (3, "iterative", "self_supervised"),
        (3, "iterative", "pcl"),
    ]
    differences = dict(zip(found, claims["difference"], strict=True))
    assert differences[2, "attribute", "cmc"] == pytest.approx(0.05)
    assert differences[3, "iterative", "pcl"] == pytest.approx(0.2)
    assert claims["gap_closed"].to_list() == [pytest.approx(2 / 3), None, None, None]


def test_differences_are_over_the_seeds_that_both_have():
    claims = check(self_supervised={0: 0.2, 1: 0.4, 2: 0.9}, attribute={1: 0.6, 2: 0.9, 3: 0.1})
    (row,) = claims.iter_rows(named=True)
    assert row["seeds"] == [1, 2]
    assert row["difference"] == pytest.approx((0.2 + 0.0) / 2)


def test_the_first_claim_needs_half_of_the_gap_by_every_probe():
    closes = {"self_supervised": 0.3, "supervised": 0.9}
    most, little = check(attribute=0.7, **closes), check(attribute=0.5, **closes)
    assert verdicts(most)[1] == "holds"
    assert verdicts(little)[1] == "holds in part"
    assert verdicts(pl.concat([most, little.with_columns(probe=pl.lit("knn"))]))[1] == "holds in part"
    assert verdicts(check(attribute=0.61, **closes))[1] == "holds in part"  # 52 %, which may be chance
    assert verdicts(check(attribute=0.3, **closes))[1] == "open"
    assert verdicts(check(attribute=0.1, **closes))[1] == "does not hold"


def test_the_first_claim_needs_a_gap():
    found = judge(check(attribute=0.7, self_supervised=0.3))[0]
    assert found.verdict == "holds in part"
    assert "There is no gap to supervised training beyond chance" in found.text
    assert verdicts(check(attribute=0.7, self_supervised=0.3, supervised=0.2))[1] == "holds in part"
    assert verdicts(check(attribute=0.7, self_supervised=0.3, supervised=0.305))[1] == "holds in part"


def test_a_claim_against_several_rivals():
    others = {"attribute": 0.5, "cluster_cross_entropy": 0.3}
    assert verdicts(check(**others, attribute_prediction=0.3, cmc=0.3))[2] == "holds"
    assert verdicts(check(**others, attribute_prediction=0.3, cmc=0.5))[2] == "holds in part"
    assert verdicts(check(**others, attribute_prediction=0.3, cmc=0.8))[2] == "contradicted in part"
    assert verdicts(check(attribute=0.5, cluster_cross_entropy=0.7))[2] == "does not hold"


def test_a_rival_that_was_not_trained_leaves_a_claim_unproven():
    claims = check(attribute=0.5, cluster_cross_entropy=0.3)
    found = judge(claims)[1]
    assert found.verdict == "holds in part"
    assert "Attribute prediction, CMC were not trained; `kedro run --pipelines=compare`, with the other" in found.text


def test_without_a_measurement_the_command_is_named():
    found = judge(check(self_supervised=0.5))
    assert {one.verdict for one in found} == {"not measured"}
    with_options = "with the other options of this run."
    assert found[0].text == f"Not measured in this run; `kedro run` does, where there are attributes, {with_options}"
    assert found[2].text == f"Not measured in this run; `kedro run --pipelines=compare` does, {with_options}"


def test_the_words_count_what_is_beyond_chance():
    text = judge(check(self_supervised=0.3, attribute=0.7, supervised=0.9, affinity=0.701))[0].text
    assert text == (
        "Attributes, of 1 differences to Self-supervised: 1 above 0, 0 below, 0 that may be due to chance."
        " Where there is a gap, 67% (56% to 78%) of it is closed."
    )


def test_the_figure_has_a_panel_for_each_rival():
    claims = check(self_supervised=0.4, iterative=0.5, pcl=0.6, swav=0.5)
    figure = claim_figure(claims.filter(pl.col("claim") == 3), 0.95)
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "against Self-supervised",
        "against PCL",
        "against SwAV",
    ]
    colours = [axes.lines[-1].get_color() for axes in figure.axes]
    by_name = {method.name: method.colour for method in METHODS}
    assert colours[:2] == [by_name["iterative"], by_name["pcl"]]  # whoever is above by more than chance
    assert colours[2] == by_name["majority"]  # grey
    assert [float(axes.lines[-1].get_xdata()[0]) for axes in figure.axes] == pytest.approx([10, -10, 0])


def test_few_labels_are_told_beside_the_verdict_and_do_not_change_it():
    others = {"cluster_cross_entropy": 0.3, "attribute_prediction": 0.3, "cmc": 0.3}
    few = {"attribute": 0.2, "cluster_cross_entropy": 0.1, "attribute_prediction": 0.4, "cmc": 0.2}
    found = judge(check(few=few, attribute=0.5, **others))[1]
    assert found.verdict == "holds"
    assert found.rows["probe"].unique().to_list() == ["linear"]
    assert found.few_label_rows["probe"].unique().to_list() == ["linear_10%"]
    assert found.few_label_rows["difference"].to_list() == pytest.approx([0.1, -0.2, 0.0])
    assert found.text == (
        "Attributes, of 3 differences to Cluster cross-entropy, Attribute prediction, CMC: 3 above 0, 0 below, 0 that"
        " may be due to chance. With few labels, of 3 differences: 1 above 0, 1 below, 1 that may be due to chance."
    )
