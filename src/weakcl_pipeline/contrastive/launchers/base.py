"""What a launcher is given, and what each worker that it starts does."""

import logging
from typing import Protocol, TypeVar

import torch
import torch.distributed as dist
from torch.distributed.distributed_c10d import Store

from weakcl_pipeline.contrastive.device import DeviceConfig, resolve_device
from weakcl_pipeline.contrastive.group import Group, LauncherConfig
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.hardware import cores

Result = TypeVar("Result")
Result_co = TypeVar("Result_co", covariant=True)

BACKENDS = {"cpu": "gloo", "cuda": "cpu:gloo,cuda:nccl"}
"""How workers talk, by what they compute on; what is in main memory stays there."""


class Job(Protocol[Result_co]):
    """Work for a group of workers. Job and result are pickled where the workers are other processes."""

    @property
    def name(self) -> str:
        """Names the work in the log; the same on all machines that share it, and another one for other work."""
        ...

    def run(self, group: Group) -> Result_co:
        """Do a worker's part of the work.

        Args:
            group: All workers; each of them calls this method.

        Returns:
            The result of all of it, on the worker that leads.

        Raises:
            InputError: If the work cannot be done, however often it is tried.
        """
        ...


class Launch(Protocol):
    """A way to start workers."""

    def __call__(self, job: Job[Result], launcher: LauncherConfig, device: DeviceConfig) -> Result:
        """Start the workers, wait for them, and return their result.

        Args:
            job: What they do.
            launcher: How many there are.
            device: What they compute on.

        Raises:
            InputError: If a worker refuses the job, or workers die more often than they may.
        """
        ...


def count_workers(launcher: LauncherConfig, device: DeviceConfig) -> int:
    """Return how many workers this machine has: what was asked for, or one for each GPU.

    Raises:
        InputError: If there is no GPU for each of them.
    """
    target = resolve_device(device.name)
    if target.type == "cpu":
        return 1 if launcher.workers == "auto" else launcher.workers
    if target.type != "cuda" or target.index is not None:
        msg = f"training.device.name: workers compute on the CPU or on a GPU each, not on {target}; use `cpu` or `cuda`"
        raise InputError(msg)
    there = torch.cuda.device_count()
    if launcher.workers != "auto" and launcher.workers > there:
        msg = f"training.launcher.workers: {launcher.workers} are more than the {there} GPUs of this machine"
        raise InputError(msg)
    return there if launcher.workers == "auto" else launcher.workers


def work(
    job: Job[Result], device: DeviceConfig, store: Store | None, group: Group, *, here: int, all_here: int
) -> Result:
    """Do a job as one worker of a group, in a process that does nothing else.

    Args:
        job: The same for all workers.
        device: Each worker of a machine has an equal share of its cores, and, on GPUs, one of them.
        store: Where the workers find each other; a new one, or a new prefix, for each attempt. None if they have.
        group: This worker among all.
        here: This worker's number among those of its machine, from 0.
        all_here: How many workers its machine has.

    Raises:
        InputError: If the job is refused.
    """
    kind = resolve_device(device.name).type
    if kind == "cuda":
        torch.cuda.set_device(here)
    threads = max(1, cores() // all_here)
    torch.set_num_threads(threads)
    _show_log(group)
    if store is not None:
        dist.init_process_group(BACKENDS[kind], store=store, rank=group.rank, world_size=group.size)
    try:
        return job.run(group)
    finally:
        dist.destroy_process_group()


def death(job: Job[Result], launcher: LauncherConfig, rank: int, cause: str) -> str:
    """Return what to tell the user once workers have died more often than they may."""
    return (
        f"{job.name}: worker {rank} died ({cause.splitlines()[0]}), after {launcher.restarts} restarts. What it "
        "printed is above; run again to go on from the last checkpoint, or with training.launcher.kind: inline to "
        "compute in one process"
    )


def _show_log(group: Group) -> None:
    """Print the log lines of this project, of the worker that leads: a new process has no logging of Kedro's."""
    ours = logging.getLogger("weakcl_pipeline")
    ours.setLevel(logging.INFO if group.leads else logging.WARNING)
    ours.propagate = False
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-8s %(message)s", "%H:%M:%S"))
    ours.addHandler(handler)
