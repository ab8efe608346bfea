"""The project's face: its pipelines, its catalog, and that README names both."""

import re
from pathlib import Path

import pytest
import yaml
from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.inspection import get_project_snapshot

from weakcl_pipeline.contrastive.encoder import Encoder
from weakcl_pipeline.datasets import SourceDataset

ROOT = Path(__file__).parent.parent
ENVIRONMENTS = {folder.name: {file.name for file in folder.iterdir()} for folder in (ROOT / "conf").glob("*/")}
STAGES = ("ingestion", "clustering", "training", "iterative", "evaluation")


@pytest.fixture(scope="module")
def snapshot():
    return get_project_snapshot(ROOT)


def made_by(snapshot, name: str) -> set[str]:
    (pipeline,) = [pipeline for pipeline in snapshot.pipelines if pipeline.name == name]
    return {output for node in pipeline.nodes for output in node.outputs}


def used_by(snapshot, name: str) -> set[str]:
    (pipeline,) = [pipeline for pipeline in snapshot.pipelines if pipeline.name == name]
    names = {data for node in pipeline.nodes for data in (*node.inputs, *node.outputs)}
    return {data for data in names if not data.startswith("params:")}


def readme_table(heading: str) -> list[str]:
    """Return the names in the first column of the table under a heading of README.md."""
    section = (ROOT / "README.md").read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    cells = re.findall(r"^\| *(`[^|]*`) *\|", section, re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


def generic(name: str) -> str:
    """Write the artifact of a method as the catalog's pattern has it; a study has artifacts of its own."""
    return re.sub(r"^(?!study)\w+\.", "<method>.", name)


def test_pipelines_are_the_stages_and_their_sum(snapshot):
    names = [pipeline.name for pipeline in snapshot.pipelines]
    sums = ["full", "compare", "pictures", "compare_pictures", "__default__"]
    assert names == [*STAGES, "rivals", "study", "apply", *sums]
    full = made_by(snapshot, "full")
    assert made_by(snapshot, "compare") > full | made_by(snapshot, "rivals")
    attribute = {name for name in full if name.startswith("attribute.")} | {"completed_clusters"}
    assert made_by(snapshot, "pictures") == full - made_by(snapshot, "clustering") - attribute
    rivals = {name for name in made_by(snapshot, "compare") if name.startswith(("pcl.", "swav."))}
    assert made_by(snapshot, "compare_pictures") == made_by(snapshot, "pictures") | rivals
    assert full == made_by(snapshot, "__default__") == set().union(*(made_by(snapshot, stage) for stage in STAGES))


def test_every_stage_runs_alone_from_what_others_made(snapshot):
    for pipeline in snapshot.pipelines[: len(STAGES)]:
        needed = {name for name in pipeline.inputs if not name.startswith("params:")}
        given = {name for name in needed if name.endswith(".checkpoints")} | {
            "raw_samples",
            "image_shards",
            "report_lineage",
            "report_differences",
            "repeats",
        }
        assert needed - given <= made_by(snapshot, "full")


def test_every_artifact_is_in_the_catalog_and_every_entry_is_used(snapshot):
    used = set().union(*(used_by(snapshot, name) for name in ("compare", "study", "apply")))
    assert used <= snapshot.datasets.keys()
    patterns = {re.sub(r"\{method\}|study\.\{name\}", "<method>", name) for name in snapshot.datasets} - {"<method>"}
    assert {generic(name) for name in used} >= {name for name in patterns if name not in used}


def test_every_artifact_is_versioned_and_atomic(snapshot):
    for name in made_by(snapshot, "compare") | made_by(snapshot, "apply"):
        assert snapshot.datasets[name].type == "weakcl_pipeline.datasets.AtomicDataset"


def test_every_artifact_lies_in_the_folder_of_its_name(snapshot):
    for name in made_by(snapshot, "compare") | made_by(snapshot, "apply"):
        assert re.fullmatch(rf"data/0\d_\w+/{name.replace('.', '/')}", snapshot.datasets[name].filepath)


def test_methods_are_namespaces(snapshot):
    namespaces = {node.namespace for pipeline in snapshot.pipelines for node in pipeline.nodes}
    assert {"self_supervised", "attribute", "supervised", "iterative"} <= namespaces


def test_readme_names_the_pipelines(snapshot):
    others = {"full", "rivals", "compare", "pictures", "compare_pictures", "study", "apply"}
    assert set(readme_table("Rerun one stage")) == {*STAGES, *others}


@pytest.mark.parametrize("name", ["ingestion", "clustering", "training", "iterative", "rivals", "study"])
def test_readme_says_what_a_pipeline_reads(name, snapshot):
    [row] = re.findall(rf"^\| `{name}` \|.*$", (ROOT / "README.md").read_text(), re.MULTILINE)
    [pipeline] = [pipeline for pipeline in snapshot.pipelines if pipeline.name == name]
    handed = {"repeats", "image_shards"} | {data for data in pipeline.inputs if data.endswith(".checkpoints")}
    read = {data for data in pipeline.inputs if not data.startswith("params:")} - handed
    assert set(re.findall(r"`([^`]+)`", row.split("|")[3])) == read


def test_the_tasks_of_a_scheduler_are_counted_right():
    bootstrap_project(ROOT)
    tasks = pipelines["full"].group_nodes_by("namespace")
    assert f"It has {len(tasks)} tasks:" in (ROOT / "docs/scaling.md").read_text()


def test_readme_names_the_artifacts(snapshot):
    named = set(readme_table("Where everything is"))
    of_new_samples = {name for name in named if name.startswith("applied.")}
    shown = made_by(snapshot, "apply") - {"applied.sample_table", "applied.image_rejects", "applied.image_store"}
    assert of_new_samples == shown
    named = {generic(name) for name in named - of_new_samples}
    made = {generic(name) for name in made_by(snapshot, "compare")}
    made |= {"study.<name>" if name != "study.plot" else name for name in made_by(snapshot, "study")}
    assert named - {"raw_samples", "new_samples", "image_shards", "<method>.checkpoints"} == made


def test_the_long_budget_differs_from_the_default_in_epochs_alone():
    default, long = (
        yaml.safe_load((ROOT / f"conf/{name}/parameters_training.yml").read_text())["training"]
        for name in ("base", "long")
    )
    assert long["epochs"] > default["epochs"]
    assert long | {"epochs": 0} == default | {"epochs": 0}


@pytest.mark.parametrize("name", sorted(set(ENVIRONMENTS) - {"base", "local"}))
def test_every_environment_has_parameters_that_can_be_used_and_a_page_for_data_to_download(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    bootstrap_project(ROOT)
    with KedroSession.create(ROOT, env=name) as session:
        context = session.load_context()  # refuses parameters that are misspelt or out of range
        assert isinstance(context.catalog.get("raw_samples"), SourceDataset)
        network = context.params["training"].encoder
    assert Encoder.create(network, (0.5,) * 3, (0.5,) * 3, seed=0).feature_dim > 0
    if "catalog.yml" in ENVIRONMENTS[name]:
        assert (ROOT / f"docs/data/{name}.md").is_file()
        assert f"`kedro run --env={name}`" in (ROOT / "README.md").read_text()
