"""The evaluation pipeline: each method embeds and is evaluated in its own namespace, then all are compared."""

import warnings

from kedro.pipeline import Node, Pipeline

from weakcl_pipeline.evaluation import METHODS
from weakcl_pipeline.pipelines.evaluation.nodes import (
    compare_methods,
    embed_pictures,
    embed_pixels,
    evaluate_embeddings,
    evaluate_encoder,
    evaluate_guess,
    initialise_encoder,
    write_report,
)
from weakcl_pipeline.pipelines.samples import NEEDS_LABELS

_FEATURES = ["embeddings", "samples", "params:evaluation", "params:seed"]


def create_pipeline(*, attributes: bool = True, rivals: bool = False) -> Pipeline:
    """Return embeddings and metrics of every method and reference, their comparison and the report.

    Args:
        attributes: Whether there are attributes, and so methods that learn from them, and clusters to report.
        rivals: Whether the rivals are among the methods.
    """
    evaluated = [
        method for method in METHODS if (rivals or not method.rival) and (attributes or not method.needs_attributes)
    ]
    trained = [method.name for method in evaluated if method.trained]
    methods = [_in_namespace(method, [_embed_pictures(), _evaluate_encoder()]) for method in trained]
    references = [
        _in_namespace("majority", [_evaluate_guess()]),
        _in_namespace("raw_pixels", [_embed_pixels(), _evaluate_embeddings()]),
        _in_namespace("random_encoder", [_initialise(), _embed_pictures(), _evaluate_encoder()]),
    ]
    names = [method.name for method in evaluated]
    with warnings.catch_warnings():
        # Two nodes read from every namespace, so their inputs have dots, which Kedro warns of outside a namespace.
        warnings.filterwarnings("ignore", message="One or more dataset names contain", category=UserWarning)
        return Pipeline(
            [*references, *methods, _compare(names, trained), _report(names, trained, attributes=attributes)],
            tags="evaluation",
        )


def _in_namespace(method: str, nodes: list[Node]) -> Pipeline:
    """Return a method's nodes; artifacts of the data and parameters are shared, all others are the method's own."""
    used = Pipeline(nodes).inputs()
    return Pipeline(
        nodes,
        namespace=method,
        inputs=used & {"image_store", "samples"},
        parameters={name for name in used if name.startswith("params:")},
    )


def _initialise() -> Node:
    return Node(
        func=initialise_encoder,
        inputs=["image_store", "samples", "params:training", "params:seed"],
        outputs="encoder",
        name="initialise",
    )


def _embed_pictures() -> Node:
    return Node(
        func=embed_pictures, inputs=["encoder", "image_store", "params:training"], outputs="embeddings", name="embed"
    )


def _embed_pixels() -> Node:
    return Node(func=embed_pixels, inputs=["image_store", "samples", "params:seed"], outputs="embeddings", name="embed")


def _evaluate_embeddings() -> Node:
    return Node(
        func=evaluate_embeddings,
        inputs=_FEATURES,
        outputs=["metrics", "predictions"],
        name="evaluate",
        tags=NEEDS_LABELS,
    )


def _evaluate_encoder() -> Node:
    return Node(
        func=evaluate_encoder,
        inputs=[*_FEATURES, "encoder", "image_store", "params:training"],
        outputs=["metrics", "predictions"],
        name="evaluate",
        tags=NEEDS_LABELS,
    )


def _evaluate_guess() -> Node:
    return Node(
        func=evaluate_guess,
        inputs=["samples", "params:evaluation", "params:seed"],
        outputs=["metrics", "predictions"],
        name="evaluate",
        tags=NEEDS_LABELS,
    )


def _compare(methods: list[str], trained: list[str]) -> Node:
    evaluated = [f"{method}.{kind}" for method in methods for kind in ("metrics", "predictions")]
    evaluated += [f"{method}.history" for method in trained]
    return Node(
        func=compare_methods,
        inputs=_shared() | {"repeats": "repeats"} | {name: name for name in evaluated},
        outputs=["comparison", "claims", "comparison_plot"],
        name="compare_methods",
        tags=NEEDS_LABELS,
    )


def _report(methods: list[str], trained: list[str], *, attributes: bool) -> Node:
    of_data = ["ingestion_summary", "image_store", "comparison", "claims", "report_lineage", "report_differences"]
    of_clusters = ["cluster_report", "clusters", "binary_attributes"] if attributes else []
    of_methods = [f"{method}.history" for method in trained]
    of_methods += [f"{method}.embeddings" for method in ["raw_pixels", "random_encoder", *trained]]
    of_methods += [f"{method}.metrics" for method in methods]
    return Node(
        func=write_report,
        inputs=_shared() | {name: name for name in [*of_data, *of_clusters, *of_methods]},
        outputs="report",
        name="write_report",
        tags=NEEDS_LABELS,
    )


def _shared() -> dict[str, str]:
    """Return the first arguments of the nodes over all methods; Kedro finds a parameter's type by its position."""
    return {"samples": "samples", "evaluation": "params:evaluation", "seed": "params:seed"}
