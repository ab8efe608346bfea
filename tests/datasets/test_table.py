import datetime
import json

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

from weakcl_pipeline.datasets import LazyTableDataset, TableDataset
from weakcl_pipeline.datasets.preview import table_preview
from weakcl_pipeline.files import sha256_of


@pytest.fixture
def dataset(tmp_path):
    (tmp_path / "a [b] *").mkdir(exist_ok=True)  # which is no pattern
    return TableDataset(filepath=(tmp_path / "a [b] */table.parquet").as_posix())


TABLE = pl.DataFrame(
    {
        "sample_id": ["a", "b"],
        "count": pl.Series([1, None], dtype=pl.Int32),
        "flag": [True, None],
        "tags": [["x", "y"], None],
        "image": [b"12345", b""],
        "embedding": pl.Series([[0.25] * 8, [1 / 3] * 8], dtype=pl.Array(pl.Float32, 8)),
    }
)


def test_table_comes_back_with_its_types_and_nulls(dataset):
    dataset.save(TABLE)
    loaded = dataset.load()
    assert loaded.schema == TABLE.schema
    assert loaded.equals(TABLE)


def test_preview_is_json_in_which_nothing_changes_its_type(dataset):
    dataset.save(TABLE)
    preview = dataset.preview(nrows=2)
    assert preview["columns"] == TABLE.columns
    assert preview["data"] == [
        ["a", 1, True, "x, y", "5 bytes", "0.25, 0.25, 0.25, 0.25, 0.25, 0.25, ... (8)"],
        ["b", None, None, None, "0 bytes", "0.3333, 0.3333, 0.3333, 0.3333, 0.3333, 0.3333, ... (8)"],
    ]
    json.dumps(preview)
    assert len(dataset.preview(nrows=1)["data"]) == 1


def test_what_is_not_known_is_shown_as_it_is():
    day = datetime.date(2026, 1, 2)
    preview = table_preview(["day", "empty"], [(day, [])])
    assert preview == {"index": [0], "columns": ["day", "empty"], "data": [[day, ""]]}
    assert np.isnan(table_preview(["x"], [(float("nan"),)])["data"][0][0])


def test_fractions_are_shown_to_four_digits():
    row = (1 / 3, 123456.789, 1 / 3e6, -2.00004, 7, float("inf"))
    assert table_preview([*"abcdef"], [row])["data"] == [[0.3333, 123456.789, 3.333e-7, -2.0, 7, float("inf")]]


@pytest.fixture
def lazy_dataset(tmp_path):
    (tmp_path / "a [b] *").mkdir(exist_ok=True)
    return LazyTableDataset(filepath=(tmp_path / "a [b] */table.parquet").as_posix())


@pytest.mark.parametrize("table", [TABLE, TABLE.lazy()])
def test_a_lazy_table_comes_back_unread_with_its_types_and_nulls(lazy_dataset, table):
    assert not lazy_dataset.exists()
    lazy_dataset.save(table)
    loaded = lazy_dataset.load()
    assert lazy_dataset.exists()
    assert isinstance(loaded, pl.LazyFrame)
    assert loaded.collect().equals(TABLE)
    assert loaded.collect_schema() == TABLE.schema


def test_a_lazy_table_is_shown_like_any_other(dataset, lazy_dataset):
    dataset.save(TABLE)
    lazy_dataset.save(TABLE)
    assert lazy_dataset.preview(nrows=1) == dataset.preview(nrows=1)


def test_the_same_rows_are_the_same_bytes_whatever_they_are_streamed_from(lazy_dataset, tmp_path):
    rows = 300_000
    numbers = np.random.default_rng(0).integers(0, 1000, rows)
    table = pl.DataFrame({"n": numbers, "text": pl.Series(numbers).cast(pl.String)})
    table.write_parquet(tmp_path / "in.parquet", row_group_size=10_000)
    written = set()
    for source in (
        table,
        table.lazy(),
        pl.scan_parquet(tmp_path / "in.parquet"),
        table.lazy().filter(pl.col("n") >= 0),
    ):
        lazy_dataset.save(source)
        written.add(sha256_of(tmp_path / "a [b] */table.parquet"))
    assert len(written) == 1
    assert pq.ParquetFile(tmp_path / "a [b] */table.parquet").num_row_groups == 3
