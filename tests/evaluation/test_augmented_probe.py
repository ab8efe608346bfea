import json
import math

import numpy as np
import polars as pl
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from tests.evaluation.data import make_features, make_samples, task_of
from weakcl_pipeline.evaluation.augmented_probe import AugmentedProbeConfig, augmented_probe
from weakcl_pipeline.seeding import numpy_generator, seeded_torch, torch_generator

CONFIG = AugmentedProbeConfig(epochs=4, batch_size=16)


class NoisyViews:
    """Views of features: the features themselves and noise; remembers what was asked for."""

    def __init__(self, features):
        self.features = torch.from_numpy(features)
        self.asked = []

    def __call__(self, rows, generator):
        self.asked.append(rows)
        found = self.features[torch.from_numpy(rows)]
        return found + 0.3 * torch.randn(found.shape, generator=generator)


def by_hand(task, views, config, seed):
    """SGD with Nesterov momentum in float64, written out; returns the scores of the test split."""
    with seeded_torch(seed, "augmented probe"):
        first = nn.Linear(task.train.features.shape[1], task.known)
    # Weight and bias side by side: the bias belongs to a feature that is always 1.
    weight = np.column_stack([first.weight.detach().double().numpy(), first.bias.detach().double().numpy()])
    velocity = np.zeros_like(weight)
    classes = dict(zip(task.train.rows.tolist(), task.train.classes.tolist(), strict=True))
    for epoch in range(config.epochs):
        cosine = (1 + math.cos(math.pi * epoch / config.epochs)) / 2
        rate = config.learning_rate * (1e-3 + (1 - 1e-3) * cosine)
        order = numpy_generator(seed, "augmented probe", epoch).permutation(task.train.rows)
        generator = torch_generator(seed, "augmented probe", epoch)
        for start in range(0, len(order), config.batch_size):
            rows = order[start : start + config.batch_size]
            x = np.column_stack([views(rows, generator).double().numpy(), np.ones(len(rows))])
            scores = x @ weight.T
            shares = np.exp(scores - scores.max(axis=1, keepdims=True))
            shares /= shares.sum(axis=1, keepdims=True)
            error = (shares - np.eye(task.known)[[classes[row] for row in rows.tolist()]]) / len(rows)
            gradient = error.T @ x + config.weight_decay * weight
            velocity = config.momentum * velocity + gradient
            weight -= rate * (gradient + config.momentum * velocity)
    return np.column_stack([task.test.features, np.ones(len(task.test.rows))]) @ weight.T


def test_it_is_the_papers_sgd_written_out():
    samples = make_samples(train=70, val=30, test=50, classes=7)
    features = make_features(samples, signal=0.6)
    task = task_of(samples, features)
    [(metrics, predicted)] = augmented_probe([task], NoisyViews(features), CONFIG, seed=3)
    np.testing.assert_array_equal(predicted, by_hand(task, NoisyViews(features), CONFIG, 3).argmax(axis=1))
    assert metrics["accuracy"] == pytest.approx(np.mean(predicted == task.test.classes))
    assert metrics["top_5_accuracy"] >= metrics["accuracy"]
    assert 0 <= metrics["validation_accuracy"] <= 1
    json.dumps(metrics, allow_nan=False)


def test_each_epoch_sees_every_labelled_picture_once_in_a_new_order():
    samples = make_samples()
    views = NoisyViews(make_features(samples))
    augmented_probe([task_of(samples, make_features(samples))], views, CONFIG, seed=0)
    steps = -(-60 // 16)
    epochs = [np.concatenate(views.asked[start : start + steps]) for start in range(0, len(views.asked), steps)]
    assert len(epochs) == 4
    assert all(sorted(epoch) == list(range(60)) for epoch in epochs)
    assert not np.array_equal(epochs[0], epochs[1])


def test_labels_do_not_disturb_each_other_and_missing_ones_teach_nothing():
    samples = make_samples().with_columns(
        label_side=pl.when(pl.int_range(pl.len()) % 4 != 3).then(pl.col("label_side"))
    )
    features = make_features(samples)
    kind, side = (task_of(samples, features, label) for label in ("kind", "side"))
    [alone] = augmented_probe([kind], NoisyViews(features), CONFIG, seed=0)
    together = augmented_probe([kind, side], NoisyViews(features), CONFIG, seed=0)
    assert together[0][0] == alone[0]
    assert len(together[1][1]) == 30
    assert together[1][0]["accuracy"] > 0.8


def test_a_batch_without_a_label_leaves_the_classifier_finite():
    samples = make_samples().with_columns(label_side=pl.when(pl.int_range(pl.len()) % 10 < 2).then("label_side"))
    features = make_features(samples)
    tasks = [task_of(samples, features, label) for label in ("kind", "side")]
    config = AugmentedProbeConfig(epochs=2, batch_size=1)
    for metrics, _ in augmented_probe(tasks, NoisyViews(features), config, seed=0):
        assert metrics["accuracy"] > 0.3


def test_better_features_get_better_figures():
    samples = make_samples(train=200, val=80, test=200)
    found = []
    for signal in (0.0, 0.7, 3.0):
        features = make_features(samples, signal=signal)
        [(metrics, _)] = augmented_probe([task_of(samples, features)], NoisyViews(features), CONFIG, seed=0)
        found.append(metrics["accuracy"])
    assert found[0] < 0.4 < found[1] + 0.05 < found[2]
    assert found[2] > 0.9


def test_misspelt_and_wrong_values_are_refused():
    for wrong in ({"epoch": 3}, {"epochs": 0}, {"momentum": 1.0}, {"learning_rate": 0}):
        with pytest.raises(ValidationError, match=next(iter(wrong))):
            AugmentedProbeConfig.model_validate(wrong)
