"""The pipelines that `kedro run` knows by name."""

from kedro.pipeline import Pipeline

from weakcl_pipeline.pipelines import apply, clustering, evaluation, ingestion, iterative, rivals, study, training


def register_pipelines() -> dict[str, Pipeline]:
    """Return the stages, each of which runs alone, their sums with and without rivals or attributes, and others.

    The stages are imported one by one, not with Kedro's `find_pipelines`, which for ``--pipelines=full`` would
    look for a package named ``full`` and fail.
    """
    stages = {
        "ingestion": ingestion.create_pipeline(),
        "clustering": clustering.create_pipeline(),
        "training": training.create_pipeline(),
        "iterative": iterative.create_pipeline(),
        "evaluation": evaluation.create_pipeline(),
    }
    full = sum(stages.values(), Pipeline([]))
    alone = {**stages, "evaluation": evaluation.create_pipeline(attributes=False)}
    alone["training"] = stages["training"].filter(node_namespaces=["self_supervised", "supervised"])
    del alone["clustering"]
    pictures = sum(alone.values(), Pipeline([]))
    stages["rivals"] = rivals.create_pipeline()
    compared = {**stages, "evaluation": evaluation.create_pipeline(rivals=True)}
    compare = sum(compared.values(), Pipeline([]))
    stages["study"] = study.create_pipeline()
    stages["apply"] = apply.create_pipeline()
    return {**stages, "full": full, "compare": compare, "pictures": pictures, "__default__": full}
