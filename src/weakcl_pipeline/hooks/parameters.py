"""The hook that refuses misspelt parameters and values out of range before anything runs."""

from collections.abc import Iterator, Mapping
from typing import Any

from kedro.config import MissingConfigException
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline
from kedro.validation import TypeExtractor
from pydantic import TypeAdapter, ValidationError

from weakcl_pipeline.config import explained, suggestion
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
                f"Correct them in conf/base/parameters*.yml, conf/{context.env or 'local'}/parameters*.yml or --params."
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
    for key in map(str, parameters):
        if key not in known:
            yield f"{key}: there is no such parameter{suggestion(key, known)}"


def _wrong_values(parameters: Mapping[str, Any], registered: Mapping[str, Pipeline]) -> Iterator[str]:
    groups = TypeExtractor(dict(registered)).extract_types_from_pipelines()
    for key, expected in (_PLAIN | {key: TypeAdapter(model) for key, model in groups.items()}).items():
        group, *path = key.split(".")
        if group not in parameters:
            continue
        try:
            expected.validate_python(_at(parameters[group], path))
        except ValidationError as error:
            yield from explained(error, groups.get(key), key)


def _at(value: Any, path: list[str]) -> Any:
    for part in path:
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
