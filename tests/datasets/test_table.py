import datetime
import json

import numpy as np
import polars as pl
import pytest

from weakcl_pipeline.datasets import TableDataset
from weakcl_pipeline.datasets.preview import table_preview


@pytest.fixture
def dataset(tmp_path):
    return TableDataset(filepath=(tmp_path / "table.parquet").as_posix(), file_format="parquet")


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
        ["b", None, None, None, "0 bytes", "0.333, 0.333, 0.333, 0.333, 0.333, 0.333, ... (8)"],
    ]
    json.dumps(preview)
    assert len(dataset.preview(nrows=1)["data"]) == 1


def test_what_is_not_known_is_shown_as_it_is():
    day = datetime.date(2026, 1, 2)
    preview = table_preview(["day", "empty"], [(day, [])])
    assert preview == {"index": [0], "columns": ["day", "empty"], "data": [[day, ""]]}
    assert np.isnan(table_preview(["x"], [(float("nan"),)])["data"][0][0])
