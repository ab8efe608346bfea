"""`kedro weakcl join`: the workers of a further machine, for a training that several share."""

from typing import Any

import click
from kedro.framework.cli.utils import _split_params
from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession
from kedro.framework.startup import ProjectMetadata
from kedro.pipeline.node import Node

from weakcl_pipeline.cli import plain_errors
from weakcl_pipeline.config import suggestion
from weakcl_pipeline.errors import InputError


@click.command("join")
@click.argument("node")
@click.option("--env", help="As for `kedro run`.")
@click.option(
    "--params", type=click.UNPROCESSED, default="", callback=_split_params, help="The same as for `kedro run`."
)
@click.pass_obj
def join(project: ProjectMetadata, /, node: str, env: str | None, params: dict[str, Any]) -> None:
    """Train with the machine that runs NODE, such as attribute.train.

    It needs the same project and the same data folder, and writes nothing: the machine that runs the node does.
    """
    with plain_errors():
        _join(project, node, env, params)


def _join(project: ProjectMetadata, name: str, env: str | None, params: dict[str, Any]) -> None:
    node = _node(name)
    if "training" not in node.tags:
        raise InputError(f"{name} trains nothing, so there is nothing to join.")
    with KedroSession.create(project.project_path, env=env, runtime_params=params) as session:
        catalog = session.load_context().catalog  # type: ignore[attr-defined]
        inputs = {dataset: catalog.load(dataset) for dataset in node.inputs}
        training = inputs["params:training"]
        if training.launcher.machines == 1:
            raise InputError(
                "training.launcher.machines: there is nothing to join where one machine trains. Give both sides "
                "--params=training.launcher.kind=torchrun,training.launcher.machines=2,training.launcher.rendezvous=HOST:PORT"
            )
        node.run(inputs)
    click.echo(f"{name} is trained; the machine that runs it saves it.")


def _node(name: str) -> Node:
    nodes: dict[str, Node] = {node.name: node for pipeline in pipelines.values() for node in pipeline.nodes}
    if name not in nodes:
        raise InputError(f"there is no node {name}{suggestion(name, sorted(nodes))}")
    return nodes[name]
