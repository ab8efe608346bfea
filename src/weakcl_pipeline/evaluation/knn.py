"""The k-NN probe: whether near pictures are of the same class, without any training."""

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from weakcl_pipeline.config import Config
from weakcl_pipeline.contrastive.group import ALONE, Group
from weakcl_pipeline.evaluation.scores import accuracy, describe
from weakcl_pipeline.evaluation.task import Floats, Integers, Task

_CHUNK_FLOATS = 1 << 24  # similarities held at a time: 64 MiB


class KnnConfig(Config):
    """Cosine k-nearest neighbours with votes weighted by similarity (Wu et al. 2018, arXiv:1805.01978).

    The weighted vote leaves no ties, which a majority often has, and depends little on k.

    Attributes:
        ks: Numbers of neighbours to choose from; more than the train split has means all of it.
        temperature: A neighbour of cosine similarity s votes with weight exp(s / temperature); 0.07 as in the paper.
    """

    ks: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] = (1, 5, 10, 20, 50)
    temperature: float = Field(default=0.07, gt=0)


def nearest(queries: Floats, bank: Floats, k: int) -> tuple[Floats, Integers]:
    """Find the nearest neighbours by cosine, without ever holding all similarities.

    Args:
        queries: float32 (Q, D).
        bank: float32 (N, D).
        k: How many neighbours; at most N.

    Returns:
        Their similarities, float32 (Q, k), in decreasing order, and their rows in the bank, int64 (Q, k).
    """
    normalised = F.normalize(torch.from_numpy(bank), dim=1)
    chunk = max(1, _CHUNK_FLOATS // len(bank))
    found = [
        torch.topk(F.normalize(part, dim=1) @ normalised.T, k, dim=1)
        for part in torch.split(torch.from_numpy(queries), chunk)
    ]
    similarities: Floats = torch.cat([part.values for part in found]).numpy()
    rows: Integers = torch.cat([part.indices for part in found]).numpy()
    return similarities, rows


def predict(
    similarities: Floats, neighbours: Integers, classes: int, ks: Sequence[int], temperature: float
) -> dict[int, Integers]:
    """Let neighbours vote, for several k in one pass.

    Args:
        similarities: Of each neighbour, float32 (Q, M), in decreasing order.
        neighbours: Class of each neighbour, int64 (Q, M).
        classes: Number of classes.
        ks: Numbers of neighbours, each at most M.
        temperature: See :class:`KnnConfig`.

    Returns:
        k -> predicted classes, int64 (Q,).
    """
    similarity, voters = torch.from_numpy(similarities), torch.from_numpy(neighbours)
    # relative to the nearest neighbour, so that no weight overflows
    weights = similarity.sub(similarity[:, :1]).div(temperature).double().exp()
    votes = torch.zeros(len(similarity), classes, dtype=torch.float64)
    predictions: dict[int, Integers] = {}
    done = 0
    for k in sorted(ks):
        votes.scatter_add_(1, voters[:, done:k], weights[:, done:k])
        predictions[k] = _winner(votes)
        done = k
    return predictions


def _winner(votes: Tensor) -> Integers:
    winner: Integers = votes.numpy().argmax(axis=1)
    return winner


def knn_probe(task: Task, config: KnnConfig, group: Group = ALONE) -> tuple[dict[str, Any], Integers]:
    """Evaluate features by the classes of the nearest samples of the train split.

    k is chosen on the validation split, the smallest of equals; one search for the largest k serves all.

    Args:
        task: The label.
        config: The probe.
        group: The workers; each looks for the neighbours of its part of the samples.

    Returns:
        Metrics on the test split (``accuracy``, ``balanced_accuracy``, ``per_class``) with ``k`` and the
        ``validation_accuracy`` it was chosen by; and the predicted classes of the test split, int64 (N,).
    """
    ks = sorted({min(k, len(task.train.rows)) for k in config.ks})
    by_split = []
    for split in (task.val, task.test):
        own = split.features[group.part(len(split.rows))]
        similarities, rows = nearest(own, task.train.features, ks[-1])
        votes = predict(similarities, task.train.classes[rows], task.known, ks, config.temperature)
        of_all = group.gather(torch.from_numpy(np.concatenate([votes[k] for k in ks])), len(split.rows))
        by_split.append(dict(zip(ks, of_all.view(len(ks), -1).numpy(), strict=True)))
    validated = [accuracy(by_split[0][k], task.val.classes) for k in ks]
    best = int(np.argmax(validated))
    predicted = by_split[1][ks[best]]
    return describe(predicted, task) | {"validation_accuracy": validated[best], "k": ks[best]}, predicted
