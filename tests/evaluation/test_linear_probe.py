import json

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from tests.evaluation.data import make_features, make_samples, task_of
from weakcl_pipeline.evaluation.linear_probe import LinearProbeConfig, Standardiser, linear_probe

TIGHT = LinearProbeConfig(costs=(0.01, 0.1, 1.0), tolerance=1e-8, max_iterations=2000)


def test_against_scikit_learn_with_a_loop_over_costs():
    samples = make_samples(train=200, val=80, test=120, classes=7)
    features = make_features(samples, dim=10) * np.geomspace(0.01, 100, 10, dtype=np.float32) + 3
    task = task_of(samples, features)
    scaler = StandardScaler().fit(task.train.features)
    best = None
    for cost in TIGHT.costs:
        model = LogisticRegression(C=cost, tol=1e-8, max_iter=10000)
        model.fit(scaler.transform(task.train.features), task.train.classes)
        score = model.score(scaler.transform(task.val.features), task.val.classes)
        if best is None or score > best[0]:
            best = (score, cost, model)
    metrics, predicted = linear_probe(task, TIGHT)
    expected = best[2].predict(scaler.transform(task.test.features))
    assert metrics["C"] == best[1]
    assert metrics["validation_accuracy"] == pytest.approx(best[0])
    assert np.mean(predicted == expected) > 0.99
    assert metrics["accuracy"] == pytest.approx(np.mean(predicted == task.test.classes))
    assert metrics["top_5_accuracy"] >= metrics["accuracy"]
    assert metrics["converged"]
    json.dumps(metrics)


def test_of_equally_good_costs_the_smallest_is_taken():
    samples = make_samples()
    task = task_of(samples, make_features(samples, signal=50))  # every cost gets all of the validation split
    metrics, _ = linear_probe(task, LinearProbeConfig(costs=(1.0, 0.1, 0.3)))
    assert metrics["validation_accuracy"] == 1
    assert metrics["C"] == 0.1
    assert metrics["top_5_accuracy"] is None


def test_the_test_split_has_no_say_in_the_fit():
    samples = make_samples()
    features = make_features(samples)
    shifted = features.copy()
    shifted[samples["split"] == "test"] += 1000
    metrics, _ = linear_probe(task_of(samples, features), TIGHT)
    others, _ = linear_probe(task_of(samples, shifted), TIGHT)
    assert (metrics["C"], metrics["validation_accuracy"]) == (others["C"], others["validation_accuracy"])
    assert metrics["accuracy"] > others["accuracy"]


def test_classes_that_were_never_seen_count_as_errors():
    samples = make_samples()
    features = make_features(samples, signal=50)
    is_new = (pl.col("split") == "test") & (pl.col("label_kind") == "kind 1")
    samples = samples.with_columns(label_kind=pl.when(is_new).then(pl.lit("unseen")).otherwise("label_kind"))
    metrics, predicted = linear_probe(task_of(samples, features), TIGHT)
    assert metrics["per_class"]["unseen"] == {"recall": 0.0, "samples": 10}
    assert metrics["accuracy"] == pytest.approx(0.75)
    assert set(predicted.tolist()) <= set(range(4))


def test_standardiser_on_features_that_hardly_vary():
    features = np.array([[1e6, 5.0, 1e-12], [1e6, 7.0, -1e-12]], dtype=np.float32)
    features[1, 0] = np.nextafter(np.float32(1e6), np.float32(2e6))
    standardised = Standardiser.of(features)(features)
    np.testing.assert_allclose(standardised[:, 1], [-1, 1])
    np.testing.assert_allclose(standardised[:, 2], [1, -1])  # small, but it varies
    assert np.abs(standardised[:, 0]).max() < 0.1


def test_costs_must_be_positive():
    with pytest.raises(ValidationError, match="greater than 0"):
        LinearProbeConfig(costs=(0.0,))
    with pytest.raises(ValidationError):
        LinearProbeConfig(costs=())
