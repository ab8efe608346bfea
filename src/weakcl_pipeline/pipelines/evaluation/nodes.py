"""Nodes of the evaluation: encoders -> embeddings -> metrics -> comparison -> report."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
from matplotlib.figure import Figure

from weakcl_pipeline.contrastive import EmbeddingJob, Encoder, EncoderState, TrainingConfig, embed_views, launch
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.evaluation import (
    EvaluationConfig,
    EvaluationJob,
    Outcome,
    ReportContent,
    build_report,
    check_claims,
    compare,
    comparison_figure,
    evaluate_features,
    evaluate_majority,
    measure_accuracies,
    raw_pixel_features,
)
from weakcl_pipeline.images import Augmentation, ImageStore, open_store
from weakcl_pipeline.pipelines.samples import train_rows

Evaluated = tuple[dict[str, Any], pl.DataFrame]
BySeed = Mapping[int, Any]
Repeats = Mapping[str, BySeed]
Floats = npt.NDArray[np.float32]


def initialise_encoder(
    image_store: pa.Table, samples: pl.DataFrame, training: TrainingConfig, seed: int
) -> EncoderState:
    """Build the encoder with which every training of this seed begins, and leave it untrained."""
    images = open_store(image_store)
    encoder = Encoder.create(training.encoder, *images.channel_statistics(train_rows(samples)), seed)
    return encoder.state(method="random_encoder", seed=seed, image_size=images.size)


def embed_pictures(encoder: EncoderState, image_store: pa.Table, training: TrainingConfig) -> pl.DataFrame:
    """Compute the features of every picture of all splits: ``sample_id`` and ``embedding``, float32 (F,)."""
    images = open_store(image_store)
    job = EmbeddingJob(encoder, images, training.device)
    return _embeddings(images, launch(job, training.launcher.here, training.device))


def embed_pixels(image_store: pa.Table, samples: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Take the principal components of the pixels as features: ``sample_id`` and ``embedding``, float32 (F,)."""
    images = open_store(image_store)
    return _embeddings(images, raw_pixel_features(images, train_rows(samples), seed))


def evaluate_embeddings(
    embeddings: pl.DataFrame, samples: pl.DataFrame, evaluation: EvaluationConfig, seed: int
) -> Evaluated:
    """Measure frozen features by every probe on every label; return metrics and predictions of the test split."""
    return evaluate_features(_features(embeddings, samples), samples, evaluation, seed)


def evaluate_encoder(
    embeddings: pl.DataFrame,
    samples: pl.DataFrame,
    evaluation: EvaluationConfig,
    seed: int,
    encoder: EncoderState,
    image_store: pa.Table,
    training: TrainingConfig,
) -> Evaluated:
    """Measure an encoder's features, and where that is asked for, those of augmented views too."""
    views = None
    if evaluation.augmented_probe is not None:
        views = partial(
            embed_views,
            Encoder.from_state(*encoder),
            open_store(image_store),
            Augmentation(training.augmentation),
            training.device,
        )
    job = EvaluationJob(_features(embeddings, samples), samples, evaluation, seed, views)
    return launch(job, training.launcher.here, training.device)


def evaluate_guess(samples: pl.DataFrame, evaluation: EvaluationConfig, seed: int) -> Evaluated:
    """Measure the guess of the most frequent class; return metrics and predictions of the test split."""
    return evaluate_majority(samples, evaluation.labels, seed)


def compare_methods(
    samples: pl.DataFrame, evaluation: EvaluationConfig, seed: int, repeats: Repeats, **evaluated: Any
) -> tuple[pl.DataFrame, pl.DataFrame, Figure]:
    """Put all methods side by side, over all seeds with which they were run.

    Args:
        samples: Says which samples belong together.
        evaluation: The bootstrap.
        seed: Of the bootstrap, and of artifacts of which ``repeats`` does not know the seed.
        repeats: What ``evaluated`` holds, from this run and from earlier ones: name -> seed -> artifact.
        **evaluated: ``<method>.metrics`` and ``<method>.predictions`` of every method, and ``<method>.history`` of
            those that were trained.

    Returns:
        The comparison, the differences that the paper's claims are about, and the comparison's figure.
    """
    by_seed = {name: repeats.get(name, {seed: artifact}) for name, artifact in evaluated.items()}
    metrics, predictions, histories = (_of_methods(by_seed, kind) for kind in ("metrics", "predictions", "history"))
    outcomes = {name: _outcome(predictions[name], metrics[name], histories.get(name, {})) for name in metrics}
    accuracies = measure_accuracies(outcomes, samples, evaluation.bootstrap, seed)
    confidence = evaluation.bootstrap.confidence
    comparison = compare(outcomes, accuracies, confidence)
    return comparison, check_claims(accuracies, confidence), comparison_figure(comparison, confidence)


def _outcome(predictions: BySeed, metrics: BySeed, histories: BySeed) -> Outcome:
    """Keep the seeds of which there are both predictions and metrics: somebody may have removed one of them."""
    seeds = sorted(predictions.keys() & metrics.keys())
    known = [{seed: found[seed] for seed in seeds if seed in found} for found in (predictions, metrics, histories)]
    return Outcome(*known)


def write_report(
    samples: pl.DataFrame,
    evaluation: EvaluationConfig,
    seed: int,
    image_store: pa.Table,
    comparison: pl.DataFrame,
    claims: pl.DataFrame,
    report_lineage: dict[str, Any],
    report_differences: dict[str, str],
    **artifacts: Any,
) -> str:
    """Write the report of a run.

    Args:
        samples: The accepted samples.
        evaluation: What to show.
        seed: Of the run.
        image_store: Their pictures.
        comparison: Of all methods.
        claims: The differences that the paper's claims are about.
        report_lineage: Artifact -> its version and hash, and those of its repeats, of all that the report shows.
        report_differences: Parameter -> the values of it that the compared methods were trained with.
        **artifacts: ``ingestion_summary``; ``cluster_report``, ``clusters`` and ``binary_attributes`` where there are
            attributes; and of the methods ``<method>.history``, ``<method>.embeddings`` and ``<method>.metrics``.

    Returns:
        A self-contained HTML page.
    """
    content = ReportContent(
        samples=samples,
        images=open_store(image_store),
        histories=_of_methods(artifacts, "history"),
        embeddings={name: _features(frame, samples) for name, frame in _of_methods(artifacts, "embeddings").items()},
        metrics=_of_methods(artifacts, "metrics"),
        comparison=comparison,
        claims=claims,
        lineage=report_lineage,
        differences=report_differences,
        confidence=evaluation.bootstrap.confidence,
        seed=seed,
        **{name: artifact for name, artifact in artifacts.items() if "." not in name},
    )
    return build_report(content, evaluation.report)


def _of_methods(artifacts: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Return method -> its artifact of a kind, from ``<method>.<kind>`` -> artifact."""
    suffix = f".{kind}"
    return {name.removesuffix(suffix): artifact for name, artifact in artifacts.items() if name.endswith(suffix)}


def _embeddings(images: ImageStore, features: Floats) -> pl.DataFrame:
    array = pl.Series("embedding", features, dtype=pl.Array(pl.Float32, features.shape[1]))
    return pl.DataFrame([pl.Series("sample_id", images.sample_ids, dtype=pl.String), array])


def _features(embeddings: pl.DataFrame, samples: pl.DataFrame) -> Floats:
    """Return the features of the samples, float32 (N, F).

    Raises:
        InputError: If they are of other samples.
    """
    if not embeddings["sample_id"].equals(samples["sample_id"]):
        msg = "embeddings: not of the same samples in the same order as `samples`; run the evaluation anew"
        raise InputError(msg)
    features: Floats = embeddings["embedding"].to_numpy()
    return features
