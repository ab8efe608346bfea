"""Wiring of the pipeline `apply`."""

from kedro.pipeline import Node, Pipeline

from weakcl_pipeline.pipelines.apply.nodes import (
    accept_new_samples,
    assign_clusters,
    embed_new_pictures,
    summarise_new,
    type_new_samples,
)
from weakcl_pipeline.pipelines.ingestion.nodes import pack_images


def create_pipeline() -> Pipeline:
    """New samples -> their clusters by the fitted rule and their embeddings by a trained encoder."""
    nodes = [
        Node(
            func=type_new_samples,
            inputs=["new_samples", "attribute_schema", "params:ingestion"],
            outputs="sample_table",
            name="type_samples",
        ),
        Node(
            func=pack_images,
            inputs=["new_samples", "sample_table", "params:ingestion", "params:images", "image_shards"],
            outputs=["image_store", "image_rejects"],
            name="pack_images",
        ),
        Node(
            func=accept_new_samples,
            inputs=["sample_table", "image_rejects", "attribute_schema"],
            outputs=["samples", "attributes", "quarantine"],
            name="accept_samples",
        ),
        Node(func=assign_clusters, inputs=["attributes", "cluster_rule"], outputs="clusters", name="assign_clusters"),
        Node(
            func=embed_new_pictures,
            inputs=["encoder", "image_store", "params:training", "params:apply"],
            outputs="embeddings",
            name="embed",
        ),
        Node(
            func=summarise_new,
            inputs=["samples", "quarantine", "clusters", "embeddings", "params:apply"],
            outputs="summary",
            name="summarise",
        ),
    ]
    inputs = Pipeline(nodes).inputs()
    parameters = {name for name in inputs if name.startswith("params:")}
    shared = {"new_samples", "attribute_schema", "cluster_rule"}
    return Pipeline(nodes, namespace="applied", inputs=shared, parameters=parameters, tags="apply")
