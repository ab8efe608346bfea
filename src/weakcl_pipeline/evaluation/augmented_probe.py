"""The linear protocol of the paper's code: SGD on the features of augmented views, the encoder frozen."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from weakcl_pipeline.config import Config
from weakcl_pipeline.evaluation.scores import accuracy, describe, top_accuracy
from weakcl_pipeline.evaluation.task import Floats, Integers, Task
from weakcl_pipeline.seeding import numpy_generator, seeded_torch, torch_generator

logger = logging.getLogger(__name__)

ViewFeatures = Callable[[Integers, torch.Generator], Tensor]
"""(rows of B samples, random numbers) -> features of a new augmented view of each, float32 (B, D)."""


_FINAL_SHARE = 1e-3  # of the peak rate, at the end of the cosine
_NO_CLASS = -1


class AugmentedProbeConfig(Config):
    """A linear classifier trained by SGD on one new augmented view of each picture an epoch.

    The defaults are those of the paper's released runs. Nothing is chosen on the validation split: what is measured is
    the classifier after the last epoch, on pictures without augmentation.

    Attributes:
        epochs: Passes over the train split.
        batch_size: Pictures in a batch.
        learning_rate: Its peak; it falls along a cosine to a thousandth, epoch by epoch.
        momentum: Of Nesterov's kind.
        weight_decay: Strength of weight decay, on the bias too.
    """

    epochs: int = Field(default=100, ge=1)
    batch_size: int = Field(default=128, ge=1)
    learning_rate: float = Field(default=0.3, gt=0)
    momentum: float = Field(default=0.95, gt=0, lt=1)
    weight_decay: float = Field(default=1e-4, ge=0)


def augmented_probe(
    tasks: Sequence[Task], views: ViewFeatures, config: AugmentedProbeConfig, seed: int
) -> list[tuple[dict[str, Any], Integers]]:
    """Train one classifier for each label, all on the same views, and measure them on the test split.

    Args:
        tasks: The labels, on the same samples; their features are those of pictures without augmentation.
        views: Gives the features of augmented views.
        config: The protocol.
        seed: Of the classifiers' first weights, the order of the pictures, and their augmentation.

    Returns:
        For each task, metrics on the test split (as those of
        :func:`~weakcl_pipeline.evaluation.linear_probe.linear_probe`, without C), and the predicted classes of the test
        split, int64 (N,).
    """
    with seeded_torch(seed, "augmented probe"):
        classifiers = nn.ModuleList(nn.Linear(task.train.features.shape[1], task.known) for task in tasks)
    labelled = np.unique(np.concatenate([task.train.rows for task in tasks]))
    classes = [_classes_by_row(task, int(labelled.max()) + 1) for task in tasks]
    optimiser, schedule = _create_optimiser(classifiers, config)
    for epoch in range(config.epochs):
        order = numpy_generator(seed, "augmented probe", epoch).permutation(labelled)
        generator = torch_generator(seed, "augmented probe", epoch)
        for start in range(0, len(order), config.batch_size):
            rows = order[start : start + config.batch_size]
            features = views(rows, generator)
            classifiers.to(features.device)
            losses = [
                _mean_loss(classifier(features), known[torch.from_numpy(rows)].to(features.device))
                for classifier, known in zip(classifiers, classes, strict=True)
            ]
            optimiser.zero_grad(set_to_none=True)
            torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        schedule.step()
        if (epoch + 1) % max(1, config.epochs // 5) == 0:
            logger.info("Probe on augmented views: epoch %d of %d", epoch + 1, config.epochs)
    return [_measure(classifier, task) for classifier, task in zip(classifiers.cpu(), tasks, strict=True)]


def _create_optimiser(
    classifiers: nn.Module, config: AugmentedProbeConfig
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    optimiser = torch.optim.SGD(
        classifiers.parameters(),
        lr=config.learning_rate,
        momentum=config.momentum,
        nesterov=True,
        weight_decay=config.weight_decay,
    )
    lowest = _FINAL_SHARE * config.learning_rate
    return optimiser, torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, config.epochs, eta_min=lowest)


def _classes_by_row(task: Task, count: int) -> Tensor:
    """Return the class of each of the first rows, int64 (count,), -1 where it is no labelled train sample."""
    classes = torch.full((count,), _NO_CLASS)
    classes[torch.from_numpy(task.train.rows)] = torch.from_numpy(task.train.classes)
    return classes


def _mean_loss(scores: Tensor, classes: Tensor) -> Tensor:
    """Return the cross-entropy over the samples that have a class; 0 where none has."""
    total = F.cross_entropy(scores, classes, ignore_index=_NO_CLASS, reduction="sum")
    return total / (classes != _NO_CLASS).sum().clamp(min=1)


def _measure(classifier: nn.Module, task: Task) -> tuple[dict[str, Any], Integers]:
    scores = _scores(classifier, task.test.features)
    predicted = scores.argmax(axis=1)
    metrics = describe(predicted, task) | {
        "top_5_accuracy": top_accuracy(scores, task.test.classes),
        "validation_accuracy": accuracy(_scores(classifier, task.val.features).argmax(axis=1), task.val.classes),
    }
    return metrics, predicted


def _scores(classifier: nn.Module, features: Floats) -> Floats:
    with torch.inference_mode():
        scores: Floats = classifier(torch.from_numpy(features)).numpy()
    return scores
