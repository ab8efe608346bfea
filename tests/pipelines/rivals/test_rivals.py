import json

import numpy as np
import polars as pl
import pytest
import torch

from weakcl_pipeline.contrastive import load_encoder
from weakcl_pipeline.evaluation import METHODS
from weakcl_pipeline.pipelines.rivals.pipeline import RIVALS
from weakcl_pipeline.pipelines.samples import known_attributes


@pytest.fixture(scope="module")
def compared(full_run, tmp_path_factory):
    project = full_run.copy(tmp_path_factory.mktemp("compared") / "project")
    project.run("compare")
    return project


@pytest.mark.parametrize("method", RIVALS)
def test_every_rival_trains_with_its_own_objective_and_the_shared_parameters(compared, method):
    encoder = load_encoder(compared.path / f"data/06_models/{method}/encoder")
    assert encoder(torch.rand(2, 3, 16, 16)).shape == (2, encoder.feature_dim)
    described = [
        json.loads((compared.artifact(f"{name}.encoder").path.parent / "encoder.json").read_text())
        for name in (method, "attribute")
    ]
    assert described[0]["objective"]["name"] == method
    assert described[0]["training"] == described[1]["training"]
    assert compared.artifact(f"{method}.history").load()["epoch"].to_list() == [1, 2]


def test_the_comparison_and_the_report_have_all_methods(compared):
    comparison = compared.artifact("comparison").load()
    for _, part in comparison.group_by("label", "probe"):
        assert part["method"].to_list() == [method.name for method in METHODS]
    report = compared.artifact("report").path.read_text()
    assert all(method.title in report for method in METHODS)


def test_encoders_of_different_objectives_differ(compared):
    sums = {
        name: float(compared.artifact(f"{name}.embeddings").load()["embedding"].to_numpy().sum()) for name in RIVALS
    }
    assert len(set(sums.values())) == len(RIVALS)


def test_rivals_that_use_no_attributes_do_not_depend_on_them(compared):
    for method in ("pcl", "swav"):
        assert "clusters" not in compared.lineage(f"{method}.encoder").ancestry
    assert "clusters" in compared.lineage("cluster_cross_entropy.encoder").ancestry


def test_tuning_one_rival_leaves_the_trainings_of_the_others_repeats_of_their_seeds(compared):
    names = ("pcl", "swav")
    before = {name: compared.lineage(f"{name}.encoder") for name in names}
    compared.run(
        "rivals", node_names=[f"{name}.train" for name in names], params={"seed": 1, "swav": {"prototypes": 6}}
    )
    after = {name: compared.lineage(f"{name}.encoder") for name in names}
    assert [before[name].hash != after[name].hash for name in names] == [True, True]
    assert [before[name].recipe == after[name].recipe for name in names] == [True, False]


def test_attributes_are_those_of_the_train_split_with_missing_as_nan():
    samples = pl.DataFrame({"sample_id": ["a", "b", "c"], "split": ["train", "test", "train"]})
    binary = pl.DataFrame({"sample_id": ["a", "b", "c"], "x": [True, False, None], "y": [False, True, True]})
    for table in (binary, binary.drop("sample_id")):
        np.testing.assert_array_equal(known_attributes(samples, table).numpy(), [[1, 0], [np.nan, 1]])
