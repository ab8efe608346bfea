"""kill -9 in the middle of every save, and in the middle of a run."""

import signal
import time
from pathlib import Path

import polars as pl
import pytest
from kedro.io import DatasetError

from tests.kill_saves import die_when, save_all
from tests.processes import result_of, start
from weakcl_pipeline.datasets.staging import staged_directory

KILLED = [-signal.SIGXFSZ, -signal.SIGKILL, -signal.SIGKILL]  # mid-file, before lineage.json, before the rename


def artifact_names(catalog) -> list[str]:
    """Return the versioned artifacts of the catalog, those of patterns for one method."""
    names = [name for name in catalog.config_resolver.config if not name.startswith("_")]
    names += [pattern.replace("{method}", "attribute") for pattern in catalog.config_resolver.list_patterns()]
    artifacts = [name for name in names if hasattr(catalog.get(name), "lineage")]
    by_folder = {catalog.get(name).directory: name for name in artifacts}  # `applied.encoder` is another name for one
    return list(by_folder.values())


def staged(project) -> list[Path]:
    return list((project.path / "data").rglob(".staging-*"))


def test_a_killed_save_of_any_artifact_leaves_the_version_before_it_and_the_next_succeeds(standin):
    names = artifact_names(standin.catalog())
    assert {"sample_table", "samples", "image_store", "attribute.encoder", "cluster_plot", "report"} <= set(names)
    assert result_of(save_all, standin.path, names, "first") == {name: [0, *KILLED] for name in names}
    assert len(staged(standin)) == len(names) * len(KILLED)  # each was killed at work
    catalog = standin.catalog()
    for name in names:
        dataset = catalog.get(name)
        (version,) = dataset.list_versions(full_path=False)
        assert (dataset.exists(), dataset.resolve_load_version()) == (True, version)
        if name.endswith("plot"):  # checked against its hash, but a figure cannot be read back
            with pytest.raises(DatasetError, match="Loading not supported"):
                catalog.load(name)
        else:
            loaded = catalog.load(name)
            shown = str(loaded.collect() if isinstance(loaded, pl.LazyFrame) else loaded)
            assert "2" not in shown.replace("(1, 2)", "")  # the first value, not the second
    assert result_of(save_all, standin.path, names, "again") == {name: [0] for name in names}
    assert staged(standin) == []
    for name in names:
        newest, oldest = catalog.get(name).list_versions(full_path=False)
        assert newest > oldest == catalog.get(name).resolve_load_version()  # read before, so still read
        assert standin.artifact(name).resolve_load_version() == newest


SAVED = {"ingestion": ["samples", "image_store"], "clustering": ["clusters"], "evaluation": ["report"]}


def run_until_killed(project, pipeline, artifact):
    """Run a pipeline in this process, which the kernel ends where the artifact is whole and about to be named."""
    die_when("os.rename", f".staging-{artifact.rpartition('.')[2]}-")
    project.run(pipeline)


@pytest.mark.parametrize("pipeline", SAVED)
def test_a_real_run_that_is_killed_while_it_saves_leaves_what_there_was(full_run, tmp_path, pipeline):
    project = full_run.copy(tmp_path / "project")
    for artifact in SAVED[pipeline]:
        before = project.versions(artifact)
        process = start(run_until_killed, project, pipeline, artifact)
        process.join()
        assert process.exitcode == -signal.SIGKILL
        assert [folder.name.split("-")[1] for folder in staged(project)] == [artifact.rpartition(".")[2]]
        assert project.versions(artifact) == before
        project.artifact(artifact).load()
    again = project.run(pipeline)
    assert all(project.versions(artifact)[0] == again for artifact in SAVED[pipeline])
    assert staged(project) == []


def test_after_a_killed_run_the_next_one_sweeps_and_succeeds(standin):
    before = standin.run("full")
    process = standin.start(f"--params=training.wait_for={standin.path / 'never'}")
    while not (standin.path / "data/06_models/attribute/checkpoints/key").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    left = standin.path / "data/06_models/attribute/.staging-encoder-v"
    left.mkdir()
    (left / ".lock").touch()  # as if it had come to save
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert standin.versions("report") == [before]
    run = standin.run("full")
    assert standin.versions("report") == [run, before]
    assert set(standin.lineage("report").ancestry.values()) - {run} == {
        standin.lineage("samples").ancestry["raw_samples"]
    }
    assert staged(standin) == []


def test_a_run_leaves_alone_what_living_processes_stage(standin):
    with staged_directory(standin.path / "data/03_primary/samples/v") as mine:
        standin.run("full")
        assert staged(standin) == [mine.parent]
