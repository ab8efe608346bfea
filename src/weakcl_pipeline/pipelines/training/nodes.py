"""Nodes that train an encoder with fixed positives; they differ in who is a positive of whom, and in nothing else."""

import logging
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
from matplotlib.figure import Figure

from weakcl_pipeline.config import Config
from weakcl_pipeline.contrastive import (
    CompletedPositives,
    EncoderState,
    FixedPositives,
    IterativeConfig,
    IterativePositives,
    SideInformation,
    TrainingConfig,
    TrainingResult,
    train,
)
from weakcl_pipeline.contrastive.objectives import ObjectiveConfig
from weakcl_pipeline.contrastive.positives import Positives
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.evaluation import NO_LABELS, history_figure
from weakcl_pipeline.images import open_store
from weakcl_pipeline.pipelines.samples import alone, cluster_ids, label_ids, train_rows

logger = logging.getLogger(__name__)

Trained = tuple[EncoderState, pl.DataFrame, Figure]


class AttributeConfig(Config):
    """Parameters of the training on attribute clusters.

    Attributes:
        completion: How samples that the cluster rule leaves without a cluster get one, while training, by k-means; none
            leaves each of them for itself. ``k`` and the fraction that it may be count the whole train split.
    """

    completion: IterativeConfig | None = None


def train_self_supervised(
    image_store: pa.Table, samples: pl.DataFrame, training: TrainingConfig, seed: int, checkpoints: Path
) -> Trained:
    """Train with every picture for itself, which makes Cl-InfoNCE SimCLR."""
    positives = FixedPositives(alone(samples))
    return describe(*run("self_supervised", positives, image_store, samples, training, seed, checkpoints))


def train_attribute(
    image_store: pa.Table,
    samples: pl.DataFrame,
    clusters: pl.DataFrame,
    training: TrainingConfig,
    attribute: AttributeConfig,
    seed: int,
    checkpoints: Path,
) -> tuple[EncoderState, pl.DataFrame, Figure, pl.DataFrame]:
    """Train on attribute clusters, the method of the paper, and on k-means clusters of the samples that have none.

    Returns:
        The encoder, its history and its figure, and the clusters of the train split in the last epoch.
    """
    ids = cluster_ids(samples, clusters)
    positives: Positives = FixedPositives(ids)
    if attribute.completion and (ids < 0).any():
        _warn_of_no_completion(attribute.completion, training, int((ids < 0).sum()))
        labels = label_ids(samples)
        kmeans = IterativePositives(attribute.completion, len(ids), labels, seed, group="attribute.completion")
        positives = CompletedPositives(ids, kmeans)
    result, metadata = run("attribute", positives, image_store, samples, training, seed, checkpoints)
    described = describe(result, metadata | {"attribute": attribute.model_dump(mode="json")})
    return *described, last_clusters(result, samples)


def _warn_of_no_completion(completion: IterativeConfig, training: TrainingConfig, incomplete: int) -> None:
    if completion.warmup_epochs >= training.epochs:
        logger.warning(
            "attribute: all %d epochs come before the first k-means, so the %d samples without a cluster stay for"
            " themselves; lower attribute.completion.warmup_epochs, or raise training.epochs",
            training.epochs, incomplete,
        )  # fmt: skip


def train_supervised(
    image_store: pa.Table, samples: pl.DataFrame, training: TrainingConfig, seed: int, checkpoints: Path
) -> Trained:
    """Train on the classes of the first label, which makes Cl-InfoNCE SupCon; an unlabelled sample stands for itself.

    Raises:
        InputError: If there is no label.
    """
    labels = label_ids(samples)
    if not labels:
        raise InputError(NO_LABELS)
    positives = FixedPositives(next(iter(labels.values())))
    return describe(*run("supervised", positives, image_store, samples, training, seed, checkpoints))


def run(
    name: str,
    positives: Positives,
    image_store: pa.Table,
    samples: pl.DataFrame,
    training: TrainingConfig,
    seed: int,
    checkpoints: Path,
    *,
    objective: ObjectiveConfig | None = None,
    side: SideInformation | None = None,
) -> tuple[TrainingResult, dict[str, Any]]:
    """Train a method on the train split; return the result and what the encoder's metadata tells beside its form."""
    images = open_store(image_store)
    result = train(
        images,
        train_rows(samples),
        positives,
        training,
        seed=seed,
        name=name,
        objective=objective,
        side=side,
        checkpoints=checkpoints,
    )
    metadata = {
        "method": name,
        "seed": seed,
        "image_size": images.size,
        "training": training.model_dump(mode="json"),
        "checkpoint": result.checkpoint,
    }
    return result, metadata


def describe(result: TrainingResult, metadata: dict[str, Any]) -> Trained:
    """Return a training's encoder, its history and the history's figure, as artifacts."""
    return result.encoder.state(**metadata), result.history, history_figure(result.history)


def last_clusters(result: TrainingResult, samples: pl.DataFrame) -> pl.DataFrame:
    """Return the clusters of a training's last epoch: ``sample_id`` of the train split, ``cluster`` or null."""
    ids = samples["sample_id"][train_rows(samples)]
    known = pl.when(pl.col("cluster") >= 0).then(pl.col("cluster")).cast(pl.Int32)
    return pl.DataFrame({"sample_id": ids, "cluster": result.clusters}).with_columns(cluster=known)
