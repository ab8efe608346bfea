"""The pipeline of the studies: one node per question, all in one namespace, and a figure of what they found."""

from collections.abc import Callable
from typing import Any

from kedro.pipeline import Node, Pipeline

from weakcl_pipeline.pipelines.samples import NEEDS_LABELS
from weakcl_pipeline.pipelines.study.nodes import (
    NAMESPACE,
    draw_study,
    study_batches,
    study_degraded,
    study_granularities,
    study_synthetic,
)

STUDIES: dict[str, tuple[Callable[..., Any], list[str], list[str]]] = {
    "synthetic": (study_synthetic, [], []),
    "degraded": (
        study_degraded,
        ["attributes", "attribute_schema"],
        ["clustering", "affinity", "affinity_kernel"],
    ),
    "granularities": (study_granularities, ["clusters"], ["clustering"]),
    "batches": (study_batches, ["clusters"], []),
}


def create_pipeline() -> Pipeline:
    """Return the studies, each of which runs alone: ``--nodes=study.synthetic``."""
    shared = {name: f"params:{name}" for name in ("study", "training", "evaluation", "seed")}
    nodes = [
        Node(
            func=function,
            inputs={"samples": "samples"}
            | shared
            | {name: f"params:{name}" for name in parameters}
            | {name: name for name in ["image_store", *data, "checkpoints"]},
            outputs=name,
            name=name,
        )
        for name, (function, data, parameters) in STUDIES.items()
    ]
    figure = Node(
        func=draw_study,
        inputs={"samples": "samples", "study": "params:study", "repeats": "repeats"} | {name: name for name in STUDIES},
        outputs="plot",
        name="draw",
    )
    used = Pipeline([*nodes, figure]).inputs() - {"checkpoints"}
    parameters = {name for name in used if name.startswith("params:")}
    return Pipeline(
        [*nodes, figure],
        namespace=NAMESPACE,
        inputs=used - parameters,
        parameters=parameters,
        tags=["study", NEEDS_LABELS],
    )
