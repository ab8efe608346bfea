"""docs/results.md says what its metric tables say."""

import importlib.util
import json
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from scipy import stats

from weakcl_pipeline.datasets import Lineage

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def builder():
    spec = importlib.util.spec_from_file_location("build_results", ROOT / "docs/build_results.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_parts_are_those_of_the_tables(builder):
    assert builder.build() == (ROOT / "docs/results.md").read_text()


def test_every_picture_and_table_it_names_is_there():
    page = (ROOT / "docs/results.md").read_text()
    named = re.findall(r"\]\(([^)#:]+)\)", page)
    assert named
    assert [name for name in named if not (ROOT / "docs" / name).is_file()] == []


@pytest.fixture
def tables(builder, tmp_path, monkeypatch):
    for table in (ROOT / "docs/results").glob("*.csv"):
        (tmp_path / table.name).write_text(table.read_text())
    monkeypatch.setattr(builder, "TABLES", tmp_path)
    return tmp_path


def test_a_changed_table_changes_the_page(builder, tables):
    seeds = pl.read_csv(tables / "seeds.csv")
    chosen = (pl.col("method") == "attribute") & (pl.col("probe") == "linear") & (pl.col("label") == "group")
    seeds.with_columns(accuracy=pl.when(chosen).then(0.123).otherwise("accuracy")).write_csv(tables / "seeds.csv")
    (row,) = [line for line in builder.build().splitlines() if line.startswith("| Attributes | 12.3 / 12.3")]
    assert row not in (ROOT / "docs/results.md").read_text()


def test_commands_ask_for_the_protocol_that_claims_are_judged_by(builder, tables):
    asked = "--params=seed=$seed,evaluation.augmented_probe.epochs=100; done"
    claims = pl.read_csv(tables / "claims.csv")
    assert commands(builder)[0] == f"for seed in 0 1 2 3 4; do kedro run {asked}"
    assert all(command.endswith(asked) for command in commands(builder))
    claims.filter(pl.col("probe") != "augmented").write_csv(tables / "claims.csv")
    assert commands(builder)[0] == "for seed in 0 1 2 3 4; do kedro run --params=seed=$seed; done"


def commands(builder):
    """What the page says measures each claim."""
    found = re.search("<!-- begin: claims -->.*<!-- end: claims -->", builder.build(), flags=re.DOTALL)
    return re.findall("```bash\n(.*)\n```", found[0])


def test_a_method_without_a_rank_has_a_dash(builder, tables):
    comparison = pl.read_csv(tables / "comparison.csv")
    comparison.with_columns(rank=pl.lit(None)).write_csv(tables / "comparison.csv")
    assert re.search(r"\n\| Attributes \| 69\.\d ± \d\.\d \(\N{EN DASH}\) \|", builder.build())


def test_studies_are_told_by_their_differences(builder, tables):
    study = pl.read_csv(tables / "study.csv", infer_schema_length=None)
    aware = pl.col("variable") == "granularity, cluster_aware batches"
    rare = (pl.col("variable") == "missing") & (pl.col("value") == 0.3) & (pl.col("method") == "affinity")
    accuracy = pl.when(aware).then(0.52).when(rare).then(0.45).otherwise(0.5)
    study.with_columns(accuracy=accuracy, partner_share=pl.when(aware).then(0.9).otherwise(0.4)).write_csv(
        tables / "study.csv"
    )
    lines = builder.build().splitlines()
    cells = 8  # four on all labels and four on few; the means of both follow
    assert any(line.startswith(f"| 200 | 40 % | 90 % |{' +2.0 |' * cells}") for line in lines)
    losses = "| 30% of whole lists of hashtags"
    assert any(line.startswith(f"{losses} | Affinity |{' -5.0 |' * cells}") for line in lines)
    assert any(line.startswith(f"{losses} | Attributes |{' +0.0 |' * cells}") for line in lines)


def test_intervals_of_studies_are_over_seeds(builder, tables):
    study = pl.read_csv(tables / "study.csv", infer_schema_length=None)
    gains = {0: 0.01, 1: 0.02, 2: 0.015, 3: 0.03, 4: 0.01}  # of cluster-aware batches
    aware = pl.col("variable") == "granularity, cluster_aware batches"
    gained = pl.col("seed").replace_strict(gains, return_dtype=pl.Float64)
    study.with_columns(accuracy=0.5 + pl.when(aware).then(gained).otherwise(0)).write_csv(tables / "study.csv")
    (row,) = [line for line in builder.build().splitlines() if line.startswith("| 200 | 15 %")]
    expected = stats.ttest_1samp([100 * gain for gain in gains.values()], 0).confidence_interval(0.95)
    assert f"| **+1.7 ({expected.low:+.1f} to {expected.high:+.1f})** |" in row


def write(folder, name, content, **lineage):
    """Write an artifact's version, with the lineage of another run of it."""
    folder.mkdir(parents=True)
    if name.endswith(".json"):
        (folder / name).write_text(json.dumps(content))
    else:
        content.write_parquet(folder / name)
    Lineage(dataset="", version=folder.name, created=datetime.now(tz=UTC), files=(), **lineage).write(folder)


def metrics(seed, accuracy):
    probe = {"accuracy": accuracy, "validation_accuracy": accuracy}
    return {"seed": seed, "labels": {"kind": {"linear_probe": probe}}}


@pytest.fixture
def reporting(builder, tables, tmp_path, monkeypatch):
    """Artifacts of two seeds of one experiment, then of a longer one, of which only one seed was compared."""
    root = tmp_path / "08_reporting"
    monkeypatch.setattr(builder, "REPORTING", root)
    for version, seed, accuracy in (("1", 0, 0.1), ("2", 1, 0.2), ("3", 0, 0.9), ("4", 2, 0.8), ("5", 0, 0.3)):
        recipe = "long" if accuracy > 0.5 else "short"
        write(root / "attribute/metrics" / version, "metrics.json", metrics(seed, accuracy), seed=seed, recipe=recipe)
        varied = {"method": "attribute", "variable": "batch size", "value": 32, "label": "kind", "probe": "linear"}
        table = pl.DataFrame(varied | {"seed": [seed], "accuracy": [accuracy], "checkpoint": "x"})
        write(root / "study/batches" / version, "batches.parquet", table, seed=seed, recipe=recipe)
    for version, own, others in (("3", "3", []), ("5", "5", ["2"])):
        inputs = {"attribute.metrics": {"version": own}, "attribute.history": {"version": own}}
        made = {"inputs": inputs, "repeats": {"attribute.metrics": [{"version": other} for other in others]}}
        for name in ("comparison", "claims"):
            write(root / name / version, f"{name}.parquet", pl.DataFrame({"seeds": [[0, 1]], "of": version}), **made)
    return root


def collected(builder, tables, name):
    builder.collect()
    return pl.read_csv(tables / f"{name}.csv")


def test_the_seeds_are_those_of_the_newest_comparison(builder, tables, reporting):
    found = collected(builder, tables, "seeds")
    assert found.select("seed", "method", "accuracy").rows() == [(0, "attribute", 0.3), (1, "attribute", 0.2)]
    assert collected(builder, tables, "claims").rows() == [("0 1", 5)]


def test_a_study_is_of_one_experiment(builder, tables, reporting):
    assert collected(builder, tables, "study").select("seed", "accuracy").rows() == [(0, 0.3), (1, 0.2)]
    shutil.rmtree(reporting / "study/batches/5")
    assert collected(builder, tables, "study").select("seed", "accuracy").rows() == [(0, 0.9), (2, 0.8)]


def test_a_page_without_a_part_says_which(builder, tmp_path, monkeypatch):
    page = tmp_path / "results.md"
    page.write_text((ROOT / "docs/results.md").read_text().replace("<!-- end: study -->", ""))
    monkeypatch.setattr(builder, "PAGE", page)
    with pytest.raises(SystemExit, match="no part 'study'"):
        builder.build()
