import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, recall_score

from tests.evaluation.data import make_features, make_samples, task_of
from weakcl_pipeline.evaluation.scores import accuracy, balanced_accuracy, describe, top_accuracy

pairs = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=60)


@settings(deadline=None)
@given(pairs)
@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
@pytest.mark.filterwarnings("ignore:A single label")
def test_against_scikit_learn(values):
    predicted, true = (np.array(column, dtype=np.int64) for column in zip(*values, strict=True))
    assert accuracy(predicted, true) == pytest.approx(sum(p == t for p, t in values) / len(values))
    assert balanced_accuracy(predicted, true) == pytest.approx(balanced_accuracy_score(true, predicted))


def test_top_accuracy_against_a_sort():
    rng = np.random.default_rng(0)
    scores, true = rng.normal(size=(50, 9)).astype(np.float32), rng.integers(0, 9, 50)
    hits = [true[i] in sorted(range(9), key=lambda c: -scores[i, c])[:5] for i in range(50)]
    assert top_accuracy(scores, true) == pytest.approx(np.mean(hits))


def test_top_accuracy_needs_more_classes_than_it_looks_at():
    scores = np.zeros((3, 5), np.float32)
    assert top_accuracy(scores, np.array([0, 1, 2])) is None
    assert top_accuracy(np.zeros((3, 6), np.float32), np.array([9, 9, 9])) == 0  # classes that were never seen


def test_description_by_class_against_scikit_learn():
    samples = make_samples()
    task = task_of(samples, make_features(samples))
    predicted = np.random.default_rng(0).integers(0, 4, len(task.test.classes))
    found = describe(predicted, task)
    recalls = recall_score(task.test.classes, predicted, average=None)
    assert [entry["recall"] for entry in found["per_class"].values()] == pytest.approx(recalls)
    assert list(found["per_class"]) == sorted(task.names)
    assert sum(entry["samples"] for entry in found["per_class"].values()) == len(task.test.classes)
