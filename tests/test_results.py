"""docs/results.md says what its metric tables say."""

import importlib.util
import re
from pathlib import Path

import polars as pl
import pytest

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


def test_studies_are_told_by_their_differences(builder, tables):
    study = pl.read_csv(tables / "study.csv", infer_schema_length=None)
    aware = pl.col("variable") == "granularity, cluster_aware batches"
    rare = (pl.col("variable") == "missing") & (pl.col("value") == 0.3) & (pl.col("method") == "affinity")
    accuracy = pl.when(aware).then(0.52).when(rare).then(0.45).otherwise(0.5)
    study.with_columns(accuracy=accuracy, partner_share=pl.when(aware).then(0.9).otherwise(0.4)).write_csv(
        tables / "study.csv"
    )
    lines = builder.build().splitlines()
    cells = 10  # four on all labels, four on few, and the means of both
    assert f"| 200 | 40 % | 90 % |{' +2.0 |' * cells}" in lines
    assert f"| 30% of whole lists of hashtags | Affinity |{' -5.0 |' * cells}" in lines
    assert f"| 30% of whole lists of hashtags | Attributes |{' +0.0 |' * cells}" in lines


def test_a_page_without_a_part_says_which(builder, tmp_path, monkeypatch):
    page = tmp_path / "results.md"
    page.write_text((ROOT / "docs/results.md").read_text().replace("<!-- end: study -->", ""))
    monkeypatch.setattr(builder, "PAGE", page)
    with pytest.raises(SystemExit, match="no part 'study'"):
        builder.build()
