"""The hook that writes every artifact's lineage and refuses to mix artifacts that do not belong together."""

import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.framework.project import settings
from kedro.io import AbstractDataset, DataCatalog
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from pydantic import BaseModel

from weakcl_pipeline import __version__
from weakcl_pipeline.datasets import (
    AtomicDataset,
    CheckpointsDataset,
    DifferencesDataset,
    HandedDataset,
    InputsLineageDataset,
    Provenance,
    RepeatsDataset,
    SourceDataset,
)
from weakcl_pipeline.datasets.handed import Differences, InputsLineage, Repeats
from weakcl_pipeline.datasets.lineage import InputRecord, RepeatRecord, hash_of, hash_of_path
from weakcl_pipeline.errors import InputError, shown
from weakcl_pipeline.hooks.consistency import Meetings, Origin, conflicts, describe
from weakcl_pipeline.hooks.environment import code_revision, library_versions
from weakcl_pipeline.hooks.repeats import Repeat, find_repeats
from weakcl_pipeline.hooks.unlike import made_otherwise, unlike
from weakcl_pipeline.hooks.versions import (
    artifacts_of,
    pin_versions,
    require_agreement,
    require_versions,
    warn_of_future,
    with_known_names,
)

logger = logging.getLogger(__name__)

_IMMATERIAL = (CheckpointsDataset, HandedDataset)
_MIXED = "would mix artifacts that do not belong together. Versions, and the inputs that mean them:"


class LineageHook:
    """Fixes before a run which versions it reads, checks that they agree, and describes what it makes.

    What concerns a run is kept by the run's id, and what concerns the running node by thread, so that sessions
    of one process and Kedro's runners with threads do not get into each other's way.
    """

    def __init__(self) -> None:
        self._requested: dict[str | None, tuple[str, ...]] = {}
        self._made: dict[tuple[str | None, str], Origin] = {}
        self._running = threading.local()

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Note where the run, which begins in the same thread, has its configuration from."""
        source = context.config_loader.conf_source
        default = context.project_path / settings.CONF_SOURCE
        self._running.conf_source = None if (context.project_path / source).resolve() == default.resolve() else source

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: DataCatalog) -> None:
        """Sweep what killed runs left, fix all versions, and refuse artifacts that do not belong together.

        Raises:
            InputError: An input is missing, or inputs disagree; the message says which and what to type.
        """
        self._requested[run_params["run_id"]] = tuple(run_params.get("pipeline_names") or ("__default__",))
        run_params = {**run_params, "conf_source": getattr(self._running, "conf_source", None)}
        require_versions(pipeline, catalog)
        artifacts = artifacts_of(pipeline, catalog)
        for artifact in artifacts.values():
            artifact.sweep()
        run_params = with_known_names(artifacts, pipeline, catalog, run_params)
        pin_versions(artifacts, pipeline, catalog, run_params)
        warn_of_future(artifacts)
        if not run_params.get("only_missing_outputs"):  # else the runner is yet to say what is read; nodes check
            raw = [self._origin(name, catalog, None) for name in _raw_inputs(pipeline, catalog)]
            require_agreement(artifacts, raw, pipeline, catalog, run_params)

    @hook_impl
    def before_node_run(
        self, node: Node, catalog: DataCatalog, inputs: dict[str, Any], run_id: str
    ) -> dict[str, InputsLineage | Repeats | Differences]:
        """Check what the node was given, and note it for the lineage of what it will make.

        Returns:
            What takes the place of inputs, for a node that asks for it: the others' lineage, the others by seed, and
            the parameters in which those that are alike differ.

        Raises:
            InputError: Inputs disagree.
        """
        names = [name for name in node.inputs if _is_material(name, catalog)]
        origins = [self._origin(name, catalog, run_id) for name in names]
        together = Meetings({origin.name: frozenset({node.name}) for origin in origins})
        if pairs := conflicts(origins, together):
            raise InputError(f"Node {node.name} {_MIXED}\n{describe(pairs)}\nMake them anew in one run.")
        asked = {name: catalog.get(name) for name in node.inputs}
        wants_repeats = any(isinstance(dataset, RepeatsDataset) for dataset in asked.values())
        repeats = find_repeats(origins, catalog) if wants_repeats else {}
        if wants_repeats:
            _warn_of_unlike(node, origins, repeats)
        made = describe_node(node, inputs, origins).model_copy(
            update={
                "run_id": run_id,
                "pipelines": self._requested.get(run_id, ()),
                "repeats": merge_repeats(origins, repeats),
            }
        )
        for name in node.outputs:
            self._made[run_id, name] = Origin.made(name, run_id, made)
        self._running.catalog, self._running.provenance = catalog, made
        lineages = {
            name: _inputs_lineage(origins, made)
            for name, dataset in asked.items()
            if isinstance(dataset, InputsLineageDataset)
        }
        by_seed = _by_seed(origins, inputs, repeats) if wants_repeats else {}
        handed = {name: by_seed for name, dataset in asked.items() if isinstance(dataset, RepeatsDataset)}
        differences = {
            name: unlike(origins) for name, dataset in asked.items() if isinstance(dataset, DifferencesDataset)
        }
        return {**lineages, **handed, **differences}

    @hook_impl
    def before_dataset_saved(self, dataset_name: str) -> None:
        """Hand the artifact what its lineage file is to say."""
        dataset = self._running.catalog.get(dataset_name)
        if isinstance(dataset, AtomicDataset):
            dataset.provenance = self._running.provenance.model_copy(update={"dataset": dataset_name})

    @hook_impl
    def after_pipeline_run(self, run_params: dict[str, Any]) -> None:
        """Forget the run."""
        self._forget(run_params["run_id"])

    @hook_impl
    def on_pipeline_error(self, run_params: dict[str, Any]) -> None:
        """Forget the run."""
        self._forget(run_params["run_id"])

    def _forget(self, run_id: str) -> None:
        self._requested.pop(run_id, None)
        self._made = {key: origin for key, origin in self._made.items() if key[0] != run_id}

    def _origin(self, name: str, catalog: DataCatalog, run_id: str | None) -> Origin:
        dataset = catalog.get(name)
        if isinstance(dataset, AtomicDataset):
            return Origin.of(name, dataset.lineage())
        if made := self._made.get((run_id, name)):
            return made
        return _raw_origin(name, dataset)


def describe_node(node: Node, inputs: Mapping[str, Any], origins: Sequence[Origin]) -> Provenance:
    """Describe what a node makes: from what, by which code, and with which parameters."""
    parameters = {name: _plain(value) for name, value in inputs.items() if _is_parameter(name)}
    own = [value for name, value in parameters.items() if _is_seed(name)]
    inherited = [origin.seed for origin in origins if node.namespace and origin.name.startswith(f"{node.namespace}.")]
    seeds = list(dict.fromkeys(seed for seed in [*own, *inherited] if seed is not None))
    return Provenance(
        dataset="",
        node=node.name,
        siblings=tuple(node.outputs),
        parameters=parameters,
        parameters_hash=hash_of(parameters),
        seed=seeds[0] if seeds else None,
        seeded=bool(seeds) or any(origin.seeded for origin in origins),
        recipe=_recipe(node, parameters, origins, seeds),
        code=code_revision(),
        libraries=library_versions(),
        inputs={origin.name: InputRecord(version=origin.version, hash=origin.hash) for origin in origins},
        ancestry=merge_ancestry(origins),
    )


def _recipe(node: Node, parameters: Mapping[str, Any], origins: Iterable[Origin], seeds: Sequence[int]) -> str | None:
    """Return the recipe of what a node makes; one that mixes seeds repeats no other."""
    recipes = {origin.name: origin.recipe for origin in origins}
    if None in recipes.values():
        return None
    others = {name: value for name, value in parameters.items() if not _is_seed(name)}
    mixed = sorted(seeds) if len(seeds) > 1 else None
    return hash_of(
        {"package": __version__, "node": node.name, "parameters": others, "inputs": recipes, "mixed_seeds": mixed}
    )


def merge_ancestry(origins: Iterable[Origin]) -> dict[str, str]:
    """Return the versions of all inputs and of everything they come from."""
    merged: dict[str, str] = {}
    for origin in origins:
        merged |= {**origin.ancestry, origin.name: origin.version}
    return dict(sorted(merged.items()))


def merge_repeats(
    origins: Iterable[Origin], read: Mapping[str, Sequence[Repeat]]
) -> dict[str, tuple[RepeatRecord, ...]]:
    """Return the repeats that a node reads beside its inputs, and those that went into the inputs, by seed."""
    merged: dict[str, dict[str, RepeatRecord]] = {}
    found = [{name: [repeat.record for repeat in repeats] for name, repeats in read.items()}]
    for repeats in [*(origin.repeats for origin in origins), *found]:
        for name, records in repeats.items():
            merged.setdefault(name, {}).update({record.version: record for record in records})
    return {name: tuple(sorted(records.values(), key=_by_seed_and_age)) for name, records in sorted(merged.items())}


def _by_seed_and_age(record: RepeatRecord) -> tuple[int, str]:
    return -1 if record.seed is None else record.seed, record.version


def _inputs_lineage(origins: Iterable[Origin], made: Provenance) -> InputsLineage:
    hashes = {origin.name: origin.hash for origin in origins}
    return {
        name: {
            "version": version,
            "hash": hashes.get(name),
            "repeats": [record.model_dump() for record in made.repeats.get(name, ())],
        }
        for name, version in made.ancestry.items()
    }


def _by_seed(origins: Iterable[Origin], inputs: Mapping[str, Any], repeats: Mapping[str, Sequence[Repeat]]) -> Repeats:
    """Return the inputs that were made with a seed, and their repeats, by the seed of each."""
    return {
        origin.name: {
            origin.seed: inputs[origin.name],
            **{repeat.seed: repeat.load() for repeat in repeats.get(origin.name, ())},
        }
        for origin in origins
        if origin.seed is not None
    }


def _warn_of_unlike(node: Node, origins: Sequence[Origin], repeats: Mapping[str, Sequence[Repeat]]) -> None:
    if parameters := unlike(origins):
        lines = "\n  ".join(f"{name}: {values}" for name, values in parameters.items())
        logger.warning("%s compares what was not made with the same parameters:\n  %s", node.name, lines)
    if differences := made_otherwise(origins, repeats):
        logger.warning(
            "%s averages seeds that were not made by the same code and libraries. Train those seeds again, or leave "
            "them as they are if only unrelated files have changed:\n  %s",
            node.name,
            "\n  ".join(differences),
        )


def _raw_inputs(pipeline: Pipeline, catalog: DataCatalog) -> list[str]:
    material = (name for name in pipeline.inputs() if _is_material(name, catalog))
    return sorted(name for name in material if not isinstance(catalog.get(name), AtomicDataset))


def _is_seed(name: str) -> bool:
    return name.removeprefix("params:").rpartition(".")[-1] == "seed"


def _is_parameter(name: str) -> bool:
    return name == "parameters" or name.startswith("params:")


def _is_material(name: str, catalog: DataCatalog) -> bool:
    """Whether it is data: parameters are recorded apart, and scratch space leaves no trace in results."""
    return not (_is_parameter(name) or isinstance(catalog.get(name), _IMMATERIAL))


def _raw_origin(name: str, dataset: AbstractDataset[Any, Any] | None) -> Origin:
    if isinstance(dataset, SourceDataset):
        content = dataset.content_hash()
        return Origin(name, content, content, recipe=content)
    described = dataset._describe() if dataset is not None else {}
    location = described.get("filepath") or described.get("path")
    if not location or described.get("protocol", "file") != "file":
        return Origin(name, "unversioned")
    try:
        content = hash_of_path(Path(location))
    except FileNotFoundError as error:
        raise InputError(f"{name}: there is no {location}. Put the data there, or correct the catalog.") from error
    except OSError as error:
        raise InputError(f"{name}: {error.filename or location} cannot be read: {error.strerror}.") from error
    return Origin(name, content, content, recipe=content)


def _plain(value: Any) -> Any:
    """Return a parameter as JSON has it, without the passwords in its URLs."""
    if isinstance(value, BaseModel):
        return _plain(value.model_dump(mode="json"))
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
