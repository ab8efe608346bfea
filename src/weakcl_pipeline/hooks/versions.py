"""Which versions a run reads: fixed before its first node, and refused unless they belong together."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kedro.framework.project import pipelines
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline

from weakcl_pipeline.datasets import AtomicDataset, CorruptArtifactError
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.hooks.command import run_command
from weakcl_pipeline.hooks.consistency import Meetings, Origin, conflicts, describe, find_agreeing

Artifacts = Mapping[str, AtomicDataset]


def artifacts_of(pipeline: Pipeline, catalog: DataCatalog) -> dict[str, AtomicDataset]:
    """Return the versioned artifacts that a pipeline reads or makes, each told its name."""
    artifacts = {}
    for name in sorted(pipeline.datasets()):
        dataset = catalog.get(name)
        if isinstance(dataset, AtomicDataset):
            dataset.provenance = dataset.provenance.model_copy(update={"dataset": name})
            artifacts[name] = dataset
    return artifacts


def pin_versions(artifacts: Artifacts, pipeline: Pipeline, run_params: Mapping[str, Any]) -> None:
    """Fix every artifact's version: the run's own for what it makes, else the one asked for, else the newest.

    Raises:
        InputError: There is no such version, or the run itself makes an artifact whose version was asked for.
    """
    wanted = run_params.get("load_versions") or {}
    made = pipeline.all_outputs()
    if run_params.get("only_missing_outputs"):
        made = {name for name in made if name not in artifacts or not artifacts[name].exists()}
    for name, artifact in artifacts.items():
        if name not in made:
            artifact.pin(_version_to_read(name, artifact, run_params))
            continue
        if name in wanted:
            raise InputError(f"--load-versions={name}:{wanted[name]} cannot be met: the run makes {name} anew.")
        artifact.pin(str(artifact.resolve_save_version()))


def _version_to_read(name: str, artifact: AtomicDataset, run_params: Mapping[str, Any]) -> str:
    wanted: str | None = (run_params.get("load_versions") or {}).get(name)
    versions = artifact.list_versions(full_path=False)
    if not versions:
        producers = _producers([name])
        advice = f" Make it first: {_command(run_params, producers)}" if producers else ""
        raise InputError(f"{name} has not been made yet: there is no version in {artifact.directory}.{advice}")
    if wanted is None:
        return versions[0]
    if wanted not in versions:
        newest = "\n".join(f"  {version}" for version in versions[:5])
        raise InputError(f"{name} has no version {wanted}. The newest in {artifact.directory}:\n{newest}")
    return wanted


def require_agreement(
    artifacts: Artifacts, raw: Sequence[Origin], pipeline: Pipeline, run_params: Mapping[str, Any]
) -> None:
    """Refuse a run whose nodes would combine artifacts that do not belong together.

    Args:
        artifacts: The artifacts that the run reads or makes, their versions fixed.
        raw: The unversioned data that the run reads.
        pipeline: The run.
        run_params: What Kedro hands to its hooks about the run.

    Raises:
        InputError: Says what disagrees, and which versions agree or, if there are none, what to run again.
    """
    made = pipeline.all_outputs()
    read = {name: artifact for name, artifact in artifacts.items() if name not in made}
    meetings = _meetings(pipeline, (*artifacts, *(origin.name for origin in raw)))
    fixed = [
        *raw,
        *(Origin(name, str(artifacts[name].resolve_save_version())) for name in artifacts if name in made),
    ]
    chosen = [Origin.of(name, artifact.lineage()) for name, artifact in read.items()]
    pairs = conflicts([*fixed, *chosen], meetings)
    if not pairs:
        return
    certain = {origin.name: [origin] for origin in fixed}
    agreeing = None
    for wanted in (run_params.get("load_versions") or {}, {}):  # give up what was asked for only if it is in vain
        options = {name: _options(name, artifact, wanted.get(name)) for name, artifact in read.items()}
        agreeing = agreeing or find_agreeing({**options, **certain}, meetings)
    head = "The run would mix artifacts that do not belong together. Versions, and the inputs that mean them:"
    what_to_do, command = _advice(agreeing, chosen, pairs, run_params)
    raise InputError(f"{head}\n{describe(pairs)}\n{what_to_do}", command)


def _meetings(pipeline: Pipeline, names: Iterable[str]) -> Meetings:
    used = pipeline.all_inputs()
    reach = {
        name: frozenset(node.name for node in pipeline.from_inputs(name).nodes) if name in used else frozenset[str]()
        for name in names
    }
    return Meetings(reach)


def _options(name: str, artifact: AtomicDataset, wanted: str | None) -> list[Origin]:
    """Return the versions to choose from, newest first; one without a readable lineage cannot be chosen."""
    options = []
    for version in [wanted] if wanted else artifact.list_versions(full_path=False):
        try:
            options.append(Origin.of(name, artifact.lineage(version)))
        except CorruptArtifactError:
            continue
    return options


def _advice(
    agreeing: Mapping[str, Origin] | None,
    chosen: Sequence[Origin],
    pairs: Sequence[tuple[Origin, Origin]],
    run_params: Mapping[str, Any],
) -> tuple[str, str]:
    """Return what to do, and the command for it."""
    if agreeing is not None:
        wanted = dict(run_params.get("load_versions") or {})
        other = {o.name: agreeing[o.name].version for o in chosen if agreeing[o.name].version != o.version}
        return "These versions belong together:", run_command(run_params, wanted | other)
    stale = sorted({_stale(first, second) for first, second in pairs})
    read = {origin.name for origin in chosen}
    makes_anew = any(
        origin.version == run_params["run_id"] and origin.name not in read for pair in pairs for origin in pair
    )
    requested = (run_params.get("pipeline_names") or ["__default__"]) if makes_anew else []
    again = _command(run_params, list(dict.fromkeys([*requested, *_producers(stale)])))
    then = "" if makes_anew else ", then repeat this command"
    return f"No versions on the disk belong together. Make {', '.join(stale)} anew{then}:", again


def _command(run_params: Mapping[str, Any], names: Sequence[str]) -> str:
    """Return the command that runs other pipelines as this run would, on its versions of what they only read."""
    made = {output for name in names for output in pipelines[name].all_outputs()}
    wanted = run_params.get("load_versions") or {}
    kept = {name: version for name, version in wanted.items() if name not in made}
    return run_command({**run_params, "only_missing_outputs": False}, kept, names)


def _stale(first: Origin, second: Origin) -> str:
    """Of two that disagree, return the one to make again: it means the older version of what they dispute."""

    def age(origin: Origin) -> tuple[str, str]:
        claim = origin.claims[disputed]
        return ("" if _is_hash(claim) else claim, origin.version)  # a hash has no age

    disputed = min(first.disputes(second), key=lambda name: (_is_hash(first.claims[name]), name))
    return min((first, second), key=age).name


def _is_hash(version: str) -> bool:
    return version.startswith("sha256:")


def _producers(names: Iterable[str]) -> list[str]:
    """Return the registered pipelines, the smallest that do it, that make these artifacts."""
    smallest = []
    for name in names:
        makers = [key for key, pipeline in pipelines.items() if name in pipeline.all_outputs()]
        smallest += [min(makers, key=lambda key: len(pipelines[key].nodes))] if makers else []
    return list(dict.fromkeys(smallest))
