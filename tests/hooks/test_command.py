import shlex

from kedro.framework.cli.project import run as kedro_run

from weakcl_pipeline.hooks.command import run_command

EVERYTHING = {
    "env": "birds",
    "pipeline_names": ["training", "evaluation"],
    "namespaces": ["attribute"],
    "tags": ("slow",),
    "node_names": ("a", "b"),
    "from_nodes": ["a"],
    "to_nodes": ["b"],
    "from_inputs": ["samples"],
    "to_outputs": ["report"],
    "load_versions": {"samples": "2026-01-01T00.00.00.000Z"},
    "runtime_params": {"seed": 1, "training": {"epochs": 3, "name": "two words"}},
}


def test_nothing_asked_is_nothing_written():
    assert run_command({"env": None, "pipeline_names": None, "tags": (), "runtime_params": {}}) == "kedro run"


def test_kedro_reads_back_what_was_asked():
    words = shlex.split(run_command(EVERYTHING))
    assert words[:2] == ["kedro", "run"]
    read = kedro_run.make_context("run", words[2:]).params
    assert read["pipelines"] == EVERYTHING["pipeline_names"]
    assert read["params"] == EVERYTHING["runtime_params"]
    same = ("env", "namespaces", "from_nodes", "to_nodes", "from_inputs", "to_outputs", "load_versions")
    assert {key: read[key] for key in same} == {key: EVERYTHING[key] for key in same}
    assert (tuple(read["tags"]), tuple(read["node_names"])) == (EVERYTHING["tags"], EVERYTHING["node_names"])


def test_versions_can_be_replaced():
    versions = {"samples": "2", "clusters": "1"}
    assert (
        run_command({"load_versions": {"samples": "1"}}, versions) == "kedro run --load-versions=clusters:1,samples:2"
    )
