"""How the processes that share some work are started, one way per file, found by name."""

from weakcl_pipeline.contrastive.device import DeviceConfig
from weakcl_pipeline.contrastive.group import LauncherConfig
from weakcl_pipeline.contrastive.launchers.base import Job, Launch, Result
from weakcl_pipeline.contrastive.launchers.inline import launch_inline
from weakcl_pipeline.contrastive.launchers.ray import launch_ray
from weakcl_pipeline.contrastive.launchers.torchrun import launch_torchrun

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
