"""Nodes that train the rivals: other objectives on the same encoder, augmentation, batches and budget."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pyarrow as pa
import torch

from weakcl_pipeline.attributes import Affinity, AffinityConfig, ClusteringConfig
from weakcl_pipeline.attributes.schema import Schema
from weakcl_pipeline.config import Config
from weakcl_pipeline.contrastive import FixedPositives, SideInformation, TrainingConfig
from weakcl_pipeline.contrastive.objectives import (
    AffinityInfoNCEConfig,
    AttributePredictionConfig,
    ClusterCrossEntropyConfig,
    CmcConfig,
    ObjectiveConfig,
    PclConfig,
    SwavConfig,
)
from weakcl_pipeline.pipelines.clustering.nodes import chosen_specs
from weakcl_pipeline.pipelines.samples import Rows, alone, cluster_ids, train_rows
from weakcl_pipeline.pipelines.training.nodes import Trained, describe, run


class RivalsConfig(Config):
    """The rivals' own parameters; all others are those of ``training``, shared with every method.

    Attributes:
        affinity: The weighted objective beyond hard clusters.
        kernel: How alike two samples are by their attributes, for ``affinity``.
        cluster_cross_entropy: A classifier of the clusters.
        attribute_prediction: A classifier of the binary attributes.
        cmc: Pictures against encoded attributes.
        pcl: Prototypes from k-means and a momentum encoder.
        swav: Prototypes from balanced assignment.
    """

    affinity: AffinityInfoNCEConfig = AffinityInfoNCEConfig()
    kernel: AffinityConfig = AffinityConfig()
    cluster_cross_entropy: ClusterCrossEntropyConfig = ClusterCrossEntropyConfig()
    attribute_prediction: AttributePredictionConfig = AttributePredictionConfig()
    cmc: CmcConfig = CmcConfig()
    pcl: PclConfig = PclConfig()
    swav: SwavConfig = SwavConfig()


def train_affinity(
    image_store: pa.Table,
    samples: pl.DataFrame,
    clusters: pl.DataFrame,
    attributes: pl.LazyFrame,
    attribute_schema: Schema,
    clustering: ClusteringConfig,
    training: TrainingConfig,
    rivals: RivalsConfig,
    seed: int,
    checkpoints: Path,
) -> Trained:
    """Train on how alike samples are by their attributes; the clusters only tell who shares a batch with whom."""
    chosen = chosen_specs(attribute_schema, clustering)
    affinity = Affinity(attributes.select(list(chosen)).collect()[train_rows(samples)], chosen, rivals.kernel)
    side, ids = SideInformation(affinity=affinity), cluster_ids(samples, clusters)
    return _train(rivals.affinity, ids, side, image_store, samples, training, seed, checkpoints)


def train_cluster_cross_entropy(
    image_store: pa.Table,
    samples: pl.DataFrame,
    clusters: pl.DataFrame,
    training: TrainingConfig,
    rivals: RivalsConfig,
    seed: int,
    checkpoints: Path,
) -> Trained:
    """Train to predict the attribute cluster."""
    ids = cluster_ids(samples, clusters)
    objective = rivals.cluster_cross_entropy
    return _train(objective, ids, SideInformation(), image_store, samples, training, seed, checkpoints)


def training_on_attributes(name: str) -> Callable[..., Trained]:
    """Return the node function of a rival that learns from the binary attributes."""

    def train(
        image_store: pa.Table,
        samples: pl.DataFrame,
        binary_attributes: pl.DataFrame,
        training: TrainingConfig,
        rivals: RivalsConfig,
        seed: int,
        checkpoints: Path,
    ) -> Trained:
        side = _attributes(samples, binary_attributes)
        return _train(getattr(rivals, name), alone(samples), side, image_store, samples, training, seed, checkpoints)

    return train


def training_on_pictures(name: str) -> Callable[..., Trained]:
    """Return the node function of a rival that learns from pictures alone, without attributes or labels."""

    def train(
        image_store: pa.Table,
        samples: pl.DataFrame,
        training: TrainingConfig,
        rivals: RivalsConfig,
        seed: int,
        checkpoints: Path,
    ) -> Trained:
        nothing = SideInformation()
        return _train(getattr(rivals, name), alone(samples), nothing, image_store, samples, training, seed, checkpoints)

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


def _attributes(samples: pl.DataFrame, binary_attributes: pl.DataFrame) -> SideInformation:
    """Return the binary attributes of the train split, NaN where missing."""
    known = binary_attributes.drop("sample_id")[train_rows(samples)].cast(pl.Float32).fill_null(float("nan"))
    return SideInformation(attributes=torch.from_numpy(known.to_numpy(order="c").copy()))
