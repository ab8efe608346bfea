"""How the benchmarks print what they measured."""

import os
import platform
import statistics

import torch


def machine(**versions: str) -> str:
    """Describe the machine, its load, and the versions of what was measured."""
    named = {"Python": platform.python_version(), "torch": torch.__version__, **versions}
    cores = f"{os.cpu_count()} cores, {torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}"
    return ", ".join([cores, *(f"{name} {version}" for name, version in named.items())])


def spread(values: list[float], form: str) -> str:
    """Format median and range."""
    middle, low, high = (format(value, form) for value in (statistics.median(values), min(values), max(values)))
    return f"{middle} ({low} - {high})"
