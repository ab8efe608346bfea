"""The pipelines that `kedro run` knows by name."""

from kedro.pipeline import Pipeline

from weakcl_pipeline.pipelines import clustering, evaluation, ingestion, iterative, rivals, study, training


def register_pipelines() -> dict[str, Pipeline]:
    """Return the stages, each of which runs alone, their sum, the same with the rivals, and the studies.

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
    stages["rivals"] = rivals.create_pipeline()
    compared = {**stages, "evaluation": evaluation.create_pipeline(rivals=True)}
    compare = sum(compared.values(), Pipeline([]))
    stages["study"] = study.create_pipeline()
    return {**stages, "full": full, "compare": compare, "__default__": full}
