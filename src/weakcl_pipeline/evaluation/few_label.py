"""Few-label probes: how far a linear probe gets with a small share of the labels."""

from typing import Annotated, Any

import numpy as np
from pydantic import Field

from weakcl_pipeline.config import Config
from weakcl_pipeline.evaluation.linear_probe import Costs, LinearProbeConfig, fit_probe
from weakcl_pipeline.evaluation.probes import share_name
from weakcl_pipeline.evaluation.scores import accuracy, balanced_accuracy
from weakcl_pipeline.evaluation.task import Integers, Task
from weakcl_pipeline.seeding import numpy_generator


class FewLabelConfig(Config):
    """Linear probes on small stratified samples of the train split.

    Attributes:
        shares: Shares of the labelled train samples, in (0, 1].
        repeats: Samples drawn per share; figures are means over them.
        costs: Inverse regularisation strengths C to choose from.
    """

    shares: tuple[Annotated[float, Field(gt=0, le=1)], ...] = (0.01, 0.1)
    repeats: int = Field(default=5, ge=1)
    costs: Costs = (0.01, 0.1, 1.0, 10.0)


def draw(classes: Integers, share: float, rng: np.random.Generator) -> Integers:
    """Draw a share of each class, rounded, but one sample at least.

    Args:
        classes: Class of each sample, int64 (N,).
        share: In (0, 1].
        rng: Where the draw comes from.

    Returns:
        The chosen samples in increasing order, int64 (M,).
    """
    chosen = []
    for members in (np.flatnonzero(classes == c) for c in np.unique(classes)):
        size = max(1, round(share * len(members)))
        chosen.append(rng.choice(members, size, replace=False))
    return np.sort(np.concatenate(chosen))


def few_label_probe(
    task: Task, share: float, config: FewLabelConfig, probe: LinearProbeConfig, seed: int
) -> tuple[dict[str, Any], list[Integers]]:
    """Evaluate features by linear probes on a share of the train split; the draws depend on the seed, not on features.

    Returns:
        Means over the repeats of ``accuracy`` and ``balanced_accuracy`` on the test split and of
        ``validation_accuracy``, the number of ``train_samples``, and ``repeats``: of each, ``C``, ``accuracy`` and
        ``validation_accuracy``; and the predicted classes of the test split of each repeat, int64 (N,).
    """
    repeats, predictions, balanced = [], [], []
    for repeat in range(config.repeats):
        rng = numpy_generator(seed, "few labels", task.label, share_name(share), repeat)
        train = task.train.subset(draw(task.train.classes, share, rng))
        fit = fit_probe(train, task, config.costs, probe)
        predictions.append(fit.predicted)
        balanced.append(balanced_accuracy(fit.predicted, task.test.classes))
        repeats.append(
            {
                "accuracy": accuracy(fit.predicted, task.test.classes),
                "validation_accuracy": fit.validation_accuracy,
                "C": fit.classifier.cost,
            }
        )
    metrics = {
        "accuracy": float(np.mean([repeat["accuracy"] for repeat in repeats])),
        "balanced_accuracy": float(np.mean(balanced)),
        "validation_accuracy": float(np.mean([repeat["validation_accuracy"] for repeat in repeats])),
        "train_samples": len(train.rows),
        "repeats": repeats,
    }
    return metrics, predictions
