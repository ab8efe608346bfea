"""The pipeline of the rivals: one namespace per method, all with the trainer of the other methods."""

from collections.abc import Callable
from typing import Any

from kedro.pipeline import Pipeline

from weakcl_pipeline.pipelines.rivals.nodes import (
    train_affinity,
    train_cluster_cross_entropy,
    training_on_attributes,
    training_on_pictures,
)
from weakcl_pipeline.pipelines.training.pipeline import training_pipeline

PICTURES = ["image_store", "samples"]
OWN = ["training", "rivals"]

RIVALS: dict[str, tuple[Callable[..., Any], list[str], list[str]]] = {
    "affinity": (train_affinity, [*PICTURES, "clusters", "attributes", "attribute_schema"], ["clustering", *OWN]),
    "cluster_cross_entropy": (train_cluster_cross_entropy, [*PICTURES, "clusters"], OWN),
    "attribute_prediction": (training_on_attributes("attribute_prediction"), [*PICTURES, "binary_attributes"], OWN),
    "cmc": (training_on_attributes("cmc"), [*PICTURES, "binary_attributes"], OWN),
    "pcl": (training_on_pictures("pcl"), PICTURES, OWN),
    "swav": (training_on_pictures("swav"), PICTURES, OWN),
}


def create_pipeline() -> Pipeline:
    """Return the training of every rival."""
    return sum(
        (
            training_pipeline(method, function, data, parameters=parameters, outputs=[])
            for method, (function, data, parameters) in RIVALS.items()
        ),
        start=Pipeline([]),
    )
