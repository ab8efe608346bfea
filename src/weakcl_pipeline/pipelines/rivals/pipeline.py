"""The pipeline of the rivals: one namespace per method, all with the trainer of the other methods."""

from collections.abc import Callable
from typing import Any

from kedro.pipeline import Pipeline

from weakcl_pipeline.contrastive.objectives import AttributePredictionConfig, CmcConfig, PclConfig, SwavConfig
from weakcl_pipeline.pipelines.rivals.nodes import (
    train_affinity,
    train_cluster_cross_entropy,
    training_on_attributes,
    training_on_pictures,
)
from weakcl_pipeline.pipelines.training.pipeline import training_pipeline

PICTURES = ["image_store", "samples"]
BINARY = [*PICTURES, "binary_attributes"]
ATTRIBUTES = [*BINARY, "clusters", "attributes", "attribute_schema"]

RIVALS: dict[str, tuple[Callable[..., Any], list[str], list[str]]] = {
    "affinity": (train_affinity, ATTRIBUTES, ["clustering", "training", "affinity", "affinity_kernel"]),
    "cluster_cross_entropy": (
        train_cluster_cross_entropy,
        [*PICTURES, "clusters"],
        ["training", "cluster_cross_entropy"],
    ),
    "attribute_prediction": (
        training_on_attributes(AttributePredictionConfig),
        BINARY,
        ["training", "attribute_prediction"],
    ),
    "cmc": (training_on_attributes(CmcConfig), BINARY, ["training", "cmc"]),
    "pcl": (training_on_pictures(PclConfig), PICTURES, ["training", "pcl"]),
    "swav": (training_on_pictures(SwavConfig), PICTURES, ["training", "swav"]),
}
"""Each rival's function, what it reads, and its parameters: tuning one leaves the others' trainings what they are."""


def create_pipeline() -> Pipeline:
    """Return the training of every rival."""
    return sum(
        (
            training_pipeline(method, function, data, parameters=parameters, outputs=[])
            for method, (function, data, parameters) in RIVALS.items()
        ),
        start=Pipeline([]),
    )
