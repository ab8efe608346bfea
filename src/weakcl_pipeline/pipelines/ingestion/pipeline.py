"""Wiring of the stage `ingestion`."""

from kedro.pipeline import Node, Pipeline

from weakcl_pipeline.pipelines.ingestion.nodes import accept_samples, pack_images, type_samples


def create_pipeline() -> Pipeline:
    """Raw table and pictures -> samples, attributes, quarantine, picture store and summary."""
    return Pipeline(
        [
            Node(
                func=type_samples,
                inputs=["raw_samples", "params:ingestion"],
                outputs=["sample_table", "attribute_schema"],
                name="type_samples",
            ),
            Node(
                func=pack_images,
                inputs=["raw_samples", "sample_table", "params:ingestion", "params:images", "image_shards"],
                outputs=["image_store", "image_rejects"],
                name="pack_images",
            ),
            Node(
                func=accept_samples,
                inputs=["sample_table", "image_rejects", "attribute_schema", "params:ingestion"],
                outputs=["samples", "attributes", "quarantine", "ingestion_summary"],
                name="accept_samples",
            ),
        ],
        tags="ingestion",
    )
