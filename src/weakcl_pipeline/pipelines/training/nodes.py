"""Nodes that train an encoder with fixed positives; they differ in who is a positive of whom, and in nothing else."""

from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
from matplotlib.figure import Figure

from weakcl_pipeline.contrastive import (
    EncoderState,
    FixedPositives,
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

Trained = tuple[EncoderState, pl.DataFrame, Figure]


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
    seed: int,
    checkpoints: Path,
) -> Trained:
    """Train on attribute clusters, the method of the paper; a sample without a cluster stands for itself."""
    positives = FixedPositives(cluster_ids(samples, clusters))
    return describe(*run("attribute", positives, image_store, samples, training, seed, checkpoints))


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
