"""How good predictions are."""

from typing import Any

import numpy as np

from weakcl_pipeline.evaluation.task import Floats, Integers, Task

TOP = 5


def accuracy(predicted: Integers, true: Integers) -> float:
    """Return the share of right predictions; both int64 (N,)."""
    return float(np.mean(predicted == true))


def balanced_accuracy(predicted: Integers, true: Integers) -> float:
    """Return the mean recall over the classes that occur, so that rare classes count as much as frequent ones."""
    return float(np.mean(list(_recalls(predicted, true).values())))


def top_accuracy(scores: Floats, true: Integers, k: int = TOP) -> float | None:
    """Return the share of samples whose class is among the k of highest score.

    Args:
        scores: float32 (N, K).
        true: Class of each sample, int64 (N,); may be K or more, which no score can hit.
        k: How many classes are looked at.

    Returns:
        None where there are no more than k classes.
    """
    if scores.shape[1] <= k:
        return None
    best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    return float(np.mean((best == true[:, None]).any(axis=1)))


def describe(predicted: Integers, task: Task) -> dict[str, Any]:
    """Return what there is to say of predictions on a task's test split, by class too; JSON-able."""
    true = task.test.classes
    sizes = np.bincount(true, minlength=len(task.names))
    recalls = _recalls(predicted, true)
    return {
        "accuracy": accuracy(predicted, true),
        "balanced_accuracy": balanced_accuracy(predicted, true),
        "per_class": {
            task.names[c]: {"recall": recalls[c], "samples": int(sizes[c])}
            for c in sorted(recalls, key=task.names.__getitem__)
        },
    }


def _recalls(predicted: Integers, true: Integers) -> dict[int, float]:
    sizes = np.bincount(true)
    hits = np.bincount(true[predicted == true], minlength=len(sizes))
    return {int(c): float(hits[c] / sizes[c]) for c in np.flatnonzero(sizes)}
