"""Evaluation: embeddings, probes, comparison and report."""

from weakcl_pipeline.pipelines.evaluation.pipeline import create_pipeline

__all__ = ["create_pipeline"]
