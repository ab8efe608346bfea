import numpy as np
import polars as pl
import pytest
from scipy import stats

from tests.evaluation.data import make_features, make_samples
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.evaluation import (
    BootstrapConfig,
    EvaluationConfig,
    Outcome,
    evaluate_features,
    evaluate_majority,
    measure_accuracies,
)
from weakcl_pipeline.evaluation import compare as compare_accuracies

CONFIG = EvaluationConfig.model_validate(
    {"linear_probe": {"costs": [0.1]}, "knn": {"ks": [5]}, "few_label": {"shares": [0.1], "repeats": 2, "costs": [1.0]}}
)
SIGNALS = {"self_supervised": 0.5, "attribute": 1.2, "supervised": 3.0, "raw_pixels": 0.2}
BOOTSTRAP = BootstrapConfig(resamples=500)


def compare(outcomes, samples, config, seed):
    return compare_accuracies(outcomes, measure_accuracies(outcomes, samples, config, seed), config.confidence)


def outcome(metrics, predictions, seed=0):
    """A method that was run with one seed."""
    return Outcome({seed: predictions}, {seed: metrics}, {})


@pytest.fixture(scope="module")
def evaluated():
    samples = make_samples(train=120, val=60, test=150)
    found = {
        name: evaluate_features(make_features(samples, signal=signal, seed=len(name)), samples, CONFIG, seed=2)
        for name, signal in SIGNALS.items()
    }
    found["majority"] = evaluate_majority(samples, None, seed=2)
    return samples, {name: outcome(*parts, seed=2) for name, parts in found.items()}


@pytest.fixture(scope="module")
def comparison(evaluated):
    samples, outcomes = evaluated
    return compare(outcomes, samples, BOOTSTRAP, seed=2)


def made_up(correct, samples):
    """Predictions of one label and probe that are right where told."""
    test = samples.filter(pl.col("split") == "test")
    return pl.DataFrame(
        {
            "sample_id": test["sample_id"],
            "label": "kind",
            "probe": "linear",
            "repeat": pl.Series([0] * len(test), dtype=pl.Int32),
            "predicted": ["a" if right else "b" for right in correct],
            "true": "a",
        }
    )


PLAIN_METRICS = {"labels": {"kind": {"linear_probe": {"balanced_accuracy": 0.5}}}}


def made_up_outcomes(correct, samples):
    """Method -> seed -> which test samples are right, or without seeds -> which are."""
    seeds = {name: found if isinstance(found, dict) else {0: found} for name, found in correct.items()}
    return {
        name: Outcome(
            {seed: made_up(right, samples) for seed, right in found.items()},
            dict.fromkeys(found, PLAIN_METRICS),
            {},
        )
        for name, found in seeds.items()
    }


def one(comparison, method, label="kind", probe="linear"):
    return comparison.filter(method=method, label=label, probe=probe).row(0, named=True)


def test_a_row_for_every_label_probe_and_method(comparison):
    assert len(comparison) == 2 * 3 * 5
    assert comparison["label"].unique(maintain_order=True).to_list() == ["kind", "side"]
    assert comparison["probe"].unique(maintain_order=True).to_list() == ["linear", "knn", "linear_10%"]
    order = ["majority", "raw_pixels", "self_supervised", "attribute", "supervised"]
    assert comparison["method"].to_list() == order * 6
    assert comparison["seeds"].to_list() == [[2]] * 30
    assert comparison["deviation"].null_count() == comparison["seconds"].null_count() == 30
    assert (comparison["samples"].unique().to_list(), comparison["groups"].unique().to_list()) == ([150], [105])
    assert comparison["shared_seeds"].to_list() == [[2]] * 30


def test_accuracies_are_those_of_the_metrics(comparison, evaluated):
    _, outcomes = evaluated
    for row in comparison.iter_rows(named=True):
        found = outcomes[row["method"]].metrics[2]["labels"][row["label"]]
        if row["method"] == "majority":
            expected = found["majority"]
        elif row["probe"] == "linear_10%":
            expected = found["few_label"]["10%"]
        else:
            expected = found[{"linear": "linear_probe", "knn": "knn"}[row["probe"]]]
        assert row["accuracy"] == pytest.approx(expected["accuracy"])
        assert row["balanced_accuracy"] == pytest.approx(expected["balanced_accuracy"])
        assert row["accuracy_low"] <= row["accuracy"] <= row["accuracy_high"]


def test_differences_and_shares_of_the_gap(comparison):
    lower, upper = one(comparison, "self_supervised"), one(comparison, "supervised")
    row = one(comparison, "attribute")
    difference = row["accuracy"] - lower["accuracy"]
    assert row["difference"] == pytest.approx(difference)
    assert row["gap_closed"] == pytest.approx(difference / (upper["accuracy"] - lower["accuracy"]))
    assert row["difference_low"] < row["difference"] < row["difference_high"]
    assert row["gap_closed_low"] < row["gap_closed"] < row["gap_closed_high"]
    assert [lower[f"difference{end}"] for end in ("", "_low", "_high")] == [0, 0, 0]
    assert [upper[f"gap_closed{end}"] for end in ("", "_low", "_high")] == pytest.approx([1, 1, 1])


def test_paired_interval_against_a_naive_loop():
    samples = make_samples(test=60)
    rng = np.random.default_rng(0)
    lower = rng.random(60) < 0.5
    correct = {"self_supervised": lower, "attribute": lower | (rng.random(60) < 0.3)}
    config = BootstrapConfig(resamples=20_000)
    row = one(compare(made_up_outcomes(correct, samples), samples, config, seed=0), "attribute")
    units = samples.filter(pl.col("split") == "test").with_row_index()
    members = [
        part["index"].to_list()
        for part in units.with_columns(pl.coalesce("group", "sample_id").alias("unit")).partition_by("unit")
    ]
    gains = correct["attribute"].astype(float) - lower
    naive = []
    for _ in range(20_000):
        rows = [i for g in rng.integers(0, len(members), len(members)) for i in members[g]]
        naive.append(gains[rows].mean())
    assert row["difference_low"] == pytest.approx(np.quantile(naive, 0.025), abs=0.01)
    assert row["difference_high"] == pytest.approx(np.quantile(naive, 0.975), abs=0.01)
    assert row["gap_closed"] is None  # there is no supervised encoder


@pytest.mark.parametrize(("upper", "share"), [(0.4, None), (0.52, None), (0.9, 0.0)])
def test_there_is_no_share_of_a_gap_that_may_be_chance(upper, share):
    samples = make_samples(test=100)
    place = np.arange(100)
    correct = {"self_supervised": place < 50, "attribute": place < 50, "supervised": place < 100 * upper}
    row = one(compare(made_up_outcomes(correct, samples), samples, BOOTSTRAP, seed=0), "attribute")
    assert row["gap_closed"] == row["gap_closed_low"] == share


def test_there_is_no_share_of_a_gap_to_supervision_by_another_label(comparison):
    assert comparison.filter(label="kind", method="attribute", probe="linear")["gap_closed"].null_count() == 0
    assert comparison.filter(label="side")["gap_closed"].null_count() == comparison.filter(label="side").height


def test_there_is_no_share_of_a_gap_on_few_labels_of_which_supervision_has_seen_all(comparison):
    few = comparison.filter(probe="linear_10%")
    assert few["gap_closed"].null_count() == few.height


def test_differences_are_over_shared_seeds_which_are_named():
    samples = make_samples(test=40)
    place = np.arange(40)
    correct = {
        "self_supervised": {0: place < 10},
        "attribute": {seed: place < (30 if seed == 0 else 12) for seed in range(5)},
        "supervised": {1: place < 38},
    }
    found = compare(made_up_outcomes(correct, samples), samples, BOOTSTRAP, seed=0)
    row = one(found, "attribute")
    assert (row["seeds"], row["shared_seeds"], row["difference"]) == ([0, 1, 2, 3, 4], [0], 0.5)
    assert one(found, "supervised")["shared_seeds"] == []


def test_one_group_of_test_samples_tells_nothing_of_others():
    samples = make_samples(test=40).with_columns(group=pl.lit("one site"))
    place = np.arange(40)
    correct = {"self_supervised": place < 10, "attribute": place < 30, "supervised": place < 38}
    row = one(compare(made_up_outcomes(correct, samples), samples, BOOTSTRAP, seed=0), "attribute")
    assert (row["groups"], row["accuracy_low"], row["accuracy_high"]) == (1, 0, 1)
    assert (row["difference"], row["difference_low"], row["difference_high"]) == (0.5, -1, 1)
    assert row["gap_closed"] is None


def test_intervals_hold_nothing_that_accuracies_cannot_be():
    samples = make_samples(test=40)
    place = np.arange(40)
    correct = {"self_supervised": {0: place < 1, 1: place < 9}, "attribute": {0: place < 40, 1: place < 30}}
    found = compare(made_up_outcomes(correct, samples), samples, BOOTSTRAP, seed=0)
    assert one(found, "attribute")["accuracy_high"] == one(found, "attribute")["difference_high"] == 1
    assert one(found, "self_supervised")["accuracy_low"] == 0


def test_equal_accuracies_have_the_same_rank_however_they_are_rounded():
    samples = make_samples(test=10)
    place = np.arange(10)
    of = {"self_supervised": (1, 2, 3), "attribute": (3, 2, 1), "supervised": (2, 3, 1)}
    correct = {name: {seed: place < n for seed, n in enumerate(counts)} for name, counts in of.items()}
    found = compare(made_up_outcomes(correct, samples), samples, BOOTSTRAP, seed=0)
    assert {one(found, name)["rank"] for name in of} == {1}


def test_without_a_self_supervised_encoder_there_are_no_differences():
    samples = make_samples()
    outcomes = made_up_outcomes({"attribute": np.ones(40), "supervised": np.ones(40)}, samples)
    found = compare(outcomes, samples, BOOTSTRAP, seed=0)
    assert found["difference"].null_count() == found["gap_closed"].null_count() == 2
    assert found.schema["difference"] == pl.Float64


def test_majority_alone_is_compared_under_its_own_name():
    samples = make_samples()
    found = compare({"majority": outcome(*evaluate_majority(samples, None, seed=0))}, samples, BOOTSTRAP, seed=0)
    assert found["probe"].to_list() == ["majority", "majority"]


def test_repeats_are_averaged_by_sample():
    samples = make_samples(test=4)
    first, second = made_up([1, 1, 0, 0], samples), made_up([1, 0, 1, 0], samples)
    both = pl.concat([first, second.with_columns(repeat=pl.lit(1, pl.Int32))])
    found = compare({"attribute": outcome(PLAIN_METRICS, both)}, samples, BOOTSTRAP, seed=0)
    assert found["accuracy"].to_list() == [0.5]
    assert found["samples"].to_list() == [4]


def test_order_of_rows_does_not_matter_and_the_seed_does(evaluated, comparison):
    samples, outcomes = evaluated
    shuffled = {
        name: outcome(found.metrics[2], found.predictions[2].sample(fraction=1, shuffle=True, seed=1), seed=2)
        for name, found in outcomes.items()
    }
    again = compare(shuffled, samples.reverse(), BOOTSTRAP, seed=2)
    keys = ["label", "probe", "method"]
    assert again.sort(keys).equals(comparison.sort(keys))
    other = compare(outcomes, samples, BOOTSTRAP, seed=3)
    assert other["accuracy"].equals(comparison["accuracy"])
    assert not other["accuracy_low"].equals(comparison["accuracy_low"])


@pytest.mark.parametrize("seed", [2, 3])
def test_methods_and_seeds_of_other_samples_are_refused(evaluated, seed):
    samples, outcomes = evaluated
    found = outcomes["attribute"]
    less = found.predictions[2].filter(pl.col("sample_id") != "s0200")
    changed = Outcome({**found.predictions, seed: less}, {**found.metrics, seed: found.metrics[2]}, {})
    with pytest.raises(InputError, match=r"attribute.predictions: other test samples for 'kind'"):
        compare(outcomes | {"attribute": changed}, samples, BOOTSTRAP, seed=2)


def test_means_and_deviations_are_over_the_seeds():
    samples = make_samples(test=10)
    place = np.arange(10)
    correct = {"self_supervised": place < 5, "attribute": {0: place < 7, 4: place < 3}, "iterative": place < 6}
    found = compare(made_up_outcomes(correct, samples), samples, BOOTSTRAP, seed=0)
    row = one(found, "attribute")
    assert (row["seeds"], row["accuracy"]) == ([0, 4], pytest.approx(0.5))
    assert row["deviation"] == pytest.approx(0.2 * 2**0.5)
    assert row["difference"] == pytest.approx(0.2)  # only seed 0 can be set against the others
    assert dict(found.select("method", "rank").iter_rows()) == {"attribute": 1, "iterative": 2, "self_supervised": 3}


def test_ranks_are_over_the_seeds_that_all_methods_have():
    samples = make_samples(test=10)
    place = np.arange(10)
    correct = {
        "self_supervised": {0: place < 5, 1: place < 9},
        "attribute": {0: place < 6, 2: place < 1},
        "iterative": {0: place < 7, 1: place < 1},
    }
    found = compare(made_up_outcomes(correct, samples), samples, BOOTSTRAP, seed=0)
    assert dict(found.select("method", "rank").iter_rows()) == {"iterative": 1, "attribute": 2, "self_supervised": 3}
    correct["supervised"] = {1: place < 10}
    found = compare(made_up_outcomes(correct, samples), samples, BOOTSTRAP, seed=0)
    assert found["rank"].null_count() == 4
    assert found.schema["rank"] == pl.Int64


def test_methods_without_a_common_seed_are_not_set_against_each_other():
    samples = make_samples(test=10)
    correct = {"self_supervised": {1: np.ones(10)}, "attribute": {0: np.ones(10)}}
    row = one(compare(made_up_outcomes(correct, samples), samples, BOOTSTRAP, seed=0), "attribute")
    assert [row[f"difference{end}"] for end in ("", "_low", "_high")] == [None] * 3


def test_interval_over_seeds_and_samples_against_a_naive_loop():
    samples = make_samples(test=40).with_columns(group=pl.lit(None, pl.String))
    rng = np.random.default_rng(1)
    lower = {seed: rng.random(40) < 0.5 for seed in range(4)}
    upper = {seed: right | (rng.random(40) < 0.2 * seed) for seed, right in lower.items()}
    config = BootstrapConfig(resamples=20_000)
    correct = {"self_supervised": lower, "attribute": upper}
    row = one(compare(made_up_outcomes(correct, samples), samples, config, seed=0), "attribute")
    gains = np.stack([upper[seed].astype(float) - lower[seed] for seed in range(4)])
    naive = []
    for _ in range(20_000):
        seeds, rows = rng.integers(0, 4, 4), rng.integers(0, 40, 40)
        of_seeds = gains[:, rows].mean(axis=1)
        naive.append(of_seeds.mean() + (of_seeds[seeds].mean() - of_seeds.mean()) * (4 / 3) ** 0.5)
    between = gains.mean(axis=1).var(ddof=1) / 4
    wider = stats.t.ppf(0.975, 3 / (between / np.var(naive)) ** 2) / stats.norm.ppf(0.975)
    low, high = (gains.mean() + wider * (np.quantile(naive, end) - gains.mean()) for end in (0.025, 0.975))
    assert wider > 1.05
    assert row["difference"] == pytest.approx(gains.mean())
    assert row["difference_low"] == pytest.approx(low, abs=0.01)
    assert row["difference_high"] == pytest.approx(high, abs=0.01)
    of_samples_alone = [gains[:, rng.integers(0, 40, 40)].mean() for _ in range(20_000)]
    assert row["difference_high"] > np.quantile(of_samples_alone, 0.975) + 0.02


def test_the_cost_of_a_training_is_averaged_over_its_seeds():
    samples = make_samples(test=10)
    plain = made_up_outcomes({"attribute": {0: np.ones(10), 1: np.ones(10)}}, samples)["attribute"]
    histories = {
        0: pl.DataFrame({"seconds": [1.0, 3.0], "images_per_second": [300.0, 100.0]}),  # 600 images in 4 s
        1: pl.DataFrame({"seconds": [3.0, 3.0], "images_per_second": [100.0, 100.0]}),
    }
    timed = {"attribute": Outcome(plain.predictions, plain.metrics, histories)}
    row = one(compare(timed, samples, BOOTSTRAP, seed=0), "attribute")
    assert (row["seconds"], row["images_per_second"]) == (5.0, 120.0)
