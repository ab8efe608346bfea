"""How the processes of a training are started, one way per file, found by name."""

from pathlib import Path

from weakcl_pipeline.contrastive.launchers.inline import Launch, launch_inline
from weakcl_pipeline.contrastive.launchers.torchrun import launch_torchrun
from weakcl_pipeline.contrastive.objectives import ObjectiveConfig, SideInformation
from weakcl_pipeline.contrastive.positives import Positives
from weakcl_pipeline.contrastive.trainer import Job, Rows, TrainingConfig, TrainingResult
from weakcl_pipeline.images import ImageStore

LAUNCHERS: dict[str, Launch] = {
    "inline": launch_inline,
    "torchrun": launch_torchrun,
}


def train(
    images: ImageStore,
    rows: Rows,
    positives: Positives,
    config: TrainingConfig,
    *,
    seed: int,
    name: str,
    objective: ObjectiveConfig | None = None,
    side: SideInformation | None = None,
    checkpoints: Path | None = None,
) -> TrainingResult:
    """Train an encoder, going on from the last checkpoint of the same training where there is one.

    Args:
        images: The store.
        rows: Rows of the train split in the store, int64 (N,).
        positives: Who is a positive of whom.
        config: The shared parameters.
        seed: Of the initialisation, the batches and the augmentation.
        name: The method, for the log.
        objective: What is minimised instead of the shared objective.
        side: What is known of the train split beside clusters, for objectives that use it.
        checkpoints: Directory of the method's checkpoints; none means no checkpoints.

    Raises:
        InputError: If the batch is larger than the train split, views are too small for the encoder, the loss stops
            being finite, or workers die more often than they may.
    """
    job = Job(rows, positives, config, seed, name, objective or config.objective, side or SideInformation())
    return LAUNCHERS[config.launcher.kind](job, images, checkpoints)
