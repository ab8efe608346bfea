"""All that is measured of one set of features."""

from typing import Any

import numpy as np
import polars as pl

from weakcl_pipeline.config import Config
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.evaluation.augmented_probe import (
    AUGMENTED_PROBE,
    AugmentedProbeConfig,
    ViewFeatures,
    augmented_probe,
)
from weakcl_pipeline.evaluation.bootstrap import BootstrapConfig
from weakcl_pipeline.evaluation.few_label import FewLabelConfig, few_label_probe, share_name
from weakcl_pipeline.evaluation.knn import KnnConfig, knn_probe
from weakcl_pipeline.evaluation.linear_probe import LinearProbeConfig, linear_probe
from weakcl_pipeline.evaluation.predictions import predictions_frame
from weakcl_pipeline.evaluation.report import ReportConfig
from weakcl_pipeline.evaluation.task import Floats, Task, label_names, make_task


class EvaluationConfig(Config):
    """How representations are evaluated, compared and reported.

    Attributes:
        labels: Labels to evaluate by, the main one first; all that the samples have where not given.
        linear_probe: The linear probe on the whole train split.
        knn: The nearest-neighbour probe.
        few_label: The linear probes on a share of the train split.
        augmented_probe: The linear protocol of the paper's code, beside the others; none leaves it out, since it takes
            as long as many epochs of training.
        bootstrap: The intervals of the comparison.
        report: What the report shows.
    """

    labels: tuple[str, ...] | None = None
    linear_probe: LinearProbeConfig = LinearProbeConfig()
    knn: KnnConfig = KnnConfig()
    few_label: FewLabelConfig = FewLabelConfig()
    augmented_probe: AugmentedProbeConfig | None = None
    bootstrap: BootstrapConfig = BootstrapConfig()
    report: ReportConfig = ReportConfig()


def evaluate_features(
    features: Floats,
    samples: pl.DataFrame,
    config: EvaluationConfig,
    seed: int,
    views: ViewFeatures | None = None,
) -> tuple[dict[str, Any], pl.DataFrame]:
    """Evaluate frozen features by linear probe, k-NN and few-label probes on every label.

    Hyperparameters are chosen on the validation split, and all figures are of the test split. Samples without a label
    are left out of that label's tasks.

    Args:
        features: float32 (N, D), a row a sample.
        samples: N rows in the same order: ``sample_id``, ``split`` (train, val, test) and ``label_<name>`` columns.
        config: The probes.
        seed: Of the few-label draws, and of the probe on augmented views.
        views: Features of augmented views, for the probe on them; without, it is left out.

    Returns:
        JSON-able metrics, ``{"seed", "features": D, "labels": {label: {"classes", "samples": {split: count},
        "linear_probe": {...}, "knn": {...}, "few_label": {"1%": {...}, ...}, "augmented_probe": {...}}}}`` (see each
        probe), and the predictions of the test split (see
        :func:`~weakcl_pipeline.evaluation.predictions.predictions_frame`).

    Raises:
        InputError: If a feature is not finite, or a label cannot be evaluated.
    """
    if len(features) != len(samples):
        msg = f"{len(features)} rows of features do not belong to {len(samples)} samples"
        raise InputError(msg)
    _require_finite(features, samples)
    tasks = [make_task(label, features, samples) for label in label_names(samples, config.labels)]
    measured = [_evaluate_task(task, samples["sample_id"], config, seed) for task in tasks]
    if config.augmented_probe is not None and views is not None:
        augmented = augmented_probe(tasks, views, config.augmented_probe, seed)
        measured = [
            (
                metrics | {"augmented_probe": found},
                frame.vstack(predictions_frame(samples["sample_id"], task, AUGMENTED_PROBE, [predicted])),
            )
            for task, (metrics, frame), (found, predicted) in zip(tasks, measured, augmented, strict=True)
        ]
    labels = {task.label: metrics for task, (metrics, _) in zip(tasks, measured, strict=True)}
    metrics = {"seed": seed, "features": features.shape[1], "labels": labels}
    return metrics, pl.concat(frame for _, frame in measured)


def _evaluate_task(
    task: Task, ids: pl.Series, config: EvaluationConfig, seed: int
) -> tuple[dict[str, Any], pl.DataFrame]:
    linear, by_linear = linear_probe(task, config.linear_probe)
    near, by_near = knn_probe(task, config.knn)
    frames = [predictions_frame(ids, task, "linear", [by_linear]), predictions_frame(ids, task, "knn", [by_near])]
    few: dict[str, Any] = {}
    for share in config.few_label.shares:
        name = share_name(share)
        few[name], predictions = few_label_probe(task, share, config.few_label, config.linear_probe, seed)
        frames.append(predictions_frame(ids, task, f"linear_{name}", predictions))
    sizes = {"train": len(task.train.rows), "val": len(task.val.rows), "test": len(task.test.rows)}
    head = {"classes": len(task.names), "samples": sizes}
    return head | {"linear_probe": linear, "knn": near, "few_label": few}, pl.concat(frames)


def _require_finite(features: Floats, samples: pl.DataFrame) -> None:
    broken = np.flatnonzero(~np.isfinite(features).all(axis=1))
    if len(broken):
        example = samples["sample_id"][int(broken[0])]
        msg = (
            f"the features of {len(broken)} of {len(features)} samples are not finite, for instance of {example!r}; "
            "train the encoder anew with a lower training.optimiser.learning_rate"
        )
        raise InputError(msg)
