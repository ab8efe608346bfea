"""The training pipeline: one namespace per method, all with one trainer."""

from collections.abc import Callable
from typing import Any

from kedro.pipeline import Node, Pipeline

from weakcl_pipeline.pipelines.samples import NEEDS_LABELS
from weakcl_pipeline.pipelines.training.nodes import train_attribute, train_self_supervised, train_supervised

METHODS: dict[str, tuple[Callable[..., Any], list[str], list[str], list[str]]] = {
    "self_supervised": (train_self_supervised, ["image_store", "samples"], ["training"], []),
    "attribute": (
        train_attribute,
        ["image_store", "samples", "clusters"],
        ["training", "attribute"],
        ["completed_clusters"],
    ),
    "supervised": (train_supervised, ["image_store", "samples"], ["training"], []),
}
"""By method: the node's function, and the data, parameter groups and further outputs of :func:`training_pipeline`."""


def training_pipeline(
    method: str, function: Callable[..., Any], data: list[str], parameters: list[str], outputs: list[str]
) -> Pipeline:
    """Return the training of a method in its namespace.

    Args:
        method: The namespace.
        function: The node's function; it takes the data, the parameters, the seed and the checkpoints.
        data: Artifacts that the methods share.
        parameters: Parameter groups, shared too.
        outputs: The method's own artifacts beside encoder, history and its plot.
    """
    shared = [f"params:{name}" for name in [*parameters, "seed"]]
    node = Node(
        func=function,
        inputs=[*data, *shared, "checkpoints"],
        outputs=["encoder", "history", "history_plot", *outputs],
        name="train",
        tags=["training", NEEDS_LABELS] if function is train_supervised else ["training"],
    )
    return Pipeline([node], namespace=method, inputs=set(data), parameters=set(shared), outputs=set(outputs))


def create_pipeline() -> Pipeline:
    """Return the training of every method whose positives are known beforehand."""
    return sum((training_pipeline(method, *spec) for method, spec in METHODS.items()), start=Pipeline([]))
