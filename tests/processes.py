"""Processes of their own for tests, forked from one that has imported the project once and has no threads."""

import multiprocessing
import os
import resource
import runpy
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch.multiprocessing

_IMPORTED = ["pytest", "hypothesis", "weakcl_pipeline.pipeline_registry", "kedro.framework.cli"]


def start(function: Callable[..., Any], *arguments: Any) -> multiprocessing.Process:
    """Start a function in a process of its own; importing all it needs takes as long as a hundred forks."""
    multiprocessing.set_forkserver_preload(_IMPORTED)
    process = multiprocessing.get_context("forkserver").Process(target=function, args=arguments)
    process.start()
    return process


def result_of(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a process of its own and return its result."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = start(_send, sender, function, arguments)
    sender.close()
    result = receiver.recv()
    process.join()
    return result


def _send(sender: Connection, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    sender.send(function(*arguments))


def growth_of(step: Callable[[int], Any], *sizes: int) -> float:
    """Call ``step`` with one size after the other in a process of its own; return the last one's growth in GiB."""
    return float(result_of(_growth, step, sizes))


def _growth(step: Callable[[int], Any], sizes: tuple[int, ...]) -> float:
    peaks = []
    for size in sizes:
        step(size)
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    return (peaks[-1] - peaks[-2]) / 2**20


def work_together(work: Callable[..., Any], workers: int, *arguments: Any) -> None:
    """Call ``work(rank, *arguments)`` in that many processes at once, and wait for all of them."""
    multiprocessing.set_forkserver_preload(_IMPORTED)
    torch.multiprocessing.start_processes(work, arguments, nprocs=workers, start_method="forkserver")


def run_module(words: tuple[str, ...], folder: Path, environment: dict[str, str], out: Path, err: Path) -> None:
    """Do what ``python -m words`` does in a folder, with stdout and stderr in files."""
    for number, file in (1, out), (2, err):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    os.chdir(folder)
    os.environ.update(environment)
    sys.path[:0] = [str(folder), *environment.get("PYTHONPATH", "").split(os.pathsep)]
    sys.argv = list(words)
    runpy.run_module(words[0], run_name="__main__", alter_sys=True)
