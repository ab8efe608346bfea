"""Which versions a run reads: fixed before its first node, and refused unless they belong together."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from kedro.framework.project import pipelines
from kedro.io import DataCatalog, MemoryDataset
from kedro.io.core import generate_timestamp
from kedro.pipeline import Pipeline

from weakcl_pipeline.config import suggestion
from weakcl_pipeline.datasets import AtomicDataset, CorruptArtifactError
from weakcl_pipeline.errors import InputError, some_lines
from weakcl_pipeline.hooks.command import run_command
from weakcl_pipeline.hooks.consistency import Meetings, Origin, conflicts, describe, find_agreeing

logger = logging.getLogger(__name__)

Artifacts = Mapping[str, AtomicDataset]


def require_versions(pipeline: Pipeline, catalog: DataCatalog) -> None:
    """Refuse catalog entries without versions for what pipelines make: nothing could tell what it was made from.

    Raises:
        InputError: Names the first of them.
    """
    made = {output for known in (*pipelines.values(), pipeline) for output in known.all_outputs()}
    for name in sorted(pipeline.datasets() & made):
        dataset = catalog.get(name)
        if not isinstance(dataset, AtomicDataset | MemoryDataset | None):
            raise InputError(
                f"{name}: a pipeline makes it, so it needs versions, but it is a {type(dataset).__name__} in the "
                "catalog. Make it an AtomicDataset with this one as its `dataset`, as in conf/base/catalog.yml."
            )


def artifacts_of(pipeline: Pipeline, catalog: DataCatalog) -> dict[str, AtomicDataset]:
    """Return the versioned artifacts that a pipeline reads or makes, each told its name."""
    artifacts = {}
    for name in sorted(pipeline.datasets()):
        dataset = catalog.get(name)
        if isinstance(dataset, AtomicDataset):
            dataset.provenance = dataset.provenance.model_copy(update={"dataset": name})
            artifacts[name] = dataset
    return artifacts


def with_known_names(
    artifacts: Artifacts, pipeline: Pipeline, catalog: DataCatalog, run_params: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what Kedro says about the run, with `load_versions` by the names that the run has for artifacts.

    A folder can have several: `apply` reads the encoder of a method as `applied.encoder`.

    Raises:
        InputError: A version was asked for of what the run does not read.
    """
    wanted = {}
    for name, version in (run_params.get("load_versions") or {}).items():
        folder = _folder(name, catalog)
        same = [known for known, artifact in artifacts.items() if artifact.directory == folder]
        if not same:
            hint = suggestion(name, sorted(artifacts.keys() - pipeline.all_outputs()))
            raise InputError(
                f"--load-versions={name}:{version} cannot be met: the run reads no version of {name}{hint or '.'}"
            )
        wanted[name if name in same else same[0]] = version
    return {**run_params, "load_versions": wanted}


def pin_versions(artifacts: Artifacts, pipeline: Pipeline, catalog: DataCatalog, run_params: Mapping[str, Any]) -> None:
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
            artifact.pin(_version_to_read(name, artifact, catalog, run_params))
            continue
        if name in wanted:
            raise InputError(f"--load-versions={name}:{wanted[name]} cannot be met: the run makes {name} anew.")
        artifact.pin(str(artifact.resolve_save_version()))


def _version_to_read(name: str, artifact: AtomicDataset, catalog: DataCatalog, run_params: Mapping[str, Any]) -> str:
    wanted: str | None = (run_params.get("load_versions") or {}).get(name)
    versions = artifact.list_versions(full_path=False)
    if not versions:
        producers = _producers([_name_when_made(name, catalog)])
        advice = f" Make it first: {_command(run_params, producers)}" if producers else ""
        raise InputError(f"{name} has not been made yet: there is no version in {artifact.directory}.{advice}")
    if wanted is None:
        return versions[0]
    artifact.require(wanted)
    return wanted


def warn_of_future(artifacts: Artifacts) -> None:
    """Warn of versions that this machine's clock has yet to come to: until then they stay the newest."""
    now = generate_timestamp()
    ahead = [artifact.directory / version for artifact in artifacts.values() if (version := _newest(artifact)) > now]
    if ahead:
        logger.warning(
            "By this machine's clock these versions are of the future, so they are read in place of what is made now. "
            "If the clock is right, remove them:\n%s",
            some_lines([str(folder) for folder in ahead]),
        )


def _newest(artifact: AtomicDataset) -> str:
    """Return the newest version, or an empty text if there is none, or none that can be read."""
    for version in artifact.list_versions(full_path=False)[:1]:
        with suppress(CorruptArtifactError):
            return artifact.lineage(version).version
    return ""


def require_agreement(
    artifacts: Artifacts,
    raw: Sequence[Origin],
    pipeline: Pipeline,
    catalog: DataCatalog,
    run_params: Mapping[str, Any],
) -> None:
    """Refuse a run whose nodes would combine artifacts that do not belong together.

    Args:
        artifacts: The artifacts that the run reads or makes, their versions fixed.
        raw: The unversioned data that the run reads.
        pipeline: The run.
        catalog: Its catalog.
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
    what_to_do, command = _advice(agreeing, chosen, pairs, catalog, run_params)
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
    catalog: DataCatalog,
    run_params: Mapping[str, Any],
) -> tuple[str, str]:
    """Return what to do, and the command for it, if there is one."""
    if agreeing is not None:
        wanted = dict(run_params.get("load_versions") or {})
        other = {o.name: agreeing[o.name].version for o in chosen if agreeing[o.name].version != o.version}
        return "These versions belong together:", run_command(run_params, wanted | other)
    stale = sorted({_name_when_made(_stale(first, second), catalog) for first, second in pairs})
    read = {origin.name for origin in chosen}
    makes_anew = any(
        origin.version == run_params["run_id"] and origin.name not in read for pair in pairs for origin in pair
    )
    anew = f"No versions on the disk belong together. Make {', '.join(stale)} anew"
    then = "" if makes_anew else ", then repeat this command"
    producers = _producers(stale)
    if not producers:
        return f"{anew}{then}.", ""
    requested = (run_params.get("pipeline_names") or ["__default__"]) if makes_anew else []
    return f"{anew}{then}:", _command(run_params, list(dict.fromkeys([*requested, *producers])))


def _command(run_params: Mapping[str, Any], names: Sequence[str]) -> str:
    """Return the command that runs other pipelines as this run would, on its versions of what they only read."""
    read = {data for name in names for data in pipelines[name].all_inputs()}
    made = {data for name in names for data in pipelines[name].all_outputs()}
    wanted = run_params.get("load_versions") or {}
    kept = {name: version for name, version in wanted.items() if name in read - made}
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


def _name_when_made(name: str, catalog: DataCatalog) -> str:
    """Return the name by which a pipeline makes what is read by this one: another entry may have the same folder."""
    made = {output for pipeline in pipelines.values() for output in pipeline.all_outputs()}
    folder = _folder(name, catalog)
    if name in made or folder is None:
        return name
    return next((other for other in sorted(made) if _folder(other, catalog) == folder), name)


def _folder(name: str, catalog: DataCatalog) -> Path | None:
    dataset = catalog.get(name)
    return dataset.directory if isinstance(dataset, AtomicDataset) else None


def _producers(names: Iterable[str]) -> list[str]:
    """Return the registered pipelines, the smallest that do it, that make these artifacts."""
    smallest = []
    for name in names:
        makers = [key for key, pipeline in pipelines.items() if name in pipeline.all_outputs()]
        smallest += [min(makers, key=lambda key: len(pipelines[key].nodes))] if makers else []
    return list(dict.fromkeys(smallest))
