"""The pipelines that `kedro run` knows by name."""

from kedro.pipeline import Pipeline

from weakcl_pipeline.evaluation import METHODS
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
    others = {"rivals": rivals.create_pipeline(), "study": study.create_pipeline(), "apply": apply.create_pipeline()}
    full = sum(stages.values(), Pipeline([]))
    without_attributes = stages["ingestion"] + _of_pictures(stages["training"]) + stages["iterative"]
    sums = {
        "full": full,
        "compare": full - stages["evaluation"] + others["rivals"] + evaluation.create_pipeline(rivals=True),
        "pictures": without_attributes + evaluation.create_pipeline(attributes=False),
        "compare_pictures": without_attributes
        + _of_pictures(others["rivals"])
        + evaluation.create_pipeline(attributes=False, rivals=True),
    }
    return {**stages, **others, **sums, "__default__": full}


def _of_pictures(trainings: Pipeline) -> Pipeline:
    """Return those of the methods that need no attributes."""
    methods = {method.name for method in METHODS if not method.needs_attributes}
    return trainings.filter(node_namespaces=sorted(methods & {node.namespace for node in trainings.nodes}))
