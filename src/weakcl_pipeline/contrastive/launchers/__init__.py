"""How the processes that share some work are started, one way per file, found by name."""

from pathlib import Path

from weakcl_pipeline.contrastive.device import DeviceConfig
from weakcl_pipeline.contrastive.group import LauncherConfig
from weakcl_pipeline.contrastive.launchers.base import Job, Launch, Result
from weakcl_pipeline.contrastive.launchers.inline import launch_inline
from weakcl_pipeline.contrastive.launchers.ray import launch_ray
from weakcl_pipeline.contrastive.launchers.torchrun import launch_torchrun
from weakcl_pipeline.contrastive.objectives import ObjectiveConfig, SideInformation
from weakcl_pipeline.contrastive.positives import Positives
from weakcl_pipeline.contrastive.trainer import Rows, TrainingConfig, TrainingJob, TrainingResult
from weakcl_pipeline.images import ImageStore

LAUNCHERS: dict[str, Launch] = {
    "inline": launch_inline,
    "torchrun": launch_torchrun,
    "ray": launch_ray,
}


def launch(job: Job[Result], launcher: LauncherConfig, device: DeviceConfig) -> Result:
    """Have workers do a job, and return its result.

    Raises:
        InputError: If a worker refuses the job, or workers die more often than they may.
    """
    return LAUNCHERS[launcher.kind](job, launcher, device)


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
    job = TrainingJob(
        images=images,
        rows=rows,
        positives=positives,
        config=config,
        seed=seed,
        method=name,
        objective=objective or config.objective,
        side=side or SideInformation(),
        checkpoints=checkpoints,
    )
    return launch(job, config.launcher, config.device)
