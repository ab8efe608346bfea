"""Predictions as a table: one row per test sample, label, probe and repeat."""

from collections.abc import Sequence

import polars as pl

from weakcl_pipeline.evaluation.task import Integers, Task


def predictions_frame(sample_ids: pl.Series, task: Task, probe: str, predictions: Sequence[Integers]) -> pl.DataFrame:
    """Tabulate what a probe said of the test split.

    Args:
        sample_ids: Of all samples.
        task: The label.
        probe: ``linear``, ``knn``, ``linear_1%``, ..., ``majority``.
        predictions: Of each repeat, the predicted classes of the test split, int64 (N,).

    Returns:
        ``sample_id``, ``label``, ``probe``, ``repeat`` (Int32, from 0; probes without repeats have 0 alone),
        ``predicted`` and ``true`` (class names).
    """
    names = pl.Series(task.names)
    ids, true = sample_ids.gather(task.test.rows), names.gather(task.test.classes)
    frames = [
        pl.DataFrame(
            {
                "sample_id": ids,
                "label": pl.repeat(task.label, len(ids), eager=True),
                "probe": pl.repeat(probe, len(ids), eager=True),
                "repeat": pl.repeat(number, len(ids), eager=True, dtype=pl.Int32),
                "predicted": names.gather(predicted),
                "true": true,
            }
        )
        for number, predicted in enumerate(predictions)
    ]
    return pl.concat(frames)
