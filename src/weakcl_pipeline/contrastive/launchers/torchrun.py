"""A training by several processes of this machine, started by torch.distributed's elastic launcher, torchrun's own."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
import torch.distributed as dist
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch
from torch.distributed.rendezvous import rendezvous

from weakcl_pipeline.contrastive.device import resolve_device
from weakcl_pipeline.contrastive.encoder import Encoder
from weakcl_pipeline.contrastive.group import Group
from weakcl_pipeline.contrastive.launchers.inline import launch_inline
from weakcl_pipeline.contrastive.trainer import Job, TrainingResult
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.files import TemporaryFolder, map_table
from weakcl_pipeline.images import ImageStore, open_store

logger = logging.getLogger(__name__)

_REFUSED = "refused.txt"


@dataclass(frozen=True)
class _Result:
    """A training's result in a form that survives the process it was made in."""

    weights: dict[str, npt.NDArray[Any]]
    metadata: dict[str, Any]
    history: pl.DataFrame
    clusters: npt.NDArray[np.int64]
    checkpoint: str | None


def launch_torchrun(job: Job, images: ImageStore, checkpoints: Path | None) -> TrainingResult:
    """Train in workers that share each batch; one that dies has all of them go on from the last checkpoint.

    Raises:
        InputError: If a worker refuses the job, or workers die more often than they may.
    """
    config = job.config.launcher
    folder = TemporaryFolder()
    workers = _workers(job)
    launch = LaunchConfig(
        min_nodes=config.machines,
        max_nodes=config.machines,
        nproc_per_node=workers,
        run_id=uuid4().hex if config.machines == 1 else f"{job.name}-{job.seed}",
        rdzv_backend="c10d",
        rdzv_endpoint=config.rendezvous or "localhost:0",
        local_addr=None if config.machines > 1 else "localhost",
        max_restarts=config.restarts,
        logs_specs=DefaultLogsSpecs(log_dir=str(folder.path)),
        start_method="spawn",  # a fork would inherit locks that threads of this process hold
    )
    logger.info(
        "%s: %d workers%s", job.name, workers, f" on each of {config.machines} machines" * (config.machines > 1)
    )
    try:
        results = elastic_launch(launch, _work)(job, images.file(folder.path), checkpoints, folder.path)
    except ChildFailedError as error:
        raise InputError(_refusal(folder.path) or _death(job, error)) from error
    if refusal := _refusal(folder.path):
        raise InputError(refusal)
    result = next(result for result in results.values() if result is not None)
    weights = {name: torch.from_numpy(array) for name, array in result.weights.items()}
    encoder = Encoder.from_state(weights, result.metadata)
    return TrainingResult(encoder, result.history, result.clusters, result.checkpoint)


def _workers(job: Job) -> int:
    workers = job.config.launcher.workers
    device = resolve_device(job.config.device.name)
    if device.type == "cpu":
        return 1 if workers == "auto" else workers
    if device.type != "cuda" or device.index is not None:
        msg = f"training.device.name: workers compute on the CPU or on a GPU each, not on {device}; use `cpu` or `cuda`"
        raise InputError(msg)
    there = torch.cuda.device_count()
    if workers != "auto" and workers > there:
        msg = f"training.launcher.workers: {workers} are more than the {there} GPUs of this machine"
        raise InputError(msg)
    return there if workers == "auto" else workers


def _work(job: Job, pictures: Path, checkpoints: Path | None, folder: Path) -> _Result | None:
    """Train as one of the workers; what cannot be trained is refused once, and not tried again."""
    here, all_here = int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])
    if (folder / _REFUSED).exists():
        return None
    on_cuda = resolve_device(job.config.device.name).type == "cuda"
    if on_cuda:
        torch.cuda.set_device(here)
    else:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // all_here))
    store, rank, size = next(rendezvous("env://"))
    if rank == 0:
        _show_log()
    attempt = os.environ["TORCHELASTIC_RESTART_COUNT"]  # the store still knows the addresses of those that died
    group = PrefixStore(f"attempt-{attempt}", store)
    dist.init_process_group("nccl" if on_cuda else "gloo", store=group, rank=rank, world_size=size)
    try:
        result = launch_inline(job, open_store(map_table(pictures)), checkpoints, Group(rank, size))
    except InputError as error:
        (folder / _REFUSED).write_text(str(error))
        return None
    finally:
        dist.destroy_process_group()
    if here:
        return None
    weights, metadata = result.encoder.state()
    arrays = {name: tensor.numpy() for name, tensor in weights.items()}
    return _Result(arrays, metadata, result.history, result.clusters, result.checkpoint)


def _show_log() -> None:
    """Print the log lines of this project: a new process has no logging of Kedro's."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-8s %(message)s", "%H:%M:%S"))
    ours = logging.getLogger("weakcl_pipeline")
    ours.setLevel(logging.INFO)
    ours.addHandler(handler)


def _refusal(folder: Path) -> str | None:
    file = folder / _REFUSED
    return file.read_text() if file.exists() else None


def _death(job: Job, error: ChildFailedError) -> str:
    rank, failure = error.get_first_failure()
    message = failure.message["message"] if isinstance(failure.message, dict) else failure.message
    return (
        f"{job.name}: worker {rank} died ({message.splitlines()[0]}), after {job.config.launcher.restarts} "
        "restarts. What it printed is above; run again to go on from the last checkpoint, or with "
        "training.launcher.kind: inline to train in one process"
    )
