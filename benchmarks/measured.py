"""How the benchmarks measure, and print what they measured."""

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

_STATUS, _REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")

Rounds = dict[str, list[float]]
"""Side -> what was measured of it, round by round."""


def machine(**versions: str) -> str:
    """Describe the machine, its load, and the versions of what was measured."""
    named = {"Python": platform.python_version(), "torch": torch.__version__, **versions}
    cores = f"{os.cpu_count()} cores, {torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}"
    return ", ".join([cores, *(f"{name} {version}" for name, version in named.items())])


def spread(values: list[float], form: str) -> str:
    """Format median and range."""
    middle, low, high = (format(value, form) for value in (statistics.median(values), min(values), max(values)))
    return f"{middle} ({low} - {high})"


def alternate(sides: Mapping[str, Callable[[], float]], rounds: int) -> Rounds:
    """Measure the sides in turn, so that a machine that others use as well is equally slow for all."""
    found: Rounds = {side: [] for side in sides}
    for _ in range(rounds):
        for side, measure in sides.items():
            found[side].append(measure())
    return found


def seconds(function: Callable[[], object]) -> Callable[[], float]:
    """Return what measures how long a function takes; it runs once before, unmeasured."""
    function()

    def measure() -> float:
        started = time.perf_counter()
        function()
        return time.perf_counter() - started

    return measure


def show(found: Rounds, ours: str, *, unit: str, form: str = ".3f") -> None:
    """Print each side, and ours as a ratio of it, which is taken round by round."""
    width = max(map(len, found))
    for side, values in found.items():
        ratios = [mine / other for mine, other in zip(found[ours], values, strict=True)]
        ratio = "" if side == ours else f"   ours / this: {spread(ratios, '.2f')}"
        print(f"{side:>{width}}: {spread(values, form)} {unit}{ratio}", flush=True)


def peak_memory(function: Callable[[], object]) -> float:
    """Return by how many MB the resident set of this process grew at most while a function ran.

    Memory that was freed before and is used again does not count, so call it in a process of its own.
    """
    before = _resident("VmRSS")
    _REFS.write_text("5", encoding="ascii")  # sets the largest resident set back
    function()
    return (_resident("VmHWM") - before) / 1e6


def _resident(what: str) -> float:
    lines = _STATUS.read_text(encoding="utf-8").splitlines()
    return next(float(line.split()[1]) * 1024 for line in lines if line.startswith(what))
