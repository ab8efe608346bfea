"""Training with positives that are known beforehand: pictures, attribute clusters, classes."""

from weakcl_pipeline.pipelines.training.pipeline import create_pipeline

__all__ = ["create_pipeline"]
