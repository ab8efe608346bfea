"""A training in the process that asks for it."""

from collections.abc import Callable
from pathlib import Path

from weakcl_pipeline.contrastive.group import ALONE, Group
from weakcl_pipeline.contrastive.trainer import Job, Trainer, TrainingResult
from weakcl_pipeline.images import ImageStore

Launch = Callable[[Job, ImageStore, Path | None], TrainingResult]
"""Trains a job on the pictures of a store, with checkpoints in a method's folder if there is one."""


def launch_inline(job: Job, images: ImageStore, checkpoints: Path | None, group: Group = ALONE) -> TrainingResult:
    """Train here; in a group, as one of its workers."""
    trainer = Trainer(job, images, group)
    with trainer.checkpoints(checkpoints) as store:
        return trainer.run(store)
