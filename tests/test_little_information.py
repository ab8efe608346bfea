"""Data without attributes, or without labels: what works does, and what cannot is refused with a command that works."""

import re

import polars as pl
import pytest
import yaml

from weakcl_pipeline.errors import InputError


def known_as(project, **ingestion):
    """Replace what the emoji's columns are, as a user's own parameters would."""
    local = project.path / "conf/local/parameters.yml"
    parameters = yaml.safe_load(local.read_text())
    parameters["ingestion"] |= ingestion
    local.write_text(yaml.safe_dump(parameters))
    return project


def nodes_of_the_command(message):
    return re.search(r"`kedro run --to-nodes=([^`]+)`", message)[1].split(",")


@pytest.fixture
def pictures_alone(project_factory):
    return known_as(project_factory(), attributes={})


def test_pictures_and_labels_are_enough_for_a_comparison_and_a_report(pictures_alone):
    with pytest.raises(InputError, match=r"nothing to cluster by") as error:
        pictures_alone.run("ingestion", "clustering")
    command = re.search(r"`kedro run --pipelines=(\w+)`", str(error.value))[1]
    pictures_alone.run(command)
    compared = set(pictures_alone.artifact("comparison").load()["method"])
    assert compared == {"majority", "raw_pixels", "random_encoder", "self_supervised", "iterative", "supervised"}
    report = pictures_alone.artifact("report").load()
    assert "What do pictures alone teach?" in report
    assert "nothing but the pictures was used" in report
    assert pictures_alone.artifact("attributes").load().collect_schema().names() == ["sample_id", "split"]


def test_rivals_that_need_no_attributes_are_compared_without_any(pictures_alone):
    pictures_alone.run("compare_pictures")
    compared = set(pictures_alone.artifact("comparison").load().filter(pl.col("images_per_second") > 0)["method"])
    assert compared == {"self_supervised", "pcl", "swav", "iterative", "supervised"}
    rivals = pictures_alone.artifact("claims").load()["rival"].unique()
    assert set(rivals) == {"self_supervised", "pcl", "swav"}
    assert "were not trained" not in pictures_alone.artifact("report").load()


def test_without_labels_all_that_needs_none_is_made(project_factory):
    project = known_as(project_factory(), labels=[])
    for pipeline in ("full", "training", "evaluation", "study"):
        with pytest.raises(InputError, match=r"^ingestion\.labels: there is no label") as error:
            project.run(pipeline)
    assert not (project.path / "data/02_intermediate").exists()
    project.run(to_nodes=nodes_of_the_command(str(error.value)))
    for method in ("self_supervised", "attribute", "iterative"):
        assert project.artifact(f"{method}.embeddings").load().height == project.artifact("samples").load().height
    project.run("clustering")
    assert project.artifact("cluster_report").load()["labels"] == []


def test_pictures_without_anything_train(pictures_alone):
    project = known_as(pictures_alone, labels=[])
    with pytest.raises(InputError) as error:
        project.run("pictures")
    project.run(to_nodes=[name for name in nodes_of_the_command(str(error.value)) if not name.startswith("attribute")])
    assert project.versions("self_supervised.embeddings")
    assert project.versions("iterative.embeddings")
