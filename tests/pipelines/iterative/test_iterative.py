import polars as pl
import pytest

TRAINING = {"epochs": 3}


@pytest.fixture
def project(full_run, tmp_path):
    return full_run.copy(tmp_path / "copy")


def test_clusters_cover_the_train_split_and_history_tells_of_them(project):
    iterative = {"k": 9, "warmup_epochs": 1, "recluster_every": 1, "features": "projection"}
    project.run("iterative", params={"training": TRAINING, "iterative": iterative})
    samples = project.artifact("samples").load()
    clusters = project.artifact("kmeans_clusters").load()
    train = samples.filter(pl.col("split") == "train")
    assert clusters["sample_id"].to_list() == train["sample_id"].to_list()
    assert 1 < clusters["cluster"].n_unique() <= 9
    history = project.artifact("iterative.history").load()
    assert history["inertia"].is_null().to_list() == [True, False, False]
    assert history["nmi_previous"].is_null().to_list() == [True, True, False]
    for label in ("group", "subgroup"):
        assert history[f"nmi_{label}"][1:].is_between(0, 1).all()


def test_self_supervision_while_warming_up_leaves_no_cluster(project):
    project.run("iterative", params={"training": TRAINING, "iterative": {"warmup_epochs": 3}})
    clusters = project.artifact("kmeans_clusters").load()
    assert clusters["cluster"].null_count() == len(clusters)
