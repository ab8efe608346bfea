"""Parameters."""

from tests.broken.case import Case, kedro_run, nothing


def parameters(pipeline="ingestion", **groups):
    """Return what does `kedro run --params=...` in a project that is right otherwise."""
    return kedro_run(pipeline, params=groups)


CASES = [
    Case("A group of parameters is misspelt", nothing, parameters(trainig={"epochs": 5}), ("trainig", "training")),
    Case(
        "A parameter is misspelt",
        nothing,
        parameters(training={"optimizer": {"name": "sgd"}}),
        ("training.optimizer", "training.optimiser"),
    ),
    Case("A number is out of range", nothing, parameters(images={"size": 4}), ("images.size", "4")),
    Case("A word stands where a number is expected", nothing, parameters(seed="zero"), ("seed", "'zero'")),
    Case(
        "A list is written as a text",
        nothing,
        parameters(clustering={"granularities": "5, 10"}),
        ("clustering.granularities", "'5, 10'"),
    ),
    Case(
        "There are no attributes to cluster by",
        nothing,
        parameters("clustering", clustering={"attributes": []}),
        ("clustering.attributes",),
    ),
    Case(
        "An attribute to cluster by is misspelt",
        nothing,
        parameters("clustering", clustering={"attributes": ["tag"]}),
        ("clustering.attributes", "tag"),
    ),
    Case(
        "More clusters are asked for than there can be",
        nothing,
        parameters("clustering", clustering={"granularities": [5000], "granularity": 5000}),
        ("clustering.granularities", "5000"),
    ),
    Case(
        "Clusters are judged with batches larger than the data",
        nothing,
        parameters("clustering", training={"batch_size": 100_000}),
        ("training.batch_size", "100000"),
        remedy="Lower it.",
    ),
    Case(
        "A batch is larger than the data",
        nothing,
        parameters("training", training={"batch_size": 100_000}),
        ("training.batch_size", "100000"),
        remedy="Lower it.",
    ),
    Case(
        "More clusters of k-means are asked for than there are pictures",
        nothing,
        parameters("iterative", iterative={"k": 100_000}),
        ("iterative.k", "100000"),
        remedy="Lower it.",
    ),
    Case(
        "There are no labels to evaluate by",
        nothing,
        parameters("evaluation", ingestion={"labels": []}),
        ("ingestion.labels",),
    ),
]
