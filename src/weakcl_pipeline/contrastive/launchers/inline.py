"""Work in the process that asks for it."""

from weakcl_pipeline.contrastive.device import DeviceConfig
from weakcl_pipeline.contrastive.group import ALONE, LauncherConfig
from weakcl_pipeline.contrastive.launchers.base import Job, Result


def launch_inline(job: Job[Result], launcher: LauncherConfig, device: DeviceConfig) -> Result:
    """Do the work here, alone."""
    return job.run(ALONE)
