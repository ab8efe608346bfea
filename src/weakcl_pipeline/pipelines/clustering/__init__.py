"""Clustering: attributes -> fitted cluster rule and clusters at every granularity, and their report."""

from weakcl_pipeline.pipelines.clustering.pipeline import create_pipeline

__all__ = ["create_pipeline"]
