import polars as pl
import pytest

from weakcl_pipeline.errors import InputError
from weakcl_pipeline.images import Box, Part
from weakcl_pipeline.sources import IngestionConfig, pictures, read_samples

CONFIG = IngestionConfig(
    id_column="name",
    image_column="file",
    box_columns=("x", "y", "w", "h"),
    split_column="split",
    undeclared="infer",
    ignore=("file",),
)


def raw_table(**columns):
    table = {
        "name": ["a", "b", "c"],
        "file": ["a.png", "a.png", None],
        "split": ["train"] * 3,
        "x": [1, None, 3],
        "y": [0, None, 3],
        "w": [2.5, None, 3],
        "h": [9, None, 3],
        "colour": ["red", "blue", "red"],
    }
    return pl.DataFrame(table | columns, strict=False)


def test_a_row_with_a_box_is_a_part_and_one_without_is_whole():
    assert list(pictures(raw_table(), CONFIG)) == [Part("a.png", Box(1.0, 0.0, 2.5, 9.0)), "a.png", None]
    without = CONFIG.model_copy(update={"box_columns": None})
    assert list(pictures(raw_table(), without)) == ["a.png", "a.png", None]


@pytest.mark.parametrize("dtype", [pl.Categorical, pl.Enum(["a.png", ""])])
def test_paths_may_be_stored_as_categories(dtype):
    table = raw_table(file=["a.png", "a.png", ""])
    stored = table.with_columns(pl.col("file").cast(dtype))
    assert list(pictures(stored, CONFIG)) == list(pictures(table, CONFIG))
    samples, _ = read_samples(stored.lazy(), CONFIG)
    assert samples.collect()["image"].to_list() == ["a.png", "a.png", None]


def test_boxes_may_be_written_in_a_table_of_text():
    written = raw_table().cast(dict.fromkeys("xywh", pl.String)).with_columns(pl.col("x").fill_null("?"))
    assert list(pictures(written, CONFIG)) == list(pictures(raw_table(), CONFIG))
    read_samples(written.lazy(), CONFIG)


def test_boxes_that_are_all_null_are_no_boxes():
    empty = dict.fromkeys("xywh", [None] * 3)
    assert list(pictures(raw_table(**empty), CONFIG)) == ["a.png", "a.png", None]
    read_samples(raw_table(**empty).lazy(), CONFIG)


def test_nan_is_a_missing_number_of_a_box():
    nan = float("nan")
    raw = raw_table(x=[1, nan, 3], y=[0, nan, 3], w=[2.5, None, 3], h=[9, nan, 3])
    assert list(pictures(raw, CONFIG)) == list(pictures(raw_table(), CONFIG))
    read_samples(raw.lazy(), CONFIG)
    with pytest.raises(InputError, match="partly null in rows 0, 2"):
        read_samples(raw.with_columns(h=nan).lazy(), CONFIG)


def test_box_columns_are_no_attributes():
    samples, schema = read_samples(raw_table().lazy(), CONFIG)
    assert list(schema) == ["colour"]
    assert samples.collect()["sample_id"].to_list() == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"w": [[2], None, [3]]}, "column 'w' (ingestion.box_columns) has type List(Int64); it must hold numbers"),
        ({"w": ["2", None, "3 px"]}, "column 'w' (ingestion.box_columns) holds '3 px' in row 2 (counted from 0)"),
        ({"h": [None, None, 3]}, "partly null in row 0 (counted from 0). A box needs all four"),
        ({"x": [1, 1, 3]}, "partly null in row 1 (counted from 0)"),
    ],
)
def test_boxes_that_cannot_be_used(columns, message):
    with pytest.raises(InputError) as error:
        read_samples(raw_table(**columns).lazy(), CONFIG)
    assert message in str(error.value)


def test_a_missing_box_column_is_named():
    with pytest.raises(InputError, match=r"no column 'h', which ingestion.box_columns names"):
        read_samples(raw_table().drop("h").lazy(), CONFIG)
