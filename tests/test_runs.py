"""Runs of the real pipelines, on a few pictures and with small parameters."""

import re
import signal
import time
from pathlib import Path

import pytest

from weakcl_pipeline.errors import InputError
from weakcl_pipeline.pipeline_registry import register_pipelines

METHODS = ("self_supervised", "attribute", "iterative", "supervised")


@pytest.fixture
def project(full_run, tmp_path):
    return full_run.copy(tmp_path / "copy")


def test_a_full_run_makes_every_artifact_with_one_lineage(full_run):
    full = register_pipelines()["full"]
    (run,) = full_run.versions("report")
    raw = full_run.lineage("sample_table").ancestry["raw_samples"]
    for node in full.nodes:
        for name in node.outputs:
            lineage = full_run.lineage(name)
            assert (lineage.dataset, lineage.version, lineage.node) == (name, run, node.name)
            assert lineage.pipelines == ("full",)
            assert set(lineage.ancestry.values()) <= {run, raw}
            assert set(lineage.parameters) == {data for data in node.inputs if data.startswith("params:")}
    assert {f"{method}.encoder" for method in METHODS} <= set(full_run.lineage("report").ancestry)


def test_what_was_saved_can_be_loaded_from_a_notebook(full_run):
    catalog = full_run.catalog()
    samples = catalog.load("samples")
    assert catalog.load("image_store")["sample_id"].to_pylist() == samples["sample_id"].to_list()
    tensors, metadata = catalog.load("attribute.encoder")
    assert tensors
    assert metadata["method"] == "attribute"
    assert catalog.load("report").startswith("<!")


def test_the_report_names_the_versions_that_it_shows(full_run):
    (run,) = full_run.versions("report")
    assert f"{run}" in full_run.catalog().load("report")


def test_checkpoints_of_finished_trainings_are_removed(full_run):
    for method in METHODS:
        folder = full_run.path / "data/06_models" / method / "checkpoints"
        assert [path for path in folder.iterdir() if path.is_dir()] == []


def test_train_recluster_evaluate_is_refused_and_the_suggested_command_works(project):
    (full,) = project.versions("clusters")
    newer = project.run("clustering", params={"clustering": {"granularity": 2}})
    with pytest.raises(InputError) as error:
        project.run("evaluation")
    assert f"  clusters {full}: attribute." in str(error.value)
    assert f"  clusters {newer}: binary_attributes, cluster_report, clusters\n" in str(error.value)
    assert project.versions("attribute.metrics") == [full]  # nothing was computed
    (command,) = re.findall(r"^  kedro (run .*)$", str(error.value), re.MULTILINE)
    done = project.kedro(command=("kedro", *command.split()))
    assert done.returncode == 0, done.stdout + done.stderr
    assert project.lineage("report").ancestry["clusters"] == full
    assert project.lineage("report").version > newer


def test_a_stage_runs_alone_after_an_earlier_one_was_repeated(project):
    run = project.run("ingestion", "clustering")
    project.run("training", namespaces=["attribute"])
    assert project.lineage("attribute.encoder").ancestry["clusters"] == run


def test_a_comparison_of_unlike_trainings_says_what_differs(project, caplog):
    project.run("iterative", params={"training": {"batch_size": 9}})
    project.run("evaluation")
    (warning,) = [record.getMessage() for record in caplog.records if "same parameters" in record.getMessage()]
    assert warning.startswith("compare_methods compares what was not made with the same parameters:")
    assert "9 for iterative.history" in warning
    assert warning.count("\n") == 1
    report = project.artifact("report").load()
    assert "Not all were made with the same parameters" in report
    assert "<code>training.batch_size</code>" in report
    assert "9 for iterative.history" in report


def first_checkpoint(project, process, method: str) -> Path:
    folder = project.path / "data/06_models" / method / "checkpoints"
    while not (found := list(folder.glob("*/epoch-*"))):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    return found[0]


@pytest.mark.parametrize(("pipeline", "method"), [("training", "attribute"), ("iterative", "iterative")])
def test_a_killed_training_goes_on_and_ends_with_the_same_weights(project, pipeline, method):
    words = (f"--pipelines={pipeline}", f"--namespaces={method}", "--params=training.epochs=5")
    name = f"{method}.encoder"
    process = project.start(*words)
    first_checkpoint(project, process, method)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert len(project.versions(name)) == 1
    resumed = project.kedro(*words)
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert f"{method}: going on after epoch" in resumed.stdout
    whole = project.kedro(*words)
    assert whole.returncode == 0, whole.stdout + whole.stderr
    files = [{file.name: file.sha256 for file in project.lineage(name, v).files} for v in project.versions(name)[:2]]
    assert files[0]["encoder.safetensors"] == files[1]["encoder.safetensors"]


def seeds_compared(project) -> dict[str, list[int]]:
    comparison = project.catalog().load("comparison")
    return dict(comparison.filter(probe="linear", label="group").select("method", "seeds").iter_rows())


def test_seeds_are_gathered_but_an_encoder_evaluated_under_another_seed_is_no_repeat(project):
    project.run("evaluation", params={"seed": 9})
    assert seeds_compared(project)["attribute"] == [9]
    project.run("training", "evaluation", params={"seed": 1})
    assert seeds_compared(project)["attribute"] == [0, 1]
