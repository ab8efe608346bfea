"""Nodes that train the rivals: other objectives on the same encoder, augmentation, batches and budget."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import torch

from weakcl_pipeline.attributes import Affinity, AffinityConfig, ClusteringConfig, choose_attributes, specs_of
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
from weakcl_pipeline.contrastive.positives import NO_CLUSTER
from weakcl_pipeline.pipelines.samples import cluster_ids, train_rows
from weakcl_pipeline.pipelines.training.nodes import Trained, describe, run

Rows = npt.NDArray[np.int64]


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
    attributes: pl.DataFrame,
    attribute_schema: Schema,
    clustering: ClusteringConfig,
    training: TrainingConfig,
    rivals: RivalsConfig,
    seed: int,
    checkpoints: Path,
) -> Trained:
    """Train on how alike samples are by their attributes; the clusters only tell who shares a batch with whom."""
    specs = specs_of(attribute_schema)
    chosen = {name: specs[name] for name in choose_attributes(specs, clustering)}
    affinity = Affinity(attributes[train_rows(samples)].select(list(chosen)), chosen, rivals.kernel)
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


def train_attribute_prediction(
    image_store: pa.Table,
    samples: pl.DataFrame,
    binary_attributes: pl.DataFrame,
    training: TrainingConfig,
    rivals: RivalsConfig,
    seed: int,
    checkpoints: Path,
) -> Trained:
    """Train to predict the binary attributes."""
    side = _attributes(samples, binary_attributes)
    objective = rivals.attribute_prediction
    return _train(objective, _alone(samples), side, image_store, samples, training, seed, checkpoints)


def train_cmc(
    image_store: pa.Table,
    samples: pl.DataFrame,
    binary_attributes: pl.DataFrame,
    training: TrainingConfig,
    rivals: RivalsConfig,
    seed: int,
    checkpoints: Path,
) -> Trained:
    """Train to tell which attributes belong to which picture."""
    side = _attributes(samples, binary_attributes)
    return _train(rivals.cmc, _alone(samples), side, image_store, samples, training, seed, checkpoints)


def train_pcl(
    image_store: pa.Table,
    samples: pl.DataFrame,
    training: TrainingConfig,
    rivals: RivalsConfig,
    seed: int,
    checkpoints: Path,
) -> Trained:
    """Train on prototypes found by k-means, without attributes or labels."""
    alone = _alone(samples)
    return _train(rivals.pcl, alone, SideInformation(), image_store, samples, training, seed, checkpoints)


def train_swav(
    image_store: pa.Table,
    samples: pl.DataFrame,
    training: TrainingConfig,
    rivals: RivalsConfig,
    seed: int,
    checkpoints: Path,
) -> Trained:
    """Train on prototypes that views are assigned to in equal shares, without attributes or labels."""
    alone = _alone(samples)
    return _train(rivals.swav, alone, SideInformation(), image_store, samples, training, seed, checkpoints)


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


def _alone(samples: pl.DataFrame) -> Rows:
    return np.full(len(train_rows(samples)), NO_CLUSTER)


def _attributes(samples: pl.DataFrame, binary_attributes: pl.DataFrame) -> SideInformation:
    """Return the binary attributes of the train split, NaN where missing."""
    known = binary_attributes.drop("sample_id")[train_rows(samples)].cast(pl.Float32).fill_null(float("nan"))
    return SideInformation(attributes=torch.from_numpy(known.to_numpy(order="c").copy()))
