import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluation.data import make_features, make_samples, task_of
from weakcl_pipeline.evaluation.few_label import FewLabelConfig, draw, few_label_probe
from weakcl_pipeline.evaluation.linear_probe import LinearProbeConfig, linear_probe
from weakcl_pipeline.evaluation.probes import share_name

PROBE = LinearProbeConfig()


@settings(deadline=None)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=200), st.floats(0.001, 1), st.integers(0, 2**31))
def test_draws_are_stratified_and_hold_every_class(classes, share, seed):
    classes = np.array(classes, dtype=np.int64)
    chosen = draw(classes, share, np.random.default_rng(seed))
    assert len(set(chosen.tolist())) == len(chosen)
    assert (np.diff(chosen) > 0).all()
    for c in set(classes.tolist()):
        size = int((classes == c).sum())
        assert int((classes[chosen] == c).sum()) == max(1, round(share * size))


def test_the_whole_share_is_the_linear_probe():
    samples = make_samples()
    task = task_of(samples, make_features(samples))
    config = FewLabelConfig(shares=(1.0,), repeats=2, costs=PROBE.costs)
    metrics, predictions = few_label_probe(task, 1.0, config, PROBE, seed=0)
    whole, predicted = linear_probe(task, PROBE)
    assert metrics["train_samples"] == 60
    assert metrics["accuracy"] == whole["accuracy"]
    assert all((repeat == predicted).all() for repeat in predictions)


def test_figures_are_means_over_the_repeats():
    samples = make_samples()
    task = task_of(samples, make_features(samples))
    metrics, predictions = few_label_probe(task, 0.1, FewLabelConfig(repeats=4), PROBE, seed=0)
    accuracies = [np.mean(predicted == task.test.classes) for predicted in predictions]
    assert len(set(accuracies)) > 1
    assert metrics["accuracy"] == pytest.approx(np.mean(accuracies))
    assert set(metrics) == {"accuracy", "balanced_accuracy", "validation_accuracy", "train_samples", "repeats"}
    assert [repeat["accuracy"] for repeat in metrics["repeats"]] == pytest.approx(accuracies)
    of_repeats = [repeat["validation_accuracy"] for repeat in metrics["repeats"]]
    assert metrics["validation_accuracy"] == pytest.approx(np.mean(of_repeats))
    assert metrics["train_samples"] == 8  # 1.5 of each of four classes, rounded to the even number


def test_draws_depend_on_the_seed_and_nothing_else():
    samples = make_samples()
    config = FewLabelConfig(repeats=2)
    task = task_of(samples, make_features(samples))
    first, second = (few_label_probe(task, 0.1, config, PROBE, seed=3) for _ in range(2))
    assert first[0] == second[0]
    assert few_label_probe(task, 0.1, config, PROBE, seed=4)[0] != first[0]


def test_a_class_with_one_sample_is_always_drawn():
    samples = make_samples()
    row = pl.int_range(pl.len())
    samples = samples.with_columns(label_kind=pl.when(row == 7).then(pl.lit("rare")).otherwise("label_kind"))
    features = make_features(make_samples(), signal=20)
    features[7] = 500
    features[-1] = 500
    samples = samples.with_columns(label_kind=pl.when(row == pl.len() - 1).then(pl.lit("rare")).otherwise("label_kind"))
    task = task_of(samples, features)
    _, predictions = few_label_probe(task, 0.02, FewLabelConfig(repeats=3), PROBE, seed=0)
    assert all(task.names[predicted[-1]] == "rare" for predicted in predictions)


def test_names_of_shares():
    assert [share_name(share) for share in (0.01, 0.1, 0.005, 1.0)] == ["1%", "10%", "0.5%", "100%"]
