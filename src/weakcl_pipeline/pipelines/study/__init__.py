"""What a representation owes to the information of its clusters, and to how batches are drawn."""

from weakcl_pipeline.pipelines.study.pipeline import create_pipeline

__all__ = ["create_pipeline"]
