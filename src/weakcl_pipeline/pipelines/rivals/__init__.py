"""Training by the other ways to use the same information, or none: what the method is compared with."""

from weakcl_pipeline.pipelines.rivals.pipeline import create_pipeline

__all__ = ["create_pipeline"]
