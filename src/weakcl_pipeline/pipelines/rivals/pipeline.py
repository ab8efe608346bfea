"""The pipeline of the rivals: one namespace per method, all with the trainer of the other methods."""

from collections.abc import Callable
from typing import Any

from kedro.pipeline import Pipeline

from weakcl_pipeline.pipelines.rivals.nodes import (
    train_affinity,
    train_attribute_prediction,
    train_cluster_cross_entropy,
    train_cmc,
    train_pcl,
    train_swav,
)
from weakcl_pipeline.pipelines.training.pipeline import training_pipeline

PICTURES = ["image_store", "samples"]
OWN = ["training", "rivals"]

RIVALS: dict[str, tuple[Callable[..., Any], list[str], list[str]]] = {
    "affinity": (train_affinity, [*PICTURES, "clusters", "attributes", "attribute_schema"], ["clustering", *OWN]),
    "cluster_cross_entropy": (train_cluster_cross_entropy, [*PICTURES, "clusters"], OWN),
    "attribute_prediction": (train_attribute_prediction, [*PICTURES, "binary_attributes"], OWN),
    "cmc": (train_cmc, [*PICTURES, "binary_attributes"], OWN),
    "pcl": (train_pcl, PICTURES, OWN),
    "swav": (train_swav, PICTURES, OWN),
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
