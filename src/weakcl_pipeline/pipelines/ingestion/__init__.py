"""Ingestion: raw table and pictures -> samples, attributes, quarantine and the picture store."""

from weakcl_pipeline.pipelines.ingestion.pipeline import create_pipeline

__all__ = ["create_pipeline"]
