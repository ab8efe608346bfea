import json
import logging
import re

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file

from weakcl_pipeline.contrastive import load_encoder
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.pipelines.samples import label_ids, train_rows
from weakcl_pipeline.pipelines.training.nodes import train_supervised

METHODS = ["self_supervised", "attribute", "supervised", "iterative"]


def encoder_files(project, method):
    return project.artifact(f"{method}.encoder").path.parent


@pytest.mark.parametrize("method", METHODS)
def test_encoder_history_and_plot_of_every_method(full_run, method):
    encoder = load_encoder(full_run.path / f"data/06_models/{method}/encoder")
    assert encoder(torch.rand(2, 3, 16, 16)).shape == (2, encoder.feature_dim)
    metadata = json.loads((encoder_files(full_run, method) / "encoder.json").read_text())
    assert metadata["method"] == method
    assert metadata["seed"] == 0
    assert metadata["image_size"] == 16
    history = full_run.artifact(f"{method}.history").load()
    assert history["epoch"].to_list() == [1, 2]
    assert full_run.artifact(f"{method}.history_plot").path.read_bytes().startswith(b"\x89PNG")
    assert list((full_run.path / f"data/06_models/{method}/checkpoints").glob("*/epoch-*")) == []


def test_the_methods_differ_only_in_their_positives(full_run):
    described = [json.loads((encoder_files(full_run, m) / "encoder.json").read_text()) for m in METHODS]
    for key in ("training", "encoder", "normalisation", "seed"):
        assert all(metadata[key] == described[0][key] for metadata in described)
    weights = [load_file(encoder_files(full_run, m) / "encoder.safetensors") for m in METHODS]
    assert len({float(w["head.0.weight"].sum()) for w in weights}) >= 3


def test_normalisation_is_that_of_the_train_split(full_run):
    samples = full_run.artifact("samples").load()
    table = full_run.artifact("image_store").load()
    pixels = np.stack([np.frombuffer(p, np.uint8) for p in table["pixels"].to_pylist()]).reshape(-1, 16, 16, 3) / 255
    train = pixels[(samples["split"] == "train").to_numpy()]
    metadata = json.loads((encoder_files(full_run, "attribute") / "encoder.json").read_text())
    np.testing.assert_allclose(metadata["normalisation"]["mean"], train.mean(axis=(0, 1, 2)), atol=1e-5)
    np.testing.assert_allclose(metadata["normalisation"]["std"], train.std(axis=(0, 1, 2)), atol=1e-5)


def test_positives_come_from_the_train_split_in_its_order():
    samples = pl.DataFrame(
        {"split": ["test", "train", "train", "val", "train"], "label_kind": ["a", "c", None, "b", "a"], "x": [1] * 5}
    )
    assert train_rows(samples).tolist() == [1, 2, 4]
    assert list(label_ids(samples)) == ["kind"]
    ids = label_ids(samples)["kind"]
    assert ids[1] == -1
    assert ids[0] >= 0
    assert ids[0] != ids[2]


def test_supervised_needs_a_label():
    samples = pl.DataFrame({"split": ["train"]})
    with pytest.raises(InputError, match=r"ingestion\.labels"):
        train_supervised(None, samples, None, 0, None)


def test_one_namespace_runs_alone_and_gives_the_same_weights_again(full_run, tmp_path):
    project = full_run.copy(tmp_path / "copy")
    before = load_file(encoder_files(project, "attribute") / "encoder.safetensors")
    project.run("training", namespaces=["attribute"])
    after = load_file(encoder_files(project, "attribute") / "encoder.safetensors")
    assert len(project.versions("attribute.encoder")) == 2
    assert len(project.versions("supervised.encoder")) == 1
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_pictures_that_stay_encoded_give_the_same_weights(full_run, tmp_path):
    project = full_run.copy(tmp_path / "copy")
    before = load_file(encoder_files(project, "attribute") / "encoder.safetensors")
    encoded = {"images": {"storage": "encoded"}}
    project.run("ingestion", "clustering", params=encoded)
    project.run("training", namespaces=["attribute"], params=encoded)
    assert project.artifact("image_store").load().column_names == ["sample_id", "encoded", "box"]
    assert len(project.versions("attribute.encoder")) == 2
    after = load_file(encoder_files(project, "attribute") / "encoder.safetensors")
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_one_parameter_has_workers_train_and_nothing_else_changes(full_run, tmp_path):
    project = full_run.copy(tmp_path / "project")
    before = project.artifact("attribute.history").load()
    launcher = "training.launcher.kind=torchrun,training.launcher.workers=2"
    process = project.start("--pipelines=training", "--nodes=attribute.train", f"--params={launcher}")
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert "attribute, seed 0: 2 workers" in out
    assert re.search(r"attribute: epoch 2 of 2, loss \d", err)  # by the worker that leads
    history = project.artifact("attribute.history").load()
    assert history["loss"].to_list() == pytest.approx(before["loss"].to_list(), rel=0.05)  # Muon computes in bf16
    encoder = load_encoder(project.path / "data/06_models/attribute/encoder")
    assert encoder(torch.rand(2, 3, 16, 16)).shape == (2, encoder.feature_dim)
    metadata = json.loads((encoder_files(project, "attribute") / "encoder.json").read_text())
    launched = metadata["training"]["launcher"]
    assert (launched["kind"], launched["workers"]) == ("torchrun", 2)


def known_and_completed(project):
    rule = project.artifact("clusters").load().select("sample_id", by_rule="cluster")
    return project.artifact("completed_clusters").load().join(rule, on="sample_id", maintain_order="left")


def test_pictures_without_a_cluster_are_completed_by_k_means(full_run):
    samples, table = full_run.artifact("samples").load(), known_and_completed(full_run)
    assert table["sample_id"].to_list() == samples.filter(pl.col("split") == "train")["sample_id"].to_list()
    known = table.drop_nulls("by_rule")
    completed = table.filter(pl.col("by_rule").is_null())
    assert 0 < len(completed) < len(table)
    assert known["cluster"].equals(known["by_rule"], check_names=False)
    assert completed["cluster"].null_count() == 0
    assert not set(completed["cluster"]) & set(known["cluster"])
    assert 2 <= completed["cluster"].n_unique() <= 5
    history = full_run.artifact("attribute.history").load()
    assert history["clusters"].to_list() == [None, 5]  # after an epoch of warm-up
    metadata = json.loads((encoder_files(full_run, "attribute") / "encoder.json").read_text())
    assert metadata["attribute"]["completion"]["k"] == 5


def test_completion_is_an_option(full_run, tmp_path):
    project = full_run.copy(tmp_path / "copy")
    project.run("training", namespaces=["attribute"], params={"attribute": {"completion": None}})
    table = known_and_completed(project)
    assert table["cluster"].equals(table["by_rule"], check_names=False)
    assert "inertia" not in project.artifact("attribute.history").load().columns


def test_a_warm_up_that_leaves_no_completion_is_told(full_run, tmp_path, caplog):
    project = full_run.copy(tmp_path / "copy")
    with caplog.at_level(logging.WARNING):
        project.run("training", namespaces=["attribute"], params={"attribute": {"completion": {"warmup_epochs": 2}}})
    incomplete = project.artifact("completed_clusters").load()["cluster"].null_count()
    assert incomplete > 0
    assert any(
        f"all 2 epochs come before the first k-means, so the {incomplete} samples without a cluster" in message
        and "attribute.completion.warmup_epochs" in message
        for message in caplog.messages
    )


def test_completion_has_no_more_clusters_than_there_are_pictures(full_run, tmp_path):
    project = full_run.copy(tmp_path / "copy")
    with pytest.raises(InputError, match=r"attribute\.completion\.k: 5000 makes 5000 clusters"):
        project.run("training", namespaces=["attribute"], params={"attribute": {"completion": {"k": 5000}}})
