"""The iterative pipeline: the unsupervised variant in its namespace."""

from kedro.pipeline import Pipeline

from weakcl_pipeline.pipelines.iterative.nodes import train_iterative
from weakcl_pipeline.pipelines.training.pipeline import training_pipeline


def create_pipeline() -> Pipeline:
    """Return the training of the iterative variant."""
    return training_pipeline(
        "iterative",
        train_iterative,
        ["image_store", "samples"],
        parameters=["training", "iterative"],
        outputs=["kmeans_clusters"],
    )
