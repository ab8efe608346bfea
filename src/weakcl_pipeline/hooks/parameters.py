"""The hook that refuses misspelt parameters and values out of range before anything runs."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, TypeGuard, get_args

from kedro.config import MissingConfigException
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline
from kedro.validation import TypeExtractor
from pydantic import BaseModel, TypeAdapter, ValidationError

from weakcl_pipeline.errors import InputError
from weakcl_pipeline.evaluation import NO_LABELS
from weakcl_pipeline.pipelines.samples import NEEDS_LABELS
from weakcl_pipeline.seeding import Seed
from weakcl_pipeline.sources import IngestionConfig

_PLAIN = {"seed": TypeAdapter(Seed)}
"""Parameters that are no group, and what they must be: Kedro looks at the types of groups alone."""


class ParametersHook:
    """Checks all parameters, those that no node asks for included, and whether there are labels where nodes need them.

    Kedro itself checks the typed ones, later and less legibly, and lets an unknown group pass.
    """

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Check the parameters of the project's files and of the command line.

        Raises:
            InputError: Names every key that is unknown, with what may have been meant, or has a wrong value.
        """
        try:
            parameters = context.config_loader["parameters"]
        except MissingConfigException:
            return
        registered = dict(pipelines)
        problems = [*_unknown_groups(parameters, registered), *_wrong_values(parameters, registered)]
        if problems:
            lines = "\n".join(f"  {problem}" for problem in problems)
            raise InputError(
                f"The parameters cannot be used:\n{lines}\n"
                "Correct them in conf/base/parameters*.yml, conf/local/parameters*.yml or --params."
            )

    @hook_impl(tryfirst=True)  # before anybody asks for artifacts that could not be made either
    def before_pipeline_run(self, pipeline: Pipeline, catalog: DataCatalog) -> None:
        """Refuse to train for long what cannot be evaluated in the end.

        Raises:
            InputError: Nodes need labels, and there are none.
        """
        if any(NEEDS_LABELS in node.tags for node in pipeline.nodes):
            ingestion = IngestionConfig.model_validate(catalog.load("params:ingestion"))
            if not ingestion.labels:
                raise InputError(NO_LABELS)


def _unknown_groups(parameters: Mapping[str, Any], registered: Mapping[str, Pipeline]) -> Iterator[str]:
    asked = {name for pipeline in registered.values() for name in pipeline.all_inputs()}
    if "parameters" in asked:  # a node that takes all of them
        return
    known = sorted({name.removeprefix("params:").split(".")[0] for name in asked if name.startswith("params:")})
    for key in parameters:
        if key not in known:
            yield f"{key}: there is no such parameter{_suggestion(key, known)}"


def _wrong_values(parameters: Mapping[str, Any], registered: Mapping[str, Pipeline]) -> Iterator[str]:
    groups = TypeExtractor(dict(registered)).extract_types_from_pipelines()
    for key, expected in (_PLAIN | {key: TypeAdapter(model) for key, model in groups.items()}).items():
        group, *path = key.split(".")
        if group not in parameters:
            continue
        try:
            expected.validate_python(_at(parameters[group], path))
        except ValidationError as error:
            yield from (_explain(key, groups.get(key), detail) for detail in error.errors())


def _explain(key: str, model: type | None, detail: Mapping[str, Any]) -> str:
    path, owner = _along(model, detail["loc"])
    name = ".".join([key, *path])
    if detail["type"] != "extra_forbidden":
        return f"{name}: {detail['msg']} (it is {detail['input']!r})"
    known = [".".join([key, *path[:-1], field]) for field in owner.model_fields] if owner else []
    return f"{name}: there is no such parameter{_suggestion(name, known)}"


def _suggestion(name: str, known: list[str]) -> str:
    matches = get_close_matches(name, known, n=1)
    return f". Did you mean {matches[0]}?" if matches else f"; there are {', '.join(known)}" if known else ""


def _along(model: Any, location: tuple[Any, ...]) -> tuple[list[str], type[BaseModel] | None]:
    """Return the keys of a location in a model, and the model that its last key should be a field of.

    Where there are several models to choose from by their `name`, pydantic puts the name into the location.
    """
    keys: list[str] = []
    kind, owner = model, None
    for part in location:
        if (chosen := _by_name(kind, part)) is not None:
            kind = chosen
            continue
        keys.append(str(part))
        owner = kind if _is_model(kind) else None
        field = owner.model_fields.get(part) if owner else None
        kind = field.annotation if field else None
    return keys, owner


def _by_name(kind: Any, name: Any) -> type[BaseModel] | None:
    choices = [choice for choice in get_args(kind) if _is_model(choice) and "name" in choice.model_fields]
    return next((choice for choice in choices if choice.model_fields["name"].default == name), None)


def _is_model(kind: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _at(value: Any, path: list[str]) -> Any:
    for part in path:
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
