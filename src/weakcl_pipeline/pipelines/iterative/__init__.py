"""Training on k-means clusters that are found again and again while training."""

from weakcl_pipeline.pipelines.iterative.pipeline import create_pipeline

__all__ = ["create_pipeline"]
