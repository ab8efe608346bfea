"""All that is measured of one set of features."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from weakcl_pipeline.config import Config
from weakcl_pipeline.contrastive.group import ALONE, Group
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.evaluation.augmented_probe import (
    AugmentedProbeConfig,
    ViewFeatures,
    augmented_probe,
)
from weakcl_pipeline.evaluation.bootstrap import BootstrapConfig
from weakcl_pipeline.evaluation.few_label import FewLabelConfig, few_label_probe
from weakcl_pipeline.evaluation.knn import KnnConfig, knn_probe
from weakcl_pipeline.evaluation.linear_probe import LinearProbeConfig, linear_probe
from weakcl_pipeline.evaluation.predictions import predictions_frame
from weakcl_pipeline.evaluation.probes import AUGMENTED, FEW_LABEL, KNN, LINEAR, probe_name, share_name
from weakcl_pipeline.evaluation.report import ReportConfig
from weakcl_pipeline.evaluation.task import Floats, Integers, Task, label_names, make_task


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
    group: Group = ALONE,
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
        group: The workers. Each looks for the nearest neighbours of its part of the samples; linear probes are shared
            out, those of each label on the train split and on each share of it; the probe on augmented views is left
            to the worker that leads, which alone returns it.

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
    # The longest first, so that no worker is left with two of them.
    fits: list[Callable[[Task], Any]] = [partial(linear_probe, config=config.linear_probe)]
    fits += [
        partial(few_label_probe, share=share, config=config.few_label, probe=config.linear_probe, seed=seed)
        for share in config.few_label.shares
    ]
    fitted = group.each([partial(fit, task) for fit in fits for task in tasks])
    measured = [
        _describe(task, samples["sample_id"], knn_probe(task, config.knn, group), fitted[number :: len(tasks)], config)
        for number, task in enumerate(tasks)
    ]
    if config.augmented_probe is not None and views is not None and group.leads:
        augmented = augmented_probe(tasks, views, config.augmented_probe, seed)
        measured = [
            (
                metrics | {AUGMENTED.key: found},
                frame.vstack(predictions_frame(samples["sample_id"], task, AUGMENTED.name, [predicted])),
            )
            for task, (metrics, frame), (found, predicted) in zip(tasks, measured, augmented, strict=True)
        ]
    labels = {task.label: metrics for task, (metrics, _) in zip(tasks, measured, strict=True)}
    metrics = {"seed": seed, "features": features.shape[1], "labels": labels}
    return metrics, pl.concat(frame for _, frame in measured)


@dataclass(frozen=True)
class EvaluationJob:
    """Features to be evaluated; see :func:`evaluate_features`."""

    features: Floats
    samples: pl.DataFrame
    config: EvaluationConfig
    seed: int
    views: ViewFeatures | None = None

    name = "evaluation"

    def run(self, group: Group) -> tuple[dict[str, Any], pl.DataFrame]:
        """Evaluate them."""
        return evaluate_features(self.features, self.samples, self.config, self.seed, self.views, group)


def _describe(
    task: Task,
    ids: pl.Series,
    knn: tuple[dict[str, Any], Integers],
    fitted: Sequence[tuple[dict[str, Any], Any]],
    config: EvaluationConfig,
) -> tuple[dict[str, Any], pl.DataFrame]:
    """Put together what the probes found: k-NN, and linear ones on the train split and on each share of it."""
    (linear, by_linear), *few = fitted
    near, by_near = knn
    names = [share_name(share) for share in config.few_label.shares]
    frames = [predictions_frame(ids, task, LINEAR.name, [by_linear]), predictions_frame(ids, task, KNN.name, [by_near])]
    frames += [
        predictions_frame(ids, task, probe_name(name), by_few) for name, (_, by_few) in zip(names, few, strict=True)
    ]
    sizes = {"train": len(task.train.rows), "val": len(task.val.rows), "test": len(task.test.rows)}
    metrics = {
        "classes": len(task.names),
        "samples": sizes,
        LINEAR.key: linear,
        KNN.key: near,
        FEW_LABEL: {name: found for name, (found, _) in zip(names, few, strict=True)},
    }
    return metrics, pl.concat(frames)


def _require_finite(features: Floats, samples: pl.DataFrame) -> None:
    broken = np.flatnonzero(~np.isfinite(features).all(axis=1))
    if len(broken):
        example = samples["sample_id"][int(broken[0])]
        msg = (
            f"the features of {len(broken)} of {len(features)} samples are not finite, for instance of {example!r}; "
            "train the encoder anew with a lower training.optimiser.learning_rate"
        )
        raise InputError(msg)
