import logging

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from weakcl_pipeline.evaluation import softmax_regression
from weakcl_pipeline.evaluation.softmax_regression import fit_path

COSTS = (0.01, 0.1, 1.0)


def problem(n, d, classes, seed=0):
    """Correlated features, so that the regression is badly conditioned, and classes that depend on them."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) @ (rng.normal(size=(d, d)) * np.geomspace(1, 0.03, d))
    y = (x @ rng.normal(size=(d, classes)) + rng.gumbel(size=(n, classes))).argmax(axis=1)
    y[:classes] = np.arange(classes)
    return ((x - x.mean(0)) / x.std(0)).astype(np.float32), y.astype(np.int64)


def loss(x, y, weight, bias, cost):
    """The documented objective, in float64 and term by term."""
    total = 0.0
    for features, label in zip(x.astype(np.float64), y, strict=True):
        logits = features @ weight + bias
        total += np.log(np.exp(logits - logits.max()).sum()) + logits.max() - logits[label]
    return total / len(y) + (weight**2).sum() / (2 * cost * len(y))


@pytest.mark.parametrize(("n", "d", "classes"), [(200, 5, 2), (300, 20, 7), (30, 80, 4)])
def test_same_minimum_as_scikit_learn(n, d, classes):
    x, y = problem(n, d, classes)
    for fit in fit_path(x, y, classes, COSTS, tolerance=1e-9, max_iterations=2000):
        binary = classes == 2  # scikit-learn then has one vector w, our pair (-w, w) / 2, whose penalty is half
        oracle = LogisticRegression(C=fit.cost * (2 if binary else 1), tol=1e-9, max_iter=20000)
        oracle.fit(x.astype(np.float64), y)
        weight, bias = oracle.coef_.T, oracle.intercept_
        if binary:
            weight, bias = np.hstack([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
        best = loss(x, y, weight, bias, fit.cost)
        mine = loss(x, y, fit.weight.double().numpy(), fit.bias.double().numpy(), fit.cost)
        assert mine == pytest.approx(fit.loss, rel=1e-5)
        assert mine == pytest.approx(best, abs=2e-6)
        expected = x @ weight + bias
        np.testing.assert_allclose(
            fit.scores(x) - fit.scores(x).mean(axis=1, keepdims=True),
            expected - expected.mean(axis=1, keepdims=True),
            atol=0.05,
        )


@pytest.mark.parametrize("bf16", [True, False])
def test_each_strength_is_within_the_tolerance_of_scikit_learns_minimum(monkeypatch, bf16):
    monkeypatch.setattr(softmax_regression, "computes_bf16", lambda device: bf16)
    x, y = problem(1500, 40, 10)
    for fit in fit_path(x, y, 10, np.geomspace(1e-4, 1, 8).tolist()):
        oracle = LogisticRegression(C=fit.cost, tol=1e-9, max_iter=20000).fit(x.astype(np.float64), y)
        best = loss(x, y, oracle.coef_.T, oracle.intercept_, fit.cost)
        mine = loss(x, y, fit.weight.double().numpy(), fit.bias.double().numpy(), fit.cost)
        assert fit.converged
        assert -1e-8 < mine - best < 1e-4
        assert mine == pytest.approx(fit.loss, abs=3e-4)  # of rounded features; seeds differ by up to 1.4e-4


def test_bfloat16_is_for_many_samples_and_coarse_tolerances(monkeypatch):
    x, y = problem(1500, 20, 4)
    settings = [(slice(None), 1e-4), (slice(None), 1e-6), (slice(0, 500), 1e-4)]
    fits = {}
    for bf16 in (True, False):
        monkeypatch.setattr(softmax_regression, "computes_bf16", lambda device, bf16=bf16: bf16)
        fits[bf16] = [fit_path(x[rows], y[rows], 4, (0.1,), tolerance=tolerance)[0] for rows, tolerance in settings]
    same = [bool((a.weight == b.weight).all()) for a, b in zip(fits[True], fits[False], strict=True)]
    assert same == [False, True, True]


def test_the_path_saves_iterations(monkeypatch):
    x, y = problem(1500, 40, 10)
    products = 0
    gradient_of = softmax_regression._Search._gradient_of

    def counted(self, excess):
        nonlocal products
        products += 1
        return gradient_of(self, excess)

    monkeypatch.setattr(softmax_regression._Search, "_gradient_of", counted)
    costs = np.geomspace(1e-3, 1, 10).tolist()
    for cost in costs:
        fit_path(x, y, 10, (cost,))
    alone, products = products, 0
    fit_path(x, y, 10, costs)
    assert products < alone / 2


def test_default_tolerance_predicts_as_a_tight_fit_does():
    x, y = problem(1500, 40, 10)
    train, held_out = slice(0, 1000), slice(1000, None)
    loose = fit_path(x[train], y[train], 10, COSTS)
    tight = fit_path(x[train], y[train], 10, COSTS, tolerance=1e-9, max_iterations=2000)
    for mine, exact in zip(loose, tight, strict=True):
        agreement = np.mean(mine.scores(x[held_out]).argmax(1) == exact.scores(x[held_out]).argmax(1))
        assert agreement > 0.98


def test_separable_classes_end():
    x = np.repeat(np.eye(3, dtype=np.float32), 20, axis=0)
    y = np.repeat(np.arange(3), 20)
    (fit,) = fit_path(x - x.mean(axis=0), y, 3, (1e6,))
    assert fit.converged
    assert fit.loss < 1e-3
    assert np.isfinite(fit.weight.numpy()).all()


def test_fits_come_in_increasing_order_of_cost_and_shrink_with_it():
    x, y = problem(200, 8, 3)
    fits = fit_path(x, y, 3, (1.0, 0.001, 0.1))
    assert [fit.cost for fit in fits] == [0.001, 0.1, 1.0]
    norms = [float(fit.weight.norm()) for fit in fits]
    assert norms == sorted(norms)
    assert norms[0] < norms[-1] / 2


def test_strong_regularisation_leaves_the_class_frequencies():
    x, y = problem(300, 8, 3)
    (fit,) = fit_path(x, y, 3, (1e-9,), tolerance=1e-9)
    probabilities = np.exp(fit.scores(x)) / np.exp(fit.scores(x)).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probabilities.mean(axis=0), np.bincount(y) / len(y), atol=1e-3)


def test_a_column_without_information_gets_no_weight():
    x, y = problem(200, 6, 3)
    (fit,) = fit_path(np.hstack([x, np.zeros((200, 2), np.float32)]), y, 3, (1.0,))
    assert np.isfinite(fit.weight.numpy()).all()
    np.testing.assert_allclose(fit.weight[6:].numpy(), 0, atol=1e-6)


def test_features_without_any_variance_predict_the_most_frequent_class():
    y = np.array([0, 1, 1, 1, 2], dtype=np.int64)
    (fit,) = fit_path(np.zeros((5, 3), np.float32), y, 3, (1.0,))
    assert (fit.scores(np.zeros((4, 3), np.float32)).argmax(axis=1) == 1).all()


def test_says_once_which_fits_did_not_converge(caplog):
    x, y = problem(300, 20, 5)
    with caplog.at_level(logging.WARNING):
        fits = fit_path(x, y, 5, COSTS, tolerance=1e-9, max_iterations=2)
    assert not any(fit.converged for fit in fits)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "C = 0.01, 0.1, 1" in caplog.text
    assert "max_iterations" in caplog.text


def test_same_input_same_bits():
    x, y = problem(200, 10, 4)
    first, second = (fit_path(x, y, 4, COSTS) for _ in range(2))
    assert all((a.weight == b.weight).all() for a, b in zip(first, second, strict=True))
