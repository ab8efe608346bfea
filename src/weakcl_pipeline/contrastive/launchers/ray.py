"""Work on an existing Ray cluster, or on one that is started on this machine for it, by Ray Train."""

import logging
import os
import pickle
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from secrets import token_hex
from threading import Lock, current_thread, main_thread
from typing import Any

from weakcl_pipeline import __version__
from weakcl_pipeline.contrastive.device import DeviceConfig, resolve_device
from weakcl_pipeline.contrastive.group import Group, LauncherConfig
from weakcl_pipeline.contrastive.launchers.base import BACKENDS, Job, Result, death, work
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.files import TemporaryFolder
from weakcl_pipeline.hardware import cores

logger = logging.getLogger(__name__)

_TURN = Lock()  # nodes run side by side, but a process has one connection to Ray


def launch_ray(job: Job[Result], launcher: LauncherConfig, device: DeviceConfig) -> Result:
    """Do the work in a group of workers; one that dies has all of them begin again, from the last checkpoint if any.

    Raises:
        InputError: If Ray, the cluster or enough GPUs are not there, a worker refuses the job, or workers die more
            often than they may.
    """
    try:
        import ray.train.torch  # noqa: F401, PLC0415 - an extra
    except ImportError as error:
        msg = f"training.launcher.kind: `ray` needs `pip install 'weakcl-pipeline[ray]'` ({error})"
        raise InputError(msg) from error
    folder = TemporaryFolder()
    with _TURN, _connected(launcher, folder.path), _signal_handlers_kept():
        return _launch(job, launcher, device, folder.path)


@contextmanager
def _connected(launcher: LauncherConfig, folder: Path) -> Iterator[None]:
    """Connect to the cluster, or start one for as long as this lasts; a connection that is there already is used."""
    import ray  # noqa: PLC0415

    if ray.is_initialized():
        yield
        return
    try:
        _connect(launcher, folder)
        yield
    finally:
        ray.shutdown()


def _connect(launcher: LauncherConfig, folder: Path) -> None:
    import ray  # noqa: PLC0415

    job = ray.job_config.JobConfig()
    job.set_py_logging_config(ray.LoggingConfig(log_level="ERROR"))
    quiet: dict[str, Any] = {"job_config": job, "logging_level": logging.ERROR}
    try:
        if launcher.address is None:
            os.environ.setdefault("RAY_AUTH_TOKEN", token_hex(32))  # or Ray would leave one in the home folder
            cpus = max(1 if launcher.workers == "auto" else launcher.workers, cores())
            ray.init("local", num_cpus=cpus, include_dashboard=False, _temp_dir=str(folder / "ray"), **quiet)
        else:
            _require_listener(launcher.address)
            ray.init(launcher.address, **quiet)
            _require_package()
    except (ray.exceptions.RayError, RuntimeError, OSError) as error:
        at = f"address: there is no Ray cluster at {launcher.address}"
        here = "kind: Ray does not start on this machine"
        raise InputError(f"training.launcher.{here if launcher.address is None else at} ({error})") from error


def _require_listener(address: str) -> None:
    """Raise OSError where nobody listens: Ray would try for minutes, and then end this process."""
    host, _, port = address.rpartition(":")
    if host:  # and not `auto`, for which Ray looks among the processes of this machine
        socket.create_connection((host, int(port)), timeout=10).close()


def _require_package() -> None:
    """Refuse a cluster whose Python has not got this version of this package."""
    import ray  # noqa: PLC0415

    find_version = ray.remote(num_cpus=0)(lambda: import_module("weakcl_pipeline").__version__)
    try:
        found = ray.get(find_version.remote())
    except ray.exceptions.RayError as error:
        found = str(error).splitlines()[-1]
    if found != __version__:
        msg = f"training.launcher.address: the cluster's machines need weakcl-pipeline {__version__} too ({found})"
        raise InputError(msg)


@contextmanager
def _signal_handlers_kept() -> Iterator[None]:
    """Put this process's handlers back, which Ray replaces where it can."""
    if current_thread() is not main_thread():
        yield
        return
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _launch(job: Job[Result], launcher: LauncherConfig, device: DeviceConfig, folder: Path) -> Result:
    from ray.exceptions import RayError  # noqa: PLC0415
    from ray.train import FailureConfig, LoggingConfig, RunConfig, ScalingConfig, TrainingFailedError  # noqa: PLC0415
    from ray.train.torch import TorchConfig, TorchTrainer  # noqa: PLC0415
    from ray.util.queue import Queue  # noqa: PLC0415

    workers, on_cuda = _workers(launcher, device)
    logger.info("%s: %d workers on %s", job.name, workers, launcher.address or "a Ray cluster of this machine")
    refusals = Queue(actor_options={"num_cpus": 0})
    trainer = TorchTrainer(
        _work,
        train_loop_config={"job": pickle.dumps(job), "device": device, "refusals": refusals, "folder": Path.cwd()},
        torch_config=TorchConfig(backend=BACKENDS["cuda" if on_cuda else "cpu"]),
        scaling_config=ScalingConfig(num_workers=workers, use_gpu=on_cuda),
        run_config=RunConfig(
            storage_path=str(folder),  # for a marker of Ray Train's; checkpoints are the job's own affair
            failure_config=FailureConfig(max_failures=launcher.restarts),
            logging_config=LoggingConfig("ERROR"),
        ),
    )
    try:
        pickled = trainer.fit().return_value
    except (TrainingFailedError, RayError) as error:
        refusal = _refusal(refusals)
        raise InputError(refusal or death(job, launcher, *_first_failure(error))) from error
    if refusal := _refusal(refusals):
        raise InputError(refusal)
    result: Result = pickle.loads(pickled)  # noqa: S301 - our own worker made it
    return result


def _refusal(refusals: Any) -> str | None:
    return None if refusals.empty() else str(refusals.get())


def _workers(launcher: LauncherConfig, device: DeviceConfig) -> tuple[int, bool]:
    """Return how many workers there are, and whether each has a GPU; this machine itself may have none."""
    import ray  # noqa: PLC0415

    there = ray.cluster_resources()
    on_cuda = device.name == "cuda" or (device.name == "auto" and there.get("GPU", 0) > 0)
    if not on_cuda and (target := resolve_device(device.name)).type != "cpu":
        msg = f"training.device.name: workers compute on the CPU or on a GPU each, not on {target}; use `cpu` or `cuda`"
        raise InputError(msg)
    kind = "GPU" if on_cuda else "CPU"
    most = int(there.get(kind, 0))
    workers = (max(1, most) if on_cuda else 1) if launcher.workers == "auto" else launcher.workers
    if workers > most:
        msg = f"training.launcher.workers: {workers} workers need a {kind} each, and the Ray cluster has {most}"
        raise InputError(msg)
    return workers, on_cuda


def _work(given: dict[str, Any]) -> bytes | None:
    """Work as one of the workers; what cannot be done is refused once, and not tried again."""
    import ray.train  # noqa: PLC0415

    if not given["refusals"].empty():
        return None
    context = ray.train.get_context()
    group = Group(context.get_world_rank(), context.get_world_size())
    here, all_here = context.get_local_rank(), context.get_local_world_size()
    os.chdir(given["folder"])  # Ray Train has moved into one of its own
    job: Job[object] = pickle.loads(given["job"])  # noqa: S301 - our own launcher made it
    try:
        result = work(job, given["device"], None, group, here=here, all_here=all_here)
    except InputError as error:
        given["refusals"].put(str(error))
        return None
    return pickle.dumps(result) if group.leads else None


def _first_failure(error: Exception) -> tuple[int, str]:
    """Return a worker that failed, and how: one whose process ended, as others fail because of it."""
    failures = getattr(error, "worker_failures", {}) or {0: error}
    rank, failure = max(failures.items(), key=lambda item: hasattr(item[1], "health_check_failure"))
    ended = hasattr(failure, "health_check_failure")
    return rank, "its process ended" if ended else f"{type(failure).__name__}: {failure}"
