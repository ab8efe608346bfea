from hashlib import sha256
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from tests.attributes.rules.test_rules import KS, RULES, SPECS, TRAIN, table
from weakcl_pipeline.attributes import (
    ClusteringConfig,
    FittedClustering,
    FittingData,
    clustering,
    granularity,
    specs_of,
)
from weakcl_pipeline.contrastive.trainer import TrainingConfig
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.pipelines.clustering import create_pipeline
from weakcl_pipeline.sources import IngestionConfig, read_samples

ROOT = Path(__file__).parents[3]
ROWS = 120


def inputs():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 3, ROWS)
    words = [[f"l{c}"] * (rng.random() < 0.8) + [f"n{i}" for i in range(4) if rng.random() < 0.3] for c in label]
    ids = [f"s{i}" for i in range(ROWS)]
    splits = ["train"] * 80 + ["val"] * 20 + ["test"] * 20
    return {
        "samples": pl.DataFrame(
            {
                "sample_id": ids,
                "split": splits,
                "label_class": [None if i == 3 else f"c{c}" for i, c in enumerate(label)],
            }
        ),
        "attributes": pl.DataFrame(
            {"sample_id": ids, "split": splits, "words": words, "flag": [i % 2 == 0 for i in range(ROWS)]}
        ),
        "attribute_schema": {
            "words": {"kind": "tags", "min_count": 2, "inferred": True, "missing": 0},
            "flag": {"kind": "bool", "inferred": True, "missing": 0},
        },
        "params:clustering": ClusteringConfig(attributes=("words",), granularities=(2, 4, 7)),
        "params:training": TrainingConfig(epochs=1, batch_size=16),
        "params:seed": 5,
    }


def run(given):
    """Every artifact of the stage, its nodes run in order."""
    artifacts = dict(given)
    for node in create_pipeline().nodes:
        made = node.run({name: artifacts[name] for name in node.inputs})
        artifacts |= {
            name: value.collect() if isinstance(value, pl.LazyFrame) else value for name, value in made.items()
        }
    return artifacts


@pytest.fixture(scope="module")
def out():
    return run(inputs())


def test_rows_stay_in_the_order_of_the_samples(out):
    ids = [f"s{i}" for i in range(ROWS)]
    assert out["binary_attributes"]["sample_id"].to_list() == ids
    assert out["clusters"]["sample_id"].to_list() == ids


def test_only_the_configured_attributes_take_part(out):
    assert out["binary_attributes"].columns[1:] == [
        "words=l0", "words=l1", "words=l2", "words=n0", "words=n1", "words=n2", "words=n3",
    ]  # fmt: skip


def test_every_split_gets_a_cluster(out):
    assert out["clusters"].columns == ["sample_id", "top_2", "top_4", "top_7", "cluster"]
    assert out["clusters"].null_count().sum_horizontal().item() == 0


def test_the_report_holds_every_figure(out):
    report = out["cluster_report"]
    assert report["chosen"] in ("top_2", "top_4", "top_7")
    assert out["clusters"]["cluster"].equals(out["clusters"][report["chosen"]])
    for entry in report["granularities"]:
        train = out["clusters"][entry["column"]][:80]
        assert entry["clusters"] == train.n_unique()
        assert 0 <= entry["partner_share_uniform"] <= 1
        assert 0 < entry["partner_share_cluster_aware"] <= 1
        figures = entry["labels"]["class"]
        assert figures["samples"] == 79
        assert figures["I(Z;T) shuffled"] < figures["I(Z;T)"]
    assert report["granularities"][-1]["labels"]["class"]["I(Z;T)"] > 1
    fine = report["granularities"][-1]
    assert fine["partner_share_cluster_aware"] > fine["partner_share_uniform"]
    assert [item["name"] for item in report["attributes"]][:3] != []
    assert sum(item["size"] for item in report["largest_clusters"]) <= 80
    assert len(out["cluster_plot"].axes) == 4


def test_the_same_data_parameters_and_seed_give_the_same_artifacts(out):
    again = run(inputs())
    assert again["cluster_report"] == out["cluster_report"]
    assert again["clusters"].equals(out["clusters"])
    other_seed = run(inputs() | {"params:seed": 6})
    assert other_seed["clusters"].equals(out["clusters"])
    assert other_seed["cluster_report"] != out["cluster_report"]


def test_the_report_names_the_granularity_that_trains_where_it_was_chosen_by_some_of_the_rows(monkeypatch):
    by_all = run(inputs())["cluster_report"]["chosen_granularity"]
    monkeypatch.setattr(clustering, "_COMPARED", 30)
    monkeypatch.setattr(granularity, "_SMALL", 2)  # clusters of 80 samples are all small
    chosen = {}
    for seed in range(8):
        found = run(inputs() | {"params:seed": seed})
        chosen[seed] = FittedClustering.from_state(*found["cluster_rule"]).chosen
        assert found["cluster_report"]["chosen_granularity"] == chosen[seed]
    assert set(chosen.values()) != {by_all}  # or the test tells nothing


def test_the_fitted_rule_gives_the_clusters_whatever_rows_are_added(out):
    rule = FittedClustering.from_state(*out["cluster_rule"])
    old = out["attributes"]
    new = pl.DataFrame({"sample_id": ["n0", "n1"], "split": "test", "words": [["unheard"], None], "flag": [True, None]})
    clusters = rule.assign(pl.concat([new, old]))
    assert clusters[2:].equals(out["clusters"].drop("sample_id"))
    assert clusters["top_7"][1] is None
    assert rule.chosen == out["cluster_report"]["chosen_granularity"]


def test_rows_added_outside_train_leave_the_clusters_of_the_train_split_when_fitted_anew(out):
    more = inputs()
    renamed = pl.concat_str(pl.lit("more"), "sample_id").alias("sample_id")
    for name in ("samples", "attributes"):
        more[name] = pl.concat([more[name], more[name].with_columns(renamed, split=pl.lit("test"))])
    assert run(more)["clusters"][:80].equals(out["clusters"][:80])


def report_with(out, **clustering):
    """Report the clusters with other parameters than they were made with."""
    [node] = [node for node in create_pipeline().nodes if node.name == "report_clusters"]
    changed = out | {"params:clustering": ClusteringConfig(attributes=("words",), **clustering)}
    return node.run({name: changed[name] for name in node.inputs})


def test_granularities_that_the_clusters_were_not_made_for_are_named(out):
    more = (out["cluster_report"]["chosen_granularity"], 5)
    with pytest.raises(InputError, match=r"clustering.granularities: 5 is not .* top_2, top_4, top_7.* clustering"):
        report_with(out, granularities=more)


def test_a_report_is_of_the_choice_that_the_clusters_were_made_with(out):
    chosen = out["cluster_report"]["chosen_granularity"]
    others = tuple({2, 4, 7} - {chosen})
    assert report_with(out, granularities=(chosen,))["cluster_report"]["chosen_granularity"] == chosen
    for changed in ({"granularities": others}, {"granularities": (2, 4, 7), "granularity": others[0]}):
        asked = str(changed.get("granularity", f"{min(others)}, {max(others)}"))
        with pytest.raises(
            InputError, match=rf"training uses top_{chosen} of them, .* ask for top_entropy at {asked}\."
        ):
            report_with(out, **changed)
    with pytest.raises(InputError, match=r"made by the rule top_entropy, .* ask for top_entropy_present at"):
        report_with(out, granularities=(2, 4, 7), rule="top_entropy_present")


def test_no_label_is_looked_at():
    unlabelled = inputs()
    labelled = run(inputs())
    unlabelled["samples"] = unlabelled["samples"].drop("label_class")
    found = run(unlabelled)
    assert found["clusters"].equals(labelled["clusters"])
    assert found["cluster_report"]["labels"] == []


def test_nodes_and_artifacts_have_their_names():
    pipeline = create_pipeline()
    assert {node.name for node in pipeline.nodes} == {"form_clusters", "report_clusters"}
    assert pipeline.inputs() == {
        "samples", "attributes", "attribute_schema", "params:clustering", "params:training", "params:seed",
    }  # fmt: skip
    assert pipeline.outputs() == {"cluster_report", "cluster_plot"}
    assert all(node.tags == {"clustering"} for node in pipeline.nodes)


def test_the_emoji_parameters_are_valid():
    text = (ROOT / "conf/base/parameters_clustering.yml").read_text(encoding="utf-8")
    config = ClusteringConfig.model_validate(yaml.safe_load(text)["clustering"])
    assert config.attributes == ("tags",)
    assert config.granularity == "auto"


@pytest.mark.parametrize(
    ("rule", "columns", "digest"),
    [
        ("top_entropy", ("tags",), "dbcd613094ce59a08c2c51f313a4d05636367ef1afb6d651f1c9a04eed6939b3"),
        ("top_entropy", None, "8bbb6ca1968b433f1f9b4b2c4cc44b7eaddaa3ce7ff07ff542aba489c5747b79"),
        ("top_entropy_present", ("tags",), "f36c325ec6eb6aae9743c4f9758e4db5443770650324ecb649b632f8347300a1"),
        ("top_entropy_present", None, "8bbb6ca1968b433f1f9b4b2c4cc44b7eaddaa3ce7ff07ff542aba489c5747b79"),
    ],
)
def test_the_clusters_of_the_emoji_are_those_of_the_published_results(rule, columns, digest):
    text = (ROOT / "conf/base/parameters_ingestion.yml").read_text(encoding="utf-8")
    config = IngestionConfig.model_validate(yaml.safe_load(text)["ingestion"])
    table, schema = read_samples(pl.scan_parquet(ROOT / "data/01_raw/emoji/emoji.parquet"), config)
    table = table.collect()
    specs = {name: spec for name, spec in specs_of(schema).items() if columns is None or name in columns}
    data = FittingData(table.select(list(specs)), specs, (table["split"] == "train").to_numpy())
    fitted = ClusteringConfig(rule=rule).rule.fit(data, [5, 10, 20, 30, 50, 100, 200])
    found = sha256()
    for _, ids in sorted(fitted.assign(table).items()):
        found.update(ids.astype("<i8").tobytes())
    assert found.hexdigest() == digest


@pytest.mark.parametrize("name", RULES)
def test_every_rule_goes_through_the_stage_and_on_to_new_rows(name):
    attributes = table()
    ids = [f"s{i}" for i in range(attributes.height)]
    splits = ["train" if in_train else "test" for in_train in TRAIN]
    labels = np.random.default_rng(2).integers(0, 3, attributes.height)
    schema = {
        column: spec.model_dump(mode="json") | {"inferred": False, "missing": 0} for column, spec in SPECS.items()
    }
    out = run(
        {
            "samples": pl.DataFrame(
                {
                    "sample_id": ids,
                    "split": splits,
                    "label_class": [f"c{label}" for label in labels],
                }
            ),
            "attributes": attributes.with_columns(sample_id=pl.Series(ids), split=pl.Series(splits)),
            "attribute_schema": schema,
            "params:clustering": ClusteringConfig(rule={"name": name, **RULES[name]}, granularities=KS, shuffles=2),
            "params:training": TrainingConfig(epochs=1, batch_size=16),
            "params:seed": 5,
        }
    )
    report = out["cluster_report"]
    assert report["rule"] == name
    assert (
        report["chosen_granularity"]
        == max(report["granularities"], key=lambda entry: (entry["bits_learned"], -entry["granularity"]))["granularity"]
    )
    out["cluster_plot"].canvas.draw()
    assert report["granularity_is"] in out["cluster_plot"].axes[0].get_xlabel()
    rule = FittedClustering.from_state(*out["cluster_rule"])
    new = table(missing=0.4, seed=9)
    assert rule.assign(pl.concat([new, attributes]))[new.height :].equals(out["clusters"].drop("sample_id"))


def test_a_table_of_vectors_alone_has_no_binary_attributes_and_is_clustered_all_the_same():
    given = inputs()
    vectors = np.random.default_rng(0).normal(size=(ROWS, 4))
    given["attributes"] = given["attributes"].select(
        "sample_id", "split", v=pl.Series(vectors, dtype=pl.Array(pl.Float32, 4))
    )
    given["attribute_schema"] = {"v": {"kind": "vector", "inferred": False, "missing": 0}}
    given["params:clustering"] = ClusteringConfig(rule="vectors", granularities=(3, 6))
    found = run(given)
    assert found["binary_attributes"].columns == ["sample_id"]
    assert found["clusters"]["top_6"].n_unique() == 6
    assert found["cluster_report"]["attributes"] == []
    assert sum(item["size"] for item in found["cluster_report"]["largest_clusters"]) == 80
