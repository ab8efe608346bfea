from kedro.pipeline import Node, Pipeline

from standin import nodes


def register_pipelines() -> dict[str, Pipeline]:
    ingestion = Pipeline(
        [
            Node(nodes.type_samples, "raw_samples", ["sample_table", "attribute_schema"], name="type_samples"),
            Node(nodes.accept_samples, ["sample_table", "attribute_schema"], "samples", name="accept_samples"),
            Node(nodes.count_pictures, ["raw_samples", "sample_table"], "ingestion_summary", name="count_pictures"),
        ]
    )
    clustering = Pipeline(
        [Node(nodes.form_clusters, ["samples", "params:clustering.count"], "clusters", name="form_clusters")]
    )
    training = Pipeline(
        [
            Node(
                nodes.train,
                ["samples", "clusters", "params:training", "params:seed", "checkpoints"],
                ["encoder", "history"],
                name="train",
            )
        ],
        namespace="attribute",
        inputs={"samples", "clusters"},
        parameters={"training", "seed"},
    )
    evaluate = Pipeline(
        [Node(nodes.evaluate, ["encoder", "samples"], "metrics", name="evaluate")],
        namespace="attribute",
        inputs={"samples"},
    )
    evaluation = evaluate + Pipeline(
        [
            Node(nodes.compare, ["attribute.metrics", "params:seed", "repeats"], "comparison", name="compare"),
            Node(
                nodes.write_report, ["attribute.metrics", "clusters", "report_lineage"], "report", name="write_report"
            ),
        ]
    )
    stages = {"ingestion": ingestion, "clustering": clustering, "training": training, "evaluation": evaluation}
    full = sum(stages.values(), Pipeline([]))
    return {**stages, "full": full, "__default__": full}
