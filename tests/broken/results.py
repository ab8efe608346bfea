"""Earlier results."""

from tests.broken.case import Case, kedro_run, nothing

CASES = [
    Case(
        "A stage is run before those that it needs",
        nothing,
        kedro_run("evaluation"),
        ("attribute.encoder",),
    ),
    Case(
        "A version is asked for that is not there",
        nothing,
        kedro_run("clustering", load_versions={"samples": "2020-01-01T00.00.00.000Z"}),
        ("samples",),
    ),
    Case(
        "A version is asked for of what the run makes itself",
        nothing,
        kedro_run("clustering", load_versions={"clusters": "2020-01-01T00.00.00.000Z"}),
        ("clusters",),
    ),
    Case(
        "New samples come before any training",
        nothing,
        kedro_run("apply"),
        ("applied.encoder", "attribute/encoder"),
    ),
]
