"""References without training: what a representation must beat to be worth its training."""

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
import torch.nn.functional as F
from sklearn.decomposition import PCA

from weakcl_pipeline.evaluation.predictions import predictions_frame
from weakcl_pipeline.evaluation.scores import describe
from weakcl_pipeline.evaluation.task import Floats, label_names, make_task
from weakcl_pipeline.images import ImageStore
from weakcl_pipeline.seeding import derive_seed

MAJORITY_PROBE = "majority"

_PIXELS = 32  # side that larger pictures are shrunk to, so that the principal components stay affordable
_CHUNK = 1024  # pictures at a time


def raw_pixel_features(images: ImageStore, train: npt.NDArray[np.int64], seed: int, components: int = 256) -> Floats:
    """Take the pixels themselves as features, reduced to their principal components on the train split.

    Pictures larger than 32 px are shrunk to 32 px by area averaging first. The components keep what a linear
    classifier could use of 3,072 strongly correlated pixels (on the emoji pictures 92% of their variance) at a twelfth
    of its cost.

    Args:
        images: N pictures.
        train: Rows of the train split.
        seed: Of the randomised decomposition.
        components: At most so many; fewer where the train pictures do not vary in as many directions.

    Returns:
        float32 (N, components).
    """
    pixels = np.concatenate(
        [
            _small_pixels(images, np.arange(start, min(start + _CHUNK, len(images))))
            for start in range(0, len(images), _CHUNK)
        ]
    )
    size = min(components, len(train), pixels.shape[1])
    pca = PCA(size, svd_solver="randomized", iterated_power=3, random_state=derive_seed(seed, "raw pixels") % 2**32)
    pca.fit(pixels[train])
    # A direction in which train pictures differ by rounding alone would be scaled up for all others by a probe.
    spread = pca.singular_values_
    varies = spread >= spread[0] * max(pixels[train].shape) * np.finfo(np.float32).eps
    features: Floats = pca.transform(pixels)[:, varies].astype(np.float32, order="C")
    return features


def _small_pixels(images: ImageStore, rows: npt.NDArray[np.int64]) -> Floats:
    pixels = images.read(rows).float().div_(255)
    if images.size > _PIXELS:
        pixels = F.interpolate(pixels, size=(_PIXELS, _PIXELS), mode="area")
    flat: Floats = pixels.contiguous(memory_format=torch.contiguous_format).flatten(1).numpy()
    return flat


def evaluate_majority(
    samples: pl.DataFrame, labels: tuple[str, ...] | None, seed: int
) -> tuple[dict[str, Any], pl.DataFrame]:
    """Evaluate the guess that every test sample is of the most frequent class of the train split (the first of equals).

    Returns:
        Metrics and predictions as :func:`weakcl_pipeline.evaluation.evaluate_features` returns them, with the one
        probe ``majority``.
    """
    nothing = np.zeros((len(samples), 0), dtype=np.float32)
    metrics: dict[str, Any] = {"seed": seed, "features": 0, "labels": {}}
    frames = []
    for label in label_names(samples, labels):
        task = make_task(label, nothing, samples)
        guess = int(np.bincount(task.train.classes).argmax())
        predicted = np.full(len(task.test.rows), guess, dtype=np.int64)
        metrics["labels"][label] = {MAJORITY_PROBE: describe(predicted, task) | {"class": task.names[guess]}}
        frames.append(predictions_frame(samples["sample_id"], task, MAJORITY_PROBE, [predicted]))
    return metrics, pl.concat(frames)
