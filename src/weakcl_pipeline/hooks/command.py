"""The `kedro run` command of a run, written out, so that a message can say exactly what to type."""

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

_SELECTIONS = {
    "pipeline_names": "--pipelines",
    "namespaces": "--namespaces",
    "tags": "--tags",
    "node_names": "--nodes",
    "from_nodes": "--from-nodes",
    "to_nodes": "--to-nodes",
    "from_inputs": "--from-inputs",
    "to_outputs": "--to-outputs",
}


def run_command(run_params: Mapping[str, Any], load_versions: Mapping[str, str] | None = None) -> str:
    """Return the command line that asks for a run.

    Args:
        run_params: What Kedro hands to its hooks about the run.
        load_versions: Versions to load, by artifact, in place of those that the run was given.
    """
    words = ["kedro", "run"]
    words += [f"--env={run_params['env']}"] if run_params.get("env") else []
    for key, option in _SELECTIONS.items():
        words += [f"{option}={','.join(run_params[key])}"] if run_params.get(key) else []
    if run_params.get("runtime_params"):
        words.append(f"--params={','.join(_flatten(run_params['runtime_params']))}")
    versions = run_params.get("load_versions") if load_versions is None else load_versions
    if versions:
        pairs = (f"{name}:{version}" for name, version in sorted(versions.items()))
        words.append(f"--load-versions={','.join(pairs)}")
    return shlex.join(words)


def _flatten(params: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in params.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}={value}"
