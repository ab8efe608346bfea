"""Nodes that train the rivals: other objectives on the same encoder, augmentation, batches and budget."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pyarrow as pa

from weakcl_pipeline.attributes import Affinity, AffinityConfig, ClusteringConfig
from weakcl_pipeline.attributes.schema import Schema
from weakcl_pipeline.contrastive import FixedPositives, SideInformation, TrainingConfig
from weakcl_pipeline.contrastive.objectives import (
    AffinityInfoNCEConfig,
    ClusterCrossEntropyConfig,
    ObjectiveConfig,
)
from weakcl_pipeline.pipelines.clustering.nodes import chosen_specs
from weakcl_pipeline.pipelines.samples import Rows, alone, cluster_ids, known_attributes, train_rows
from weakcl_pipeline.pipelines.training.nodes import Trained, describe, run


def train_affinity(
    image_store: pa.Table,
    samples: pl.DataFrame,
    binary_attributes: pl.DataFrame,
    clusters: pl.DataFrame,
    attributes: pl.LazyFrame,
    attribute_schema: Schema,
    clustering: ClusteringConfig,
    training: TrainingConfig,
    objective: AffinityInfoNCEConfig,
    kernel: AffinityConfig,
    seed: int,
    checkpoints: Path,
) -> Trained:
    """Train on how alike samples are by their attributes; the clusters only tell who shares a batch with whom."""
    chosen = chosen_specs(attribute_schema, clustering)
    affinity = Affinity(attributes.select(list(chosen)).collect()[train_rows(samples)], chosen, kernel)
    side = SideInformation(attributes=known_attributes(samples, binary_attributes), affinity=affinity)
    return _train(objective, cluster_ids(samples, clusters), side, image_store, samples, training, seed, checkpoints)


def train_cluster_cross_entropy(
    image_store: pa.Table,
    samples: pl.DataFrame,
    clusters: pl.DataFrame,
    training: TrainingConfig,
    objective: ClusterCrossEntropyConfig,
    seed: int,
    checkpoints: Path,
) -> Trained:
    """Train to predict the attribute cluster."""
    ids = cluster_ids(samples, clusters)
    return _train(objective, ids, SideInformation(), image_store, samples, training, seed, checkpoints)


def training_on_attributes(config: type[ObjectiveConfig]) -> Callable[..., Trained]:
    """Return the node function of a rival that learns from the binary attributes."""

    def train(
        image_store: pa.Table,
        samples: pl.DataFrame,
        binary_attributes: pl.DataFrame,
        training: TrainingConfig,
        objective: config,  # type: ignore[valid-type]
        seed: int,
        checkpoints: Path,
    ) -> Trained:
        side = SideInformation(attributes=known_attributes(samples, binary_attributes))
        return _train(objective, alone(samples), side, image_store, samples, training, seed, checkpoints)

    return train


def training_on_pictures(config: type[ObjectiveConfig]) -> Callable[..., Trained]:
    """Return the node function of a rival that learns from pictures alone, without attributes or labels."""

    def train(
        image_store: pa.Table,
        samples: pl.DataFrame,
        training: TrainingConfig,
        objective: config,  # type: ignore[valid-type]
        seed: int,
        checkpoints: Path,
    ) -> Trained:
        nothing = SideInformation()
        return _train(objective, alone(samples), nothing, image_store, samples, training, seed, checkpoints)

    return train


def _train(
    objective: ObjectiveConfig,
    clusters: Rows,
    side: SideInformation,
    image_store: pa.Table,
    samples: pl.DataFrame,
    training: TrainingConfig,
    seed: int,
    checkpoints: Path,
) -> Trained:
    positives = FixedPositives(clusters)
    result, metadata = run(
        objective.name, positives, image_store, samples, training, seed, checkpoints, objective=objective, side=side
    )
    return describe(result, metadata | {"objective": objective.model_dump(mode="json")})
