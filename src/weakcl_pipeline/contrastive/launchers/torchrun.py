"""Work in several processes of this machine, started by torch.distributed's elastic launcher, torchrun's own."""

import logging
import multiprocessing
import os
import pickle
import time
from pathlib import Path
from threading import Thread
from uuid import uuid4

import torch.distributed as dist
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch
from torch.distributed.rendezvous import rendezvous

from weakcl_pipeline.contrastive.device import DeviceConfig
from weakcl_pipeline.contrastive.group import Group, LauncherConfig
from weakcl_pipeline.contrastive.launchers.base import Job, Result, count_workers, death, work
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.files import TemporaryFolder

logger = logging.getLogger(__name__)

# Files by which this process and its workers talk; each worker reads the job anew after a restart.
_JOB, _RESULT, _REFUSED = "job.pickle", "result.pickle", "refused.txt"
_NOTICED = 2.0  # seconds in which the launcher surely finds the worker that died, to name it and not those that miss it


def launch_torchrun(job: Job[Result], launcher: LauncherConfig, device: DeviceConfig) -> Result:
    """Do the work in a group of workers; one that dies has all of them begin again, from the last checkpoint if any.

    Raises:
        InputError: If a worker refuses the job, or workers die more often than they may.
    """
    workers = count_workers(launcher, device)
    folder = TemporaryFolder()
    launch = LaunchConfig(
        min_nodes=launcher.machines,
        max_nodes=launcher.machines,
        nproc_per_node=workers,
        run_id=uuid4().hex if launcher.machines == 1 else job.name,
        rdzv_backend="c10d",
        rdzv_endpoint=launcher.rendezvous or "localhost:0",
        local_addr=None if launcher.machines > 1 else "localhost",
        max_restarts=launcher.restarts,
        logs_specs=DefaultLogsSpecs(log_dir=str(folder.path)),
        start_method="forkserver",
    )
    # Workers are forked from a process that has imported what they need once, for all of them and for their restarts; a
    # fork of this process would inherit locks that its threads hold.
    multiprocessing.set_forkserver_preload([__name__, "kedro.framework.cli"])
    machines = f" on each of {launcher.machines} machines" if launcher.machines > 1 else ""
    logger.info("%s: %d workers%s", job.name, workers, machines)
    with (folder.path / _JOB).open("wb") as file:
        pickle.dump(job, file)
    try:
        elastic_launch(launch, _work)(folder.path, device)
    except ChildFailedError as error:
        raise InputError(_refusal(folder.path) or death(job, launcher, *_first_failure(error))) from error
    if refusal := _refusal(folder.path):
        raise InputError(refusal)
    with (folder.path / _RESULT).open("rb") as file:
        result: Result = pickle.load(file)  # noqa: S301 - our own worker wrote it
    return result


def _work(folder: Path, device: DeviceConfig) -> None:
    """Work as one of the workers; what cannot be done is refused once, and not tried again."""
    Thread(target=_end_with_launcher, daemon=True).start()
    if _refusal(folder):
        return
    here, all_here = int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])
    store, rank, size = next(rendezvous("env://"))
    attempt = os.environ["TORCHELASTIC_RESTART_COUNT"]  # the store still knows the addresses of those that died
    with (folder / _JOB).open("rb") as file:
        job: Job[object] = pickle.load(file)  # noqa: S301 - our own launcher wrote it
    try:
        group = Group(rank, size)
        result = work(job, device, PrefixStore(f"attempt-{attempt}", store), group, here=here, all_here=all_here)
    except InputError as error:
        (folder / _REFUSED).write_text(str(error))
        return
    except RuntimeError as error:
        if _tells_of_another(error):
            time.sleep(_NOTICED)
        raise
    if here == 0:  # of each machine: one that joined has a node that waits for a result too
        with (folder / _RESULT).open("wb") as file:
            pickle.dump(result, file)


def _tells_of_another(error: RuntimeError) -> bool:
    """Whether a worker fails because it has lost another one."""
    return isinstance(error, dist.DistError) or "gloo" in str(error)


def _end_with_launcher() -> None:
    """End this process once the one that launched it has ended, be it killed: a fork server would keep it going."""
    if launcher := multiprocessing.parent_process():
        launcher.join()
        os._exit(1)


def _refusal(folder: Path) -> str | None:
    file = folder / _REFUSED
    return file.read_text() if file.exists() else None


def _first_failure(error: ChildFailedError) -> tuple[int, str]:
    rank, failure = error.get_first_failure()
    message = failure.message["message"] if isinstance(failure.message, dict) else failure.message
    return rank, message
