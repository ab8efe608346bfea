"""Wiring of the stage `clustering`."""

from kedro.pipeline import Node, Pipeline

from weakcl_pipeline.pipelines.clustering.nodes import form_clusters, report_clusters


def create_pipeline() -> Pipeline:
    """Attributes -> binary attributes, the fitted rule, clusters at every granularity, and their report."""
    return Pipeline(
        [
            Node(
                func=form_clusters,
                inputs=["attributes", "attribute_schema", "params:clustering", "params:training", "params:seed"],
                outputs=["binary_attributes", "cluster_rule", "clusters"],
                name="form_clusters",
            ),
            Node(
                func=report_clusters,
                inputs={
                    "samples": "samples",
                    "binary_attributes": "binary_attributes",
                    "clusters": "clusters",
                    "cluster_rule": "cluster_rule",
                    "clustering": "params:clustering",
                    "training": "params:training",
                    "seed": "params:seed",
                },
                outputs=["cluster_report", "cluster_plot"],
                name="report_clusters",
            ),
        ],
        tags="clustering",
    )
