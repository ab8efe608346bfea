import polars as pl


def test_clusters_cover_the_train_split_and_history_tells_of_them(full_run, tmp_path):
    project = full_run.copy(tmp_path / "copy")
    overrides = "\niterative: {k: 9, warmup_epochs: 1, recluster_every: 1, features: projection}\n"
    with (project.path / "conf/local/parameters.yml").open("a") as stream:
        stream.write(overrides)
    project.run("iterative")
    samples = project.artifact("samples").load()
    clusters = project.artifact("kmeans_clusters").load()
    train = samples.filter(pl.col("split") == "train")
    assert clusters["sample_id"].to_list() == train["sample_id"].to_list()
    assert clusters["cluster"].n_unique() <= 9
    history = project.artifact("iterative.history").load()
    assert history["inertia"].to_list()[0] is None
    assert history["inertia"][1] > 0
    assert 0 <= history["nmi_group"][1] <= 1
    assert 0 <= history["nmi_subgroup"][1] <= 1


def test_self_supervision_while_warming_up_leaves_no_cluster(full_run):
    warmup = full_run.artifact("kmeans_clusters").load()  # 2 epochs, within the warm-up of the default
    assert warmup["cluster"].null_count() == len(warmup)
