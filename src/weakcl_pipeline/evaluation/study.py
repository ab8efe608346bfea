"""What a representation owes to the clusters it was trained on: the same training under many settings."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from weakcl_pipeline.attributes import (
    conditional_entropy,
    entropy,
    mutual_information,
    shuffled_mutual_information,
)
from weakcl_pipeline.contrastive import (
    EmbeddingJob,
    Encoder,
    FixedPositives,
    SideInformation,
    TrainingConfig,
    launch,
    train,
)
from weakcl_pipeline.contrastive.objectives import ObjectiveConfig
from weakcl_pipeline.evaluation.evaluate import EvaluationConfig, EvaluationJob
from weakcl_pipeline.evaluation.probes import by_probe
from weakcl_pipeline.images import ImageStore
from weakcl_pipeline.seeding import numpy_generator
from weakcl_pipeline.sources import LABEL_PREFIX

Rows = npt.NDArray[np.int64]

_SHUFFLES = 10


@dataclass(frozen=True)
class Setting:
    """One training of a study.

    Attributes:
        variable: What the study varies, for instance ``granularity``.
        value: Its value here.
        clusters: Of the train split, int64 (N,), negative for none.
        training: How to train.
        method: What is minimised: ``attribute`` is the shared objective.
        objective: What is minimised instead of the shared objective.
        side: What the objective knows beside clusters.
        chosen: Whether its clusters and training, but for its epochs, are those of `full`.
    """

    variable: str
    value: float
    clusters: Rows
    training: TrainingConfig
    method: str = "attribute"
    objective: ObjectiveConfig | None = None
    side: SideInformation | None = None
    chosen: bool = False

    @property
    def name(self) -> str:
        """The setting in words, for the log."""
        return f"{self.method}, {self.variable} {self.value:g}"


def run_setting(
    setting: Setting,
    images: ImageStore,
    samples: pl.DataFrame,
    evaluation: EvaluationConfig,
    seed: int,
    checkpoints: Path,
) -> pl.DataFrame:
    """Train, embed and evaluate one setting.

    Args:
        setting: What to train.
        images: The pictures of all samples.
        samples: ``sample_id``, ``split`` and ``label_<name>`` columns, in the order of the pictures.
        evaluation: The probes; that on augmented views is left out.
        seed: Of the training.
        checkpoints: Where the training keeps its checkpoints, from which a killed study goes on.

    Returns:
        A row per label and probe: ``method``, ``variable``, ``value``, ``chosen``, ``seed``; of the clusters of the
        train split ``clusters``, ``unclustered_share``, ``entropy`` H(Z), ``information`` I(Z;T),
        ``information_shuffled``, what shuffled clusters would seem to tell, and ``conditional_entropy`` H(Z|T) about
        the row's label T (bits, over the samples that have a cluster and a label);
        ``partner_share`` (mean over the epochs) and ``checkpoint`` of the training; ``label``, ``probe`` (``linear``,
        ``knn``, ``linear_1%``, ...), ``accuracy`` on the test split, and the ``validation_accuracy``.
    """
    rows = np.flatnonzero((samples["split"] == "train").to_numpy())
    result = train(
        images,
        rows,
        FixedPositives(setting.clusters),
        setting.training,
        seed=seed,
        name=setting.name,
        objective=setting.objective,
        side=setting.side,
        checkpoints=checkpoints,
    )
    labels = _measure(result.encoder, setting.training, images, samples, evaluation, seed)
    about = {
        "method": setting.method,
        "variable": setting.variable,
        "value": float(setting.value),
        "chosen": setting.chosen,
        "seed": seed,
        "partner_share": result.history["partner_share"].mean(),
        "checkpoint": result.checkpoint,
    }
    return pl.DataFrame(
        [
            about
            | _information(setting.clusters, samples[LABEL_PREFIX + name].gather(rows), _generator(setting, name, seed))
            | {"label": name, "probe": probe}
            | {measure: measured[measure] for measure in ("accuracy", "validation_accuracy")}
            for name, found in labels.items()
            for probe, measured in by_probe(found).items()
        ]
    )


def _measure(
    encoder: Encoder,
    training: TrainingConfig,
    images: ImageStore,
    samples: pl.DataFrame,
    evaluation: EvaluationConfig,
    seed: int,
) -> dict[str, Any]:
    """Embed all pictures and evaluate the features: label -> what each probe found."""
    device, launcher = training.device, training.launcher.here
    features = launch(EmbeddingJob(encoder.state(), images, device), launcher, device)
    metrics, _ = launch(EvaluationJob(features, samples, evaluation, seed), launcher, device)
    labels: dict[str, Any] = metrics["labels"]
    return labels


def _generator(setting: Setting, label: str, seed: int) -> np.random.Generator:
    return numpy_generator(seed, "shuffled information", setting.name, label)


def _information(clusters: Rows, label: pl.Series, rng: np.random.Generator) -> dict[str, float]:
    """Describe the clusters of the train split, in bits over the samples that have both a cluster and a label."""
    clustered = clusters >= 0
    known = clustered & label.is_not_null().to_numpy()
    z, t = clusters[known], label.filter(pl.Series(known))
    return {
        "clusters": len(np.unique(clusters[clustered])),
        "unclustered_share": 1 - float(clustered.mean()),
        "entropy": entropy(z),
        "information": mutual_information(z, t),
        "information_shuffled": shuffled_mutual_information(z, t, shuffles=_SHUFFLES, rng=rng),
        "conditional_entropy": conditional_entropy(z, t),
    }
