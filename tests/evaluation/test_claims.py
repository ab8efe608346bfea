import re
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from tests.evaluation.data import make_samples
from tests.evaluation.test_comparison import made_up_outcomes
from weakcl_pipeline.evaluation import BootstrapConfig, check_claims, compare, measure_accuracies
from weakcl_pipeline.evaluation.claims import CLAIMS, judge
from weakcl_pipeline.evaluation.claims_figure import claim_figure
from weakcl_pipeline.evaluation.methods import METHODS

BOOTSTRAP = BootstrapConfig(resamples=400)
SAMPLES = make_samples(train=8, val=8, test=200)
BALANCED = {"balanced_accuracy": 0.5}
METRICS = {"labels": {"kind": {"linear_probe": BALANCED, "few_label": {"10%": BALANCED}}}}


def right(share):
    """The first test samples are right; a greater share is right wherever a smaller one is."""
    return np.arange(200) < round(200 * share)


def measure(few=None, **shares):
    """Check the claims given the share of test samples, or by seed the shares, that each method gets right.

    `few` gives the same by a probe on a tenth of the labels. Returns the claims and the comparison.
    """
    outcomes = outcomes_of(shares)
    for name, found in outcomes_of(few or {}).items():
        predictions = {
            seed: frame.vstack(found.predictions[seed].with_columns(probe=pl.lit("linear_10%")))
            for seed, frame in outcomes[name].predictions.items()
        }
        outcomes[name] = replace(outcomes[name], predictions=predictions, metrics=dict.fromkeys(predictions, METRICS))
    accuracies = measure_accuracies(outcomes, SAMPLES, BOOTSTRAP, seed=0)
    return check_claims(accuracies, 0.95), compare(outcomes, accuracies, 0.95)


def check(**shares):
    return measure(**shares)[0]


def outcomes_of(shares):
    seeds = {
        name: {seed: right(share) for seed, share in (found if isinstance(found, dict) else {0: found}).items()}
        for name, found in shares.items()
    }
    return made_up_outcomes(seeds, SAMPLES)


def judged(**shares):
    return judge(*measure(**shares), 0.95, "kind")


def verdicts(**shares):
    return {found.claim.number: found.verdict for found in judged(**shares)}


def row(difference, low, high, seeds=(0, 1), rival="cmc", probe="linear"):
    ends = {"difference": difference, "difference_low": low, "difference_high": high}
    gap = dict.fromkeys(["gap_closed", "gap_closed_low", "gap_closed_high"], None)
    about = {"claim": 2, "label": "kind", "probe": probe, "method": "attribute", "rival": rival}
    return about | {"seeds": list(seeds)} | ends | gap


WON, LOST, OPEN = (0.02, 0.001, 0.039), (-0.02, -0.039, -0.001), (0.0, -0.02, 0.02)
FAR_WON, FAR_LOST = (0.04, 0.02, 0.06), (-0.04, -0.06, -0.02)


def judge_rows(*rows, confidence=0.95):
    """Judge the second claim by rows, whose methods were all trained."""
    schema = check(self_supervised=0.5).schema
    trained = ["attribute", "cluster_cross_entropy", "attribute_prediction", "cmc"]
    comparison = measure(**dict.fromkeys(trained, 0.5))[1]
    return judge(pl.DataFrame(rows, schema=schema), comparison, confidence, "kind")[1]


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
    (most, comparison), little = measure(attribute=0.7, **closes), check(attribute=0.5, **closes)
    assert judge(most, comparison, 0.95, "kind")[0].verdict == "holds"
    assert judge(little, comparison, 0.95, "kind")[0].verdict == "holds in part"
    both = pl.concat([most, little.with_columns(probe=pl.lit("knn"))])
    assert judge(both, comparison, 0.95, "kind")[0].verdict == "holds in part"
    assert verdicts(attribute=0.61, **closes)[1] == "holds in part"  # 52 %, which may be chance
    assert verdicts(attribute=0.3, **closes)[1] == "open"
    assert verdicts(attribute=0.1, **closes)[1] == "does not hold"


def test_the_first_claim_needs_a_gap():
    found = judged(attribute=0.7, self_supervised=0.3)[0]
    assert found.verdict == "holds in part"
    assert "There is no gap to supervised training beyond chance" in found.text
    assert verdicts(attribute=0.7, self_supervised=0.3, supervised=0.305)[1] == "holds in part"


def test_supervised_training_that_failed_is_told():
    found = judged(attribute=0.7, self_supervised=0.3, supervised=0.2)[0]
    assert found.verdict == "holds in part"
    assert "Supervised training does not help, so there is no gap to close." in found.text
    other = judge(*measure(attribute=0.7, self_supervised=0.3, supervised=0.2), 0.95, "side")[0]
    assert "does not help" not in other.text  # it was trained on another label


def test_a_gap_that_widens_is_not_closed_by_a_negative_share():
    text = judged(attribute=0.1, self_supervised=0.3, supervised=0.9)[0].text
    assert re.search(r"Where there is a gap, nothing \(-\d+% to -\d+%\) of it is closed\.", text)


def test_a_claim_against_several_rivals():
    others = {"attribute": 0.5, "cluster_cross_entropy": 0.3}
    assert verdicts(**others, attribute_prediction=0.3, cmc=0.3)[2] == "holds"
    assert verdicts(**others, attribute_prediction=0.3, cmc=0.5)[2] == "holds in part"
    assert verdicts(**others, attribute_prediction=0.3, cmc=0.8)[2] == "contradicted in part"
    assert verdicts(attribute=0.5, cluster_cross_entropy=0.7)[2] == "does not hold"


@pytest.mark.parametrize(
    ("differences", "verdict", "remaining"),
    [
        ([LOST, OPEN], "open", (0, 0)),
        ([WON, OPEN], "open", (0, 0)),
        ([FAR_LOST, OPEN], "does not hold", (0, 1)),
        ([FAR_WON, LOST, OPEN], "holds in part", (1, 0)),
        ([FAR_WON, FAR_LOST, LOST, WON], "contradicted in part", (1, 1)),
        ([FAR_WON, FAR_WON, WON], "holds in part", (3, 0)),  # rivals are missing
    ],
)
def test_a_difference_decides_if_it_is_beyond_chance_with_all_of_them_taken_together(differences, verdict, remaining):
    rows = [row(*difference, probe=f"probe {place}") for place, difference in enumerate(differences)]
    found = judge_rows(*rows)
    won, lost = (sum(difference in kind for difference in differences) for kind in ((WON, FAR_WON), (LOST, FAR_LOST)))
    assert found.verdict == verdict
    assert f": {won} above 0, {lost} below, {len(rows) - won - lost} that may" in found.text
    assert "together, {} above and {} below remain beyond chance.".format(*remaining) in found.text


def test_taken_together_the_confidence_is_that_of_the_intervals():
    rows = row(0.04, 0.004, 0.076), row(*OPEN, probe="knn")
    assert judge_rows(*rows, confidence=0.95).verdict == "open"  # 2.18 standard errors: 2.9 %, of two 5.9 %
    assert judge_rows(*rows, confidence=0.999).verdict == "holds in part"  # 3.66: 0.026 %, of two 0.051 %


def test_a_single_difference_is_taken_as_it_is():
    found = judge_rows(row(*LOST))
    assert found.verdict == "does not hold"
    assert "taken together" not in found.text
    assert judge_rows(row(0.02, 0.0, 0.04)).verdict == "open"
    assert "taken together" not in judge_rows(row(*OPEN), row(*OPEN, rival="pcl")).text


def test_one_training_of_each_is_told():
    says = "That is one training of each: how trainings differ by their seed is not covered; more seeds tell."
    assert judge_rows(row(*WON, seeds=[0]), row(*WON, seeds=[3], rival="pcl")).text.endswith(says)
    assert says not in judge_rows(row(*WON, seeds=[0]), row(*WON, rival="pcl")).text


@pytest.mark.parametrize(
    ("seeds", "command"),
    [
        ([0], "kedro run --pipelines=compare --params=seed=0"),
        ([10, 9], "for seed in 9 10; do kedro run --pipelines=compare --params=seed=$seed; done"),
        (["10", "9"], "for seed in 9 10; do kedro run --pipelines=compare --params=seed=$seed; done"),
    ],
)
def test_the_command_names_the_seeds(seeds, command):
    found = judge_rows(row(*WON, seeds=[0]))
    seeds_column = pl.Series("seeds", [seeds])
    assert replace(found, rows=found.rows.with_columns(seeds_column)).command() == command


def test_the_command_takes_more_parameters():
    assert judge_rows(row(*WON)).command("a.b=1") == (
        "for seed in 0 1; do kedro run --pipelines=compare --params=seed=$seed,a.b=1; done"
    )
    assert judge_rows().command() == "kedro run --pipelines=compare"


def test_a_rival_that_was_not_trained_leaves_a_claim_unproven():
    found = judged(attribute=0.5, cluster_cross_entropy=0.3)[1]
    assert found.verdict == "holds in part"
    assert (
        "Attribute prediction, CMC were not trained. With the environment and parameters of this run, `kedro run"
        " --pipelines=compare` trains them where there are attributes." in found.text
    )


def test_without_attributes_nobody_is_sent_to_the_rivals():
    text = judged(self_supervised=0.4, iterative=0.5, pcl=0.4)[2].text  # none of these needs attributes
    assert (
        "SwAV was not trained. With the environment and parameters of this run, `kedro run --pipelines=compare`" in text
    )
    assert (
        "trains it where there are attributes; where there are none, `kedro run --pipelines=compare_pictures`." in text
    )


def test_a_rival_of_other_seeds_was_trained_all_the_same():
    found = judged(attribute={0: 0.5, 1: 0.5}, cluster_cross_entropy={1: 0.3}, cmc={2: 0.3})[1]
    assert found.verdict == "holds in part"
    assert (
        "Attributes and CMC have no seed in common, so they do not compare; train them with the same seed."
        " Attribute prediction was not trained. With" in found.text
    )
    apart = judged(attribute={0: 0.5}, self_supervised={1: 0.5})[0]
    assert apart.verdict == "not measured"
    assert apart.text == (
        "Attributes and Self-supervised have no seed in common, so they do not compare; train them with the same seed."
    )


def test_without_a_measurement_the_command_is_named():
    found = judged(self_supervised=0.5)
    assert {one.verdict for one in found} == {"not measured"}
    how, where = "With the environment and parameters of this run,", "measures it where there are attributes."
    assert found[0].text == f"Not measured in this run. {how} `kedro run` {where}"
    assert found[1].text == f"Not measured in this run. {how} `kedro run --pipelines=compare` {where}"


def test_the_words_count_what_is_beyond_chance():
    text = judged(self_supervised=0.3, attribute=0.7, supervised=0.9, affinity=0.701)[0].text
    assert text == (
        "Attributes, of 1 difference to Self-supervised: 1 above 0, 0 below, 0 that may be due to chance."
        " Where there is a gap, 67% (56% to 78%) of it is closed."
        " That is one training of each: how trainings differ by their seed is not covered; more seeds tell."
    )


def test_the_figure_has_a_panel_for_each_rival():
    claims = check(self_supervised=0.4, iterative=0.5, pcl=0.6, swav=0.5)
    figure = claim_figure(claims.filter(pl.col("claim") == 3), 0.999)
    assert figure.get_supxlabel() == "Iterative k-means minus rival, test accuracy in points, 99.9% interval"
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
    found = judged(few=few, attribute=0.5, **others)[1]
    assert found.verdict == "holds"
    assert found.rows["probe"].unique().to_list() == ["linear"]
    assert found.few_label_rows["probe"].unique().to_list() == ["linear_10%"]
    assert found.few_label_rows["difference"].to_list() == pytest.approx([0.1, -0.2, 0.0])
    assert found.text == (
        "Attributes, of 3 differences to Cluster cross-entropy, Attribute prediction, CMC: 3 above 0, 0 below, 0 that"
        " may be due to chance. With all of them taken together, 3 above and 0 below remain beyond chance."
        " With few labels, of 3 differences: 1 above 0, 1 below, 1 that may be due to chance."
        " That is one training of each: how trainings differ by their seed is not covered; more seeds tell."
    )
