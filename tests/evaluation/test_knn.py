import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluation.data import make_features, make_samples, task_of
from weakcl_pipeline.evaluation import knn
from weakcl_pipeline.evaluation.knn import KnnConfig, knn_probe, nearest, predict


def cosine(a, b):
    return float(np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b))


def slow_vote(query, bank, classes, k, temperature):
    """One query, one k, straight from the paper's formula."""
    similarities = [cosine(query.astype(float), row.astype(float)) for row in bank]
    order = sorted(range(len(bank)), key=lambda i: -similarities[i])[:k]
    votes = {}
    for i in order:
        votes[classes[i]] = votes.get(classes[i], 0.0) + np.exp(similarities[i] / temperature)
    return max(sorted(votes), key=votes.__getitem__)


def test_against_the_formula():
    samples = make_samples()
    config = KnnConfig(ks=(1, 3, 7, 20))
    task = task_of(samples, make_features(samples))
    accuracies = {
        k: np.mean(
            [
                slow_vote(query, task.train.features, task.train.classes, k, config.temperature) == true
                for query, true in zip(task.val.features, task.val.classes, strict=True)
            ]
        )
        for k in config.ks
    }
    best = max(config.ks, key=accuracies.__getitem__)
    metrics, predicted = knn_probe(task, config)
    assert metrics["k"] == best
    assert metrics["validation_accuracy"] == pytest.approx(accuracies[best])
    expected = [
        slow_vote(query, task.train.features, task.train.classes, best, config.temperature)
        for query in task.test.features
    ]
    assert predicted.tolist() == expected


def test_neighbours_in_chunks_against_a_full_matrix(monkeypatch):
    rng = np.random.default_rng(0)
    queries, bank = rng.normal(size=(23, 5)).astype(np.float32), rng.normal(size=(40, 5)).astype(np.float32)
    monkeypatch.setattr(knn, "_CHUNK_FLOATS", 100)
    similarities, rows = nearest(queries, bank, 6)
    full = np.array([[cosine(q, b) for b in bank] for q in queries])
    order = np.argsort(-full, axis=1)[:, :6]
    np.testing.assert_array_equal(rows, order)
    np.testing.assert_allclose(similarities, np.take_along_axis(full, order, axis=1), atol=1e-6)


def test_one_close_neighbour_outweighs_two_far_ones():
    similarities = np.array([[0.99, 0.5, 0.5]], dtype=np.float32)
    voters = np.array([[0, 1, 1]])
    assert predict(similarities, voters, 2, [3], temperature=0.07)[3].tolist() == [0]
    assert predict(similarities, voters, 2, [3], temperature=100)[3].tolist() == [1]  # nearly a majority


def test_each_neighbour_votes_once_for_every_k():
    similarities = np.array([[0.5, 0.49, 0.48]], dtype=np.float32)
    found = predict(similarities, np.array([[0, 1, 1]]), 2, [1, 2, 3], temperature=1.0)
    assert {k: classes.tolist() for k, classes in found.items()} == {1: [0], 2: [0], 3: [1]}


def test_votes_at_a_low_temperature_stay_finite():
    similarities = np.array([[0.9, 0.8999, 0.8998]], dtype=np.float32)
    assert predict(similarities, np.array([[0, 1, 1]]), 2, [3], temperature=1e-3)[3].tolist() == [1]


def test_more_neighbours_than_samples_means_all():
    samples = make_samples(train=8, val=8, test=8)
    metrics, _ = knn_probe(task_of(samples, make_features(samples)), KnnConfig(ks=(50, 100)))
    assert metrics["k"] == 8


@settings(max_examples=25, deadline=None)
@given(st.floats(0.001, 1000), st.integers(0, 100))
def test_lengths_of_vectors_do_not_matter(scale, seed):
    samples = make_samples(train=16, val=8, test=8)
    features = make_features(samples, seed=seed)
    lengths = np.random.default_rng(seed).uniform(0.5, 2, (len(features), 1)).astype(np.float32) * np.float32(scale)
    config = KnnConfig(ks=(1, 5))
    _, predicted = knn_probe(task_of(samples, features), config)
    _, scaled = knn_probe(task_of(samples, features * lengths), config)
    assert predicted.tolist() == scaled.tolist()


def test_a_vector_of_zeros_is_no_error():
    samples = make_samples()
    features = make_features(samples)
    features[0] = features[-1] = 0
    metrics, _ = knn_probe(task_of(samples, features), KnnConfig())
    assert 0 <= metrics["accuracy"] <= 1
