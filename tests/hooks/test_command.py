import shlex

from kedro.framework.cli.project import run as kedro_run

from tests.conftest import ROOT
from weakcl_pipeline.hooks.command import run_command

EVERYTHING = {
    "conf_source": (ROOT / "conf").as_posix(),
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
    "only_missing_outputs": True,
    "runtime_params": {
        "seed": 1,
        "training": {"epochs": 3, "name": "two words", "progressive": None, "rate": 1e-5, "on": True},
        "lists": {"flat": [1, 0.5, "x, y"], "nested": [[1, 2], {"a": [True, None], "b": []}], "none": []},
        "texts": {"number": "1e3", "switch": "yes", "comma": "a,b=c", "empty": "", "kind": "top_entropy", "no": {}},
    },
}


def test_nothing_asked_is_nothing_written():
    assert run_command({"env": None, "pipeline_names": None, "tags": (), "runtime_params": {}}) == "kedro run"


def test_kedro_reads_back_what_was_asked():
    words = shlex.split(run_command(EVERYTHING))
    assert words[:2] == ["kedro", "run"]
    read = kedro_run.make_context("run", words[2:]).params
    assert read["pipelines"] == EVERYTHING["pipeline_names"]
    assert read["params"] == EVERYTHING["runtime_params"]
    same = (
        "conf_source",
        "env",
        "only_missing_outputs",
        "namespaces",
        "from_nodes",
        "to_nodes",
        "from_inputs",
        "to_outputs",
        "load_versions",
    )
    assert {key: read[key] for key in same} == {key: EVERYTHING[key] for key in same}
    assert (tuple(read["tags"]), tuple(read["node_names"])) == (EVERYTHING["tags"], EVERYTHING["node_names"])


def test_versions_can_be_replaced():
    versions = {"samples": "2", "clusters": "1"}
    assert (
        run_command({"load_versions": {"samples": "1"}}, versions) == "kedro run --load-versions=clusters:1,samples:2"
    )


def test_other_pipelines_can_be_asked_for_in_the_same_way():
    command = run_command(EVERYTHING | {"only_missing_outputs": False}, {}, ["clustering"])
    assert command.startswith(
        f"kedro run --conf-source={EVERYTHING['conf_source']} --env=birds --pipelines=clustering '--params="
    )
    assert kedro_run.make_context("run", shlex.split(command)[2:]).params["params"] == EVERYTHING["runtime_params"]
