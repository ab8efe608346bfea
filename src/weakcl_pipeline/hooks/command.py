"""The `kedro run` command of a run, written out, so that a message can say exactly what to type."""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml  # type: ignore[import-untyped]

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


def run_command(
    run_params: Mapping[str, Any],
    load_versions: Mapping[str, str] | None = None,
    pipelines: Sequence[str] | None = None,
) -> str:
    """Return the command line that asks for a run.

    Args:
        run_params: What Kedro hands to its hooks about the run, and `conf_source` where that is not the project's.
        load_versions: Versions to load, by artifact, in place of those that the run was given.
        pipelines: Pipelines to run as a whole, in place of what the run selected; its environment and parameters stay.
    """
    words = ["kedro", "run"]
    words += [f"--conf-source={run_params['conf_source']}"] if run_params.get("conf_source") else []
    words += [f"--env={run_params['env']}"] if run_params.get("env") else []
    selected = run_params if pipelines is None else {"pipeline_names": pipelines}
    for key, option in _SELECTIONS.items():
        words += [f"{option}={','.join(selected[key])}"] if selected.get(key) else []
    if run_params.get("only_missing_outputs"):
        words.append("--only-missing-outputs")
    if run_params.get("runtime_params"):
        words.append(f"--params={','.join(_flatten(run_params['runtime_params']))}")
    versions = run_params.get("load_versions") if load_versions is None else load_versions
    if versions:
        pairs = (f"{name}:{version}" for name, version in sorted(versions.items()))
        words.append(f"--load-versions={','.join(pairs)}")
    return shlex.join(words)


def _flatten(params: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in params.items():
        if isinstance(value, Mapping) and value:
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}={_as_yaml(value)}"


def _as_yaml(value: Any) -> str:
    """Write a value as YAML without a comma, at which Kedro would split: hence lists with an item a line."""
    match value:
        case Mapping() if value:
            return "\n".join(f"{_as_yaml(str(key))}:\n  {_indented(item)}" for key, item in value.items())
        case list() | tuple() if value:
            return "\n".join(f"- {_indented(item)}" for item in value)
        case str() if value.isidentifier() and yaml.safe_load(value) == value:
            return value
        case _:
            return json.dumps(value, ensure_ascii=False, default=str).replace(",", r"\x2c")


def _indented(value: Any) -> str:
    return _as_yaml(value).replace("\n", "\n  ")
