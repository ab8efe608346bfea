"""New samples, clustered and embedded by what an earlier run fitted and trained."""

import numpy as np
import polars as pl
import pytest

from weakcl_pipeline.errors import InputError

OLD = "data/01_raw/emoji/emoji.parquet"
NEW = "data/01_raw/new_samples.parquet"
NOT_NEEDED = ["split", "group", "subgroup", "codepoints"]


def new_table(project):
    """The old rows without split, label and group, mixed with new ones, one of them broken."""
    old = pl.read_parquet(project.path / OLD).drop(NOT_NEEDED)
    named = pl.concat_str(pl.lit("new "), "image_id").alias("image_id")
    same = old[:8].with_columns(named)
    unheard = old[8:10].with_columns(named, pl.lit(["unheard"]).alias("tags"), pl.lit("nobody").alias("vendor"))
    broken = old[10:11].with_columns(named, image=pl.lit(b"no picture"))
    missing = old[11:12].with_columns(named, pl.lit(None, dtype=old.schema["tags"]).alias("tags"))
    return pl.concat([same, old, unheard, broken, missing])


@pytest.fixture(scope="module")
def applied(full_run, tmp_path_factory):
    project = full_run.copy(tmp_path_factory.mktemp("applied") / "project")
    new_table(project).write_parquet(project.path / NEW)
    project.run("apply")
    return project


def test_old_rows_keep_their_clusters_and_new_ones_get_those_of_the_same_attributes(applied):
    old, new = applied.artifact("clusters").load(), applied.artifact("applied.clusters").load()
    assert new.columns == old.columns
    assert old.join(new, on="sample_id", how="semi").equals(old)
    assert new.join(old, on="sample_id", how="semi", maintain_order="left").equals(old)
    again = new[:8].with_columns(pl.col("sample_id").str.strip_prefix("new "))
    assert again.equals(old[:8])


def test_any_rule_runs_from_the_pictures_to_the_report_and_on_to_new_samples(applied, tmp_path):
    project = applied.copy(tmp_path / "project")
    rule = {"name": "merge_small", "of": "mixed_k_means", "min_size": 5}
    params = {"clustering": {"rule": rule, "attributes": ["tags", "vendor", "unicode_version"], "granularity": "auto"}}
    project.run("full", params=params)
    assert project.artifact("cluster_report").load()["rule"] == "merge_small"
    assert project.artifact("report").load().startswith("<!")
    project.run("apply")
    old, new = project.artifact("clusters").load(), project.artifact("applied.clusters").load()
    assert new.join(old, on="sample_id", how="semi", maintain_order="left").equals(old)
    sizes = old.join(project.artifact("samples").load(), on="sample_id").filter(split="train")["cluster"].value_counts()
    assert sizes.drop_nulls("cluster")["count"].min() >= 5


def test_what_the_rule_never_saw_has_no_cluster(applied):
    new = applied.artifact("applied.clusters").load()
    assert new[-3:].drop("sample_id").null_count().row(0) == (3, 3, 3, 3)


def test_embeddings_are_those_of_the_encoder_that_evaluation_used(applied):
    old, new = (applied.artifact(f"{name}.embeddings").load() for name in ("attribute", "applied"))
    assert new["sample_id"].equals(applied.artifact("applied.clusters").load()["sample_id"])
    both = old.join(new, on="sample_id", how="left", maintain_order="left")
    np.testing.assert_allclose(both["embedding_right"].to_numpy(), both["embedding"].to_numpy(), atol=2e-2)


def test_no_row_is_lost_and_the_summary_counts_them(applied):
    quarantine, summary = (applied.artifact(f"applied.{name}").load() for name in ("quarantine", "summary"))
    rows = pl.read_parquet(applied.path / NEW)
    assert quarantine["sample_id"].to_list() == [rows["image_id"][-2]]
    accepted = applied.artifact("applied.samples").load()
    assert accepted["sample_id"].to_list() == [name for name in rows["image_id"] if name != rows["image_id"][-2]]
    assert applied.artifact("applied.attributes").load().collect()["sample_id"].equals(accepted["sample_id"])
    clusters = applied.artifact("applied.clusters").load()
    assert summary["rows"] == rows.height == summary["accepted"] + 1
    assert summary["clustered"]["cluster"] == clusters["cluster"].count()
    assert summary["method"] == "attribute"


def test_the_lineage_names_the_rule_and_the_encoder(applied):
    rule = applied.lineage("applied.clusters").inputs["cluster_rule"]
    assert rule.version == applied.versions("cluster_rule")[0]
    encoder = applied.lineage("applied.embeddings").inputs["applied.encoder"]
    assert encoder.version == applied.versions("attribute.encoder")[0]


def test_another_method_embeds_where_the_parameter_says_so(applied, tmp_path):
    project = applied.copy(tmp_path / "project")
    project.run("apply", params={"apply": {"method": "supervised"}})
    old, new = (project.artifact(f"{name}.embeddings").load() for name in ("supervised", "applied"))
    both = old.join(new, on="sample_id", how="left", maintain_order="left")
    np.testing.assert_allclose(both["embedding_right"].to_numpy(), both["embedding"].to_numpy(), atol=2e-2)
    with pytest.raises(InputError, match=r"applied.encoder has not been made yet.*06_models/cmc/encoder"):
        project.run("apply", params={"apply": {"method": "cmc"}})
    with pytest.raises(InputError, match=r"apply\.method: no method has this name.* Did you mean supervised\?"):
        project.run("apply", params={"apply": {"method": "supervized"}})


def test_a_rule_that_is_newer_than_what_the_encoder_was_trained_on_is_refused(applied, tmp_path):
    project = applied.copy(tmp_path / "project")
    project.run("clustering", params={"clustering": {"granularity": 2}})
    with pytest.raises(InputError, match="do not belong together") as refused:
        project.run("apply")
    assert f"cluster_rule:{project.versions('cluster_rule')[1]}" in str(refused.value)


def test_what_is_wrong_with_new_samples_is_said(applied, tmp_path):
    project = applied.copy(tmp_path / "project")
    table = new_table(project)
    wrong = {
        r"new_samples: there is no column 'tags', which ingestion.attributes.tags names": table.drop("tags"),
        r"new_samples: column 'image_id' .* repeats 1 ids": pl.concat([table, table[:1]]),
        r"new_samples: the table is empty": table[:0],
        r"column 'is_zwj', row 0 .* found 'perhaps'": table.with_columns(is_zwj=pl.lit("perhaps")),
    }
    for message, content in wrong.items():
        content.write_parquet(project.path / NEW)
        with pytest.raises(InputError, match=message):
            project.run("apply", node_names=["applied.type_samples"])
    (project.path / NEW).unlink()
    with pytest.raises(InputError, match=r"new_samples.parquet: there is no such file"):
        project.run("apply")


def test_pictures_of_another_size_than_the_encoders_are_refused(applied, tmp_path):
    project = applied.copy(tmp_path / "project")
    with pytest.raises(InputError, match=r"images.size: .* 24 px, but the encoder of 'attribute' .* 16 px"):
        project.run("apply", params={"images": {"size": 24}})
