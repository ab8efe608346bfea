"""The linear probe: how well a linear classifier on frozen features tells the classes apart."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from weakcl_pipeline.config import Config
from weakcl_pipeline.evaluation.scores import accuracy, describe, top_accuracy
from weakcl_pipeline.evaluation.softmax_regression import SoftmaxRegression, fit_path
from weakcl_pipeline.evaluation.task import Floats, Integers, Split, Task

Costs = Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)]


class LinearProbeConfig(Config):
    """Multinomial logistic regression on standardised features.

    Attributes:
        costs: Inverse regularisation strengths C to choose from, as scikit-learn's.
        tolerance: A fit ends when no more than this many nats of the mean loss are left to gain.
        max_iterations: A fit ends after so many iterations in any case, and the log says so.
    """

    costs: Costs = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
    tolerance: float = Field(default=1e-4, gt=0)
    max_iterations: int = Field(default=200, ge=1)


@dataclass(frozen=True)
class Standardiser:
    """Shifts and scales each feature to mean 0 and variance 1 on the samples it was made from.

    Attributes:
        mean: float32 (D,).
        scale: float32 (D,); 1 for a feature that does not vary.
    """

    mean: Floats
    scale: Floats

    @classmethod
    def of(cls, features: Floats) -> "Standardiser":
        """Measure features, float32 (N, D)."""
        mean = features.mean(axis=0, dtype=np.float64)
        deviation = features.std(axis=0, dtype=np.float64)
        # float32 features that are constant may still differ in their last bit
        varies = deviation > 1e-6 * np.maximum(np.abs(mean), np.finfo(np.float32).tiny)
        return cls(mean.astype(np.float32), np.where(varies, deviation, 1.0).astype(np.float32))

    def __call__(self, features: Floats) -> Floats:
        """Return standardised features, float32 (N, D)."""
        return (features - self.mean) / self.scale


@dataclass(frozen=True)
class Fit:
    """The classifier that did best on the validation split.

    Attributes:
        classifier: On standardised features.
        validation_accuracy: What it was chosen by.
        scores: Of the test samples, float32 (N, K).
    """

    classifier: SoftmaxRegression
    validation_accuracy: float
    scores: Floats

    @property
    def predicted(self) -> Integers:
        """Predicted class of each test sample, int64 (N,)."""
        predicted: Integers = self.scores.argmax(axis=1)
        return predicted


def fit_probe(train: Split, task: Task, costs: Sequence[float], config: LinearProbeConfig) -> Fit:
    """Fit on some labelled samples, choose C on the validation split (the smallest of equals), score the test split.

    Args:
        train: The samples to learn from; every known class of the task occurs.
        task: Gives validation and test split.
        costs: Values of C.
        config: When a fit ends.
    """
    standardise = Standardiser.of(train.features)
    fits = fit_path(
        standardise(train.features),
        train.classes,
        task.known,
        costs,
        tolerance=config.tolerance,
        max_iterations=config.max_iterations,
    )
    held_out = standardise(task.val.features)
    accuracies = [accuracy(fit.scores(held_out).argmax(axis=1), task.val.classes) for fit in fits]
    best = int(np.argmax(accuracies))  # the first of equals: costs increase
    return Fit(fits[best], accuracies[best], fits[best].scores(standardise(task.test.features)))


def linear_probe(task: Task, config: LinearProbeConfig) -> tuple[dict[str, Any], Integers]:
    """Evaluate features by a linear probe on the whole train split.

    Returns:
        Metrics on the test split (``accuracy``, ``balanced_accuracy``, ``top_5_accuracy``: None for five classes or
        fewer, ``per_class``) with ``C`` and the ``validation_accuracy`` it was chosen by; and the predicted classes of
        the test split, int64 (N,).
    """
    fit = fit_probe(task.train, task, config.costs, config)
    metrics = describe(fit.predicted, task) | {
        "top_5_accuracy": top_accuracy(fit.scores, task.test.classes),
        "validation_accuracy": fit.validation_accuracy,
        "C": fit.classifier.cost,
        "converged": fit.classifier.converged,
    }
    return metrics, fit.predicted
