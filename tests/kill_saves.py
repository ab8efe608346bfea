"""Saves every artifact of a catalog twice, the second time killed; called in a process of its own by test_kill.py.

That process must be fresh because polars' and torch's threads do not survive a fork: here the children are forked
before there are any.
"""

import os
import resource
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import torch
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.io.core import generate_timestamp
from matplotlib.figure import Figure

from weakcl_pipeline.datasets import AtomicDataset

MID_FILE = 40  # bytes: into the header of the first file


def figure(number: int) -> Figure:
    result = Figure()
    result.subplots().plot([0, number])
    return result


def table(number: int) -> pl.DataFrame:
    return pl.DataFrame({"number": [number], "text": ["x" * 100]})


VALUES: dict[str, Callable[[int], Any]] = {
    "TableDataset": table,
    "LazyTableDataset": lambda number: table(number).lazy(),
    "JSONDataset": lambda number: {"number": number, "text": "x" * 100},
    "MatplotlibDataset": figure,
    "ArrowTableDataset": lambda number: pa.table({"number": [number]}),
    "TensorsDataset": lambda number: ({"w": torch.full((100,), float(number))}, {"number": number}),
    "HtmlDataset": lambda number: f"<p>{number}</p>" + "x" * 100,
}


def value(dataset: AtomicDataset, number: int) -> Any:
    kind = dataset._config["type"].split(".")[-1]
    return VALUES[kind](number)


def die_mid_file() -> None:
    """Have the kernel end this process, with no chance to clean up, when a file of it grows beyond some bytes."""
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MID_FILE, MID_FILE))


def die_when(event: str, what: str) -> None:
    """Kill this process when it is about to do something to a file: Python's audit events tell."""

    def audit(name: str, arguments: tuple[Any, ...]) -> None:
        if name == event and what in str(arguments[0]):
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(audit)


MOMENTS: list[Callable[[], None]] = [
    die_mid_file,
    lambda: die_when("open", "lineage.json"),
    lambda: die_when("os.rename", ".staging-"),
]


def in_child(action: Callable[[], None]) -> int:
    """Do something in a forked process and return its exit code, the negative signal if one ended it."""
    child = os.fork()
    if child == 0:
        action()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def save(dataset: AtomicDataset, number: int, arm: Callable[[], None] = lambda: None) -> None:
    """Save as a new session would."""
    config = {**dataset._init_config(), "type": AtomicDataset}
    session = AtomicDataset.from_config("artifact", config, save_version=generate_timestamp())
    data = value(session, number)
    arm()
    session.save(data)


def save_all(project: Path, names: list[str], which: str) -> dict[str, list[int]]:
    """Save each artifact ("first": once, then three times killed on the way; or "again") and return the exit codes."""
    os.chdir(project)
    sys.path.insert(0, str(Path(__file__).parent))  # where `standin` is
    bootstrap_project(project)
    with KedroSession.create(project) as session:
        catalog = session.load_context().catalog
    outcomes = {}
    for name in names:
        dataset = catalog.get(name)
        saves = [partial(save, dataset, 1), *(partial(save, dataset, 2, arm) for arm in MOMENTS)]
        if which == "again":
            dataset.sweep()
            saves = [partial(save, dataset, 3)]
        outcomes[name] = [in_child(action) for action in saves]
    return outcomes
