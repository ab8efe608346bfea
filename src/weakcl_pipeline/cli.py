"""The project's commands: Kedro's own, of which `run` reports a user's mistake in one message."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from inspect import signature
from traceback import walk_tb
from typing import Any

import click
from kedro.config import BadConfigException, MissingConfigException
from kedro.framework.cli.project import run as kedro_run
from kedro.framework.cli.utils import KedroCliError
from kedro.io import DatasetError
from kedro.runner import AbstractRunner
from kedro.utils import load_obj
from kedro.validation import ParameterValidationError
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError  # type: ignore[import-untyped]

from weakcl_pipeline.config import suggestion
from weakcl_pipeline.errors import InputError, causes

logger = logging.getLogger(__name__)

RUNNER = "weakcl_pipeline.runner.SideBySideRunner"  # unless another one is asked for
_KEDROS_RUNNERS = ["SequentialRunner", "ThreadRunner", "ParallelRunner"]

# Where Kedro refuses configuration, or pipelines, nodes, tags, ... that do not exist, and with what.
_REFUSING = ("kedro.framework.session", "kedro.pipeline.pipeline", "kedro.config")
_REFUSALS = (ValueError, MissingConfigException, BadConfigException)

# What is never a defect of this package, wherever it is raised.
_ANYWHERE = (DatasetError, ParameterValidationError, YAMLError, OmegaConfBaseException)


class RunCommand(click.Command):
    """Kedro's `run` with all its options, its own runner, and ``--verbose`` for the traceback of an error."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the command line; what Kedro itself refuses there it would show without its message."""
        try:
            return super().parse_args(ctx, args)
        except KedroCliError as error:
            raise click.ClickException(error.message) from error
        except (YAMLError, OmegaConfBaseException) as error:
            problem = str(getattr(error, "problem", error)).split("\n")[0]
            raise click.ClickException(
                f"--params or --runner-params: {problem}. A value is YAML; quote a text with brackets or colons."
            ) from error

    def invoke(self, ctx: click.Context) -> Any:
        """Run; what a user can mend becomes one message and exit code 1, a defect keeps its traceback."""
        verbose = ctx.params.pop("verbose")
        ctx.params["runner"] = ctx.params.get("runner") or RUNNER
        with plain_errors(verbose=verbose):
            _require_runner(ctx.params["runner"], ctx.params["runner_params"])
            return super().invoke(ctx)


def _require_runner(name: str, params: Mapping[str, Any]) -> None:
    """Find a runner by its name as Kedro will, and check what it is to be made with.

    Raises:
        InputError: There is none of that name, or it does not take these parameters.
    """
    try:
        found = load_obj(name, "kedro.runner")
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(f"--runner={name}: {error}{suggestion(name, _KEDROS_RUNNERS)}") from error
    if not (isinstance(found, type) and issubclass(found, AbstractRunner)):
        raise InputError(f"--runner={name}: that is no runner{suggestion(name, _KEDROS_RUNNERS)}")
    try:
        signature(found).bind_partial(**params)
    except TypeError as error:
        raise InputError(f"--runner-params: {found.__name__}: {error}") from error
    workers = params.get("max_workers")
    if workers is not None and (not isinstance(workers, int) or workers < 1):
        raise InputError(f"--runner-params=max_workers={workers}: must be a whole number, 1 or more")


@contextmanager
def plain_errors(*, verbose: bool = False) -> Iterator[None]:
    """Tell of what a user can mend in one message; a defect keeps its traceback, and ``verbose`` every error."""
    try:
        yield
    except Exception as error:
        message = explain(error)
        if verbose or message is None:
            raise
        logger.debug("The error that stopped the run", exc_info=True)
        raise click.ClickException(message) from error


def explain(error: BaseException) -> str | None:
    """Return what to tell the user about an error, or None if it is not a user's to mend.

    Kedro wraps what a dataset raises, so the causes are searched for ours first.
    """
    for cause in causes(error):
        if isinstance(cause, InputError):
            return str(cause)
    if isinstance(error, KedroCliError):
        return error.message
    if isinstance(error, _ANYWHERE) or _is_refusal(error):
        return str(error).strip()
    return None


def _is_refusal(error: BaseException) -> bool:
    *_, (innermost, _) = walk_tb(error.__traceback__)
    raised_in = innermost.f_globals.get("__name__", "")
    return isinstance(error, _REFUSALS) and raised_in.startswith(_REFUSING)


@click.group(name="weakcl-pipeline")
def cli() -> None:
    """Commands of this project."""


run = RunCommand(
    name="run",
    params=[
        *kedro_run.params,
        click.Option(["--verbose", "-v"], is_flag=True, help="Show the full traceback of an error."),
    ],
    callback=kedro_run.callback,
    help=kedro_run.help,
)
cli.add_command(run)
