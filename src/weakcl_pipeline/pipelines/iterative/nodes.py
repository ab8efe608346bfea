"""The node of the iterative variant, which finds its clusters by k-means while it trains."""

from pathlib import Path

import polars as pl
import pyarrow as pa
from matplotlib.figure import Figure

from weakcl_pipeline.contrastive import EncoderState, IterativeConfig, IterativePositives, TrainingConfig
from weakcl_pipeline.pipelines.samples import label_ids, train_rows
from weakcl_pipeline.pipelines.training.nodes import describe, last_clusters, run


def train_iterative(
    image_store: pa.Table,
    samples: pl.DataFrame,
    training: TrainingConfig,
    iterative: IterativeConfig,
    seed: int,
    checkpoints: Path,
) -> tuple[EncoderState, pl.DataFrame, Figure, pl.DataFrame]:
    """Train on k-means clusters of the embeddings, found again and again, without attributes or labels.

    Returns:
        The encoder, its history and its figure, and the last clusters of the train split.
    """
    positives = IterativePositives(iterative, len(train_rows(samples)), label_ids(samples), seed)
    result, metadata = run("iterative", positives, image_store, samples, training, seed, checkpoints)
    described = describe(result, metadata | {"iterative": iterative.model_dump(mode="json")})
    return *described, last_clusters(result, samples)
