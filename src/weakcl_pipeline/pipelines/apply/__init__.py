"""Apply: clusters and embeddings of new samples, by a fitted rule and a trained encoder."""

from weakcl_pipeline.pipelines.apply.pipeline import create_pipeline

__all__ = ["create_pipeline"]
