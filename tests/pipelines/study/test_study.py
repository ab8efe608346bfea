import numpy as np
import polars as pl
import pytest

from weakcl_pipeline.errors import InputError
from weakcl_pipeline.evaluation import study_figure
from weakcl_pipeline.pipelines.study import nodes
from weakcl_pipeline.pipelines.study.pipeline import STUDIES

STUDY = {
    "study": {
        "epochs": 1,
        "merged": [2],
        "split": [4],
        "noise": [0.0, 0.5],
        "missing": [0.0, 0.5],
        "batch_sizes": [16],
        "temperatures": [0.2],
    },
    "affinity_kernel": {"weights": {"tags": 2.0}},
}


@pytest.fixture(scope="module")
def studied(full_run, tmp_path_factory):
    project = full_run.copy(tmp_path_factory.mktemp("studied") / "project")
    project.run("study", params=STUDY)
    return project


def table(project, name):
    return project.artifact(f"study.{name}").load().filter(label="group", probe="linear")


def test_merged_and_split_classes_have_the_information_they_are_made_for(studied):
    found = table(studied, "synthetic")
    samples = studied.artifact("samples").load().filter(split="train")
    classes = samples["label_group"].n_unique()
    assert found.select("variable", "value").rows() == [("merged", 2), ("merged", classes), ("split", 1), ("split", 4)]
    shares = samples["label_group"].value_counts(normalize=True)["proportion"].to_numpy()
    full = -(shares * np.log2(shares)).sum()
    assert found["information"].to_list() == pytest.approx([found["entropy"][0], full, full, full])
    assert found["information"][0] <= 1
    assert found["conditional_entropy"][:3].to_list() == pytest.approx([0, 0, 0], abs=1e-9)
    assert found["conditional_entropy"][3] == pytest.approx(2, abs=0.1)
    assert found["accuracy"].is_between(0, 1).all()


def test_attributes_are_studied_with_noise_and_with_missing_cells_which_affinity_faces_too(studied):
    found = table(studied, "degraded")
    assert found.select("method", "variable", "value").rows() == [
        ("attribute", "noise", 0.0),
        ("attribute", "noise", 0.5),
        ("attribute", "missing", 0.0),
        ("affinity", "missing", 0.0),
        ("attribute", "missing", 0.5),
        ("affinity", "missing", 0.5),
        ("attribute", "missing one by one", 0.0),
        ("affinity", "missing one by one", 0.0),
        ("attribute", "missing one by one", 0.5),
        ("affinity", "missing one by one", 0.5),
    ]
    whole, halved = (found.filter(method="attribute", value=value)["unclustered_share"] for value in (0.0, 0.5))
    assert whole.unique().len() == 1  # nothing is deleted in either form
    assert (halved[1:] > whole[1:] + 0.1).all()
    assert halved[2] > halved[1]  # a sample has a cluster only where all its attributes are known
    assert found["chosen"].to_list() == [True, False, True, False, False, False, True, False, False, False]


@pytest.mark.parametrize(
    "clustering",
    [
        {"rule": "mixed_k_means", "attributes": ["tags"]},
        {"attributes": ["has_skin_tones", "is_zwj"], "granularities": [2], "granularity": 2},
    ],
    ids=["columns as they are", "columns that are binary"],
)
def test_columns_are_made_worse_as_they_are_where_the_rule_knows_no_other_form(clustering, full_run, tmp_path):
    project = full_run.copy(tmp_path / "project")
    study = {"epochs": 1, "noise": [0.0, 0.2, 1.0], "missing": [0.5]}
    project.run("study", node_names=["study.degraded"], params={"study": study, "clustering": clustering})
    found = table(project, "degraded").select("method", "variable", "value").rows()
    assert found == [
        ("attribute", "noise", 0.0),
        ("attribute", "noise", 1.0),  # and none of 0.2, which is no whole column
        ("attribute", "missing", 0.5),
        ("affinity", "missing", 0.5),
    ]


@pytest.fixture
def settings(monkeypatch):
    """The settings of a study, which is not trained."""
    found = []

    def note(setting, *_):
        found.append(setting)
        return pl.DataFrame({"checkpoint": ["none"]})

    monkeypatch.setattr(nodes, "run_setting", note)
    return found


def test_a_granularity_of_more_attributes_than_deleted_cells_leave_takes_all(full_run, tmp_path, settings):
    project = full_run.copy(tmp_path / "project")
    most = project.artifact("binary_attributes").load().width - 1  # beside sample_id
    clustering = {"granularities": [2, most], "granularity": most}
    study = {"noise": [], "missing": [0.0, 0.5]}
    project.run("study", node_names=["study.degraded"], params={"study": study, "clustering": clustering})
    whole, half = (setting for setting in settings if (setting.method, setting.variable) == ("affinity", "missing"))
    assert whole.side.attributes.shape[1] == most
    assert 2 < half.side.attributes.shape[1] < most  # the rarer ones are no attributes any more
    held = half.side.attributes.nan_to_num(0)
    for name in np.unique(half.clusters[half.clusters >= 0]):  # by all that are left, a cluster is one combination
        assert len(held[half.clusters == name].unique(dim=0)) == 1
    assert len(np.unique(half.clusters)) > 2


def test_deletion_that_leaves_no_attribute_is_refused_by_name(full_run, tmp_path, settings):
    project = full_run.copy(tmp_path / "project")
    study = {"noise": [], "missing": [1.0]}
    with pytest.raises(InputError, match=r"study\.missing: with a share of 1 deleted no binary attribute is left"):
        project.run("study", node_names=["study.degraded"], params={"study": study})


def test_every_granularity_is_trained_with_either_sampler_and_the_configured_one_marked(studied):
    found = table(studied, "granularities")
    names = ["granularity, uniform batches"] * 3 + ["granularity, cluster_aware batches"] * 3
    assert found["variable"].to_list() == names
    assert found["value"].to_list() == [2, 5, 10] * 2
    assert found["chosen"].to_list() == [False, False, False, False, True, False]
    assert found["partner_share"][3:].sum() > found["partner_share"][:3].sum()
    report = studied.artifact("cluster_report").load()["granularities"]
    expected, by_chance = (
        [found_at["labels"]["group"][name] for found_at in report] for name in ("I(Z;T)", "I(Z;T) shuffled")
    )
    assert found["information"].to_list() == pytest.approx(expected * 2)
    assert found["information_shuffled"].to_list() == pytest.approx(by_chance * 2, abs=0.1)


def test_other_sizes_and_temperatures_are_studied(studied):
    found = table(studied, "batches")
    assert found.select("variable", "value").rows() == [("batch size", 16), ("temperature", 0.2)]


def test_all_classes_are_trained_once_whether_merged_or_split(studied):
    found = table(studied, "synthetic")
    assert found["checkpoint"][1] == found["checkpoint"][2]


def test_the_figure_takes_in_the_tables_of_other_seeds(studied, monkeypatch):
    drawn = []
    monkeypatch.setattr(nodes, "study_figure", lambda *shown: drawn.append(shown) or study_figure(*shown))
    before = studied.lineage("study.batches").version
    studied.run("study", params=STUDY | {"seed": 1})
    [(shown, label)] = drawn
    by_seed = shown.partition_by("seed", as_dict=True)
    assert (label, set(by_seed)) == ("group", {(0,), (1,)})
    settings = [table.drop("seed").select("method", "variable", "value", "probe").rows() for table in by_seed.values()]
    assert settings[0] == settings[1]
    assert set(shown["variable"]) == {name for study in STUDIES for name in table(studied, study)["variable"]}
    assert [record.version for record in studied.lineage("study.plot").repeats["study.batches"]] == [before]


def test_what_was_made_from_what_and_nothing_is_left_behind(studied):
    assert set(studied.lineage("study.plot").inputs) == {"samples", *(f"study.{name}" for name in STUDIES)}
    checkpoints = studied.path / "data/06_models/study/checkpoints"
    assert list(checkpoints.iterdir()) == []


def test_both_labels_and_all_probes_are_there(studied):
    found = studied.artifact("study.granularities").load()
    cells = found.select("label", "probe").unique().sort("label", "probe").rows()
    assert cells == [(label, probe) for label in ("group", "subgroup") for probe in ("knn", "linear", "linear_10%")]
    assert found["accuracy"].is_between(0, 1, closed="both").all()
    assert found["validation_accuracy"].is_between(0, 1, closed="both").all()
    assert found.schema["value"] == pl.Float64


def test_granularities_that_the_clusters_were_not_made_for_are_named(studied):
    params = {"clustering": {"granularities": [2, 7], "granularity": 2}}
    with pytest.raises(
        InputError, match=r"clustering.granularities: 7 is not .* top_2, top_5, top_10.* clustering again"
    ):
        studied.run("study", node_names=["study.granularities"], params=params)


def test_an_unknown_label_is_named(studied):
    with pytest.raises(InputError, match=r"study.label: colour .* there are: group, subgroup"):
        studied.run("study", node_names=["study.synthetic"], params={"study": {"label": "colour"}})


def test_batches_that_the_train_split_does_not_fill_are_left_out_and_named(studied, caplog):
    study = {**STUDY["study"], "batch_sizes": [8, 4096], "temperatures": []}
    studied.run("study", node_names=["study.batches"], params={**STUDY, "study": study})
    assert table(studied, "batches")["value"].to_list() == [8]
    assert "study.batch_sizes: 4096 left out, more than the" in caplog.text


def test_nothing_but_batches_that_are_too_large_is_refused(studied, monkeypatch):
    monkeypatch.setattr(nodes, "run_setting", None)
    params = {"study": {"batch_sizes": [4096], "temperatures": []}}
    with pytest.raises(InputError, match=r"study.batch_sizes: all are more than the \d+ samples of the train split"):
        studied.run("study", node_names=["study.batches"], params=params)


def test_batches_that_an_anchor_and_its_partners_fill_are_named_before_any_training(studied, monkeypatch):
    monkeypatch.setattr(nodes, "run_setting", None)
    params = {"study": {"batch_sizes": [4, 16]}, "training": {"sampler": {"partners": 4}}}
    with pytest.raises(InputError, match=r"study.batch_sizes: an anchor and its 4 partners .* in a batch of 4"):
        studied.run("study", node_names=["study.batches"], params=params)


@pytest.mark.parametrize("empty", [("noise", "missing"), ("batch_sizes", "temperatures")])
def test_a_study_of_nothing_is_refused(empty):
    with pytest.raises(ValueError, match=f"{empty[0]} and {empty[1]} are empty, and are one study"):
        nodes.StudyConfig(**dict.fromkeys(empty, ()))
    nodes.StudyConfig(**{empty[0]: ()})
