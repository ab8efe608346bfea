import gc
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.exceptions import ComputeError
from polars.testing import assert_frame_equal

from weakcl_pipeline.attributes import columns
from weakcl_pipeline.attributes.coded import Coded
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.sources import IngestionConfig, Table, read_samples, staging
from weakcl_pipeline.sources.staging import Staging

TABLE = pl.DataFrame(
    {
        "text": ["a", None, "c", "d", "e"],
        "flag": [True, None, False, None, True],
        "words": [["x", "y"], None, [], ["x"], ["z"]],
        "vector": pl.Series([[0.5, 1], None, [2, 3], [4, 5], [6, 7]], dtype=pl.Array(pl.Float32, 2)),
    }
)
CONFIG = IngestionConfig(
    id_column="id",
    image_column="image",
    split_column="split",
    labels=("label",),
    undeclared="infer",
    attributes={"words": {"kind": "tags", "separator": ","}},
)


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The folder of temporary files."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("rows", [1, 2, 5, 100])
def test_columns_come_back_in_their_order_whatever_is_read_at_once(rows, monkeypatch):
    monkeypatch.setattr(staging, "_ROWS", rows)
    staged = Staging()
    for column in TABLE.select("text", "flag"):
        staged.add(column.name, [column])
    staged.add("words", [TABLE["words"]])
    staged.add("vector", [TABLE["vector"]])
    assert_frame_equal(staged.scan().collect(), TABLE)
    assert_frame_equal(staged.scan().select("vector", "text").collect(engine="streaming"), TABLE["vector", "text"])
    assert staged.scan().select(pl.len()).collect().item() == TABLE.height
    assert_frame_equal(staged.scan().filter(pl.col("flag")).head(1).collect(), TABLE.head(1))


def test_columns_of_few_values_come_back_as_they_were(monkeypatch):
    values = pl.Series("words", [["x", "y"], [], ["x"]])
    places = pl.Series([2, None, 0, 0, 1], dtype=pl.Int32)
    monkeypatch.setattr(columns, "ROWS_AT_ONCE", 2)
    for few in (1 << 16, 2):
        monkeypatch.setattr(staging, "_FEW", few)
        staged = Staging()
        staged.add("text", columns.in_parts(TABLE["text"]))
        staged.add_coded(Coded(values, places))
        staged.add_coded(Coded(TABLE["flag"]))
        assert staged.columns == ["text", "words", "flag"]
        expected = TABLE.select("text", pl.Series("words", [["x"], None, ["x", "y"], ["x", "y"], []]), "flag")
        assert_frame_equal(staged.scan().collect(), expected)


def test_the_files_go_with_the_last_frame_that_needs_them(temporary):
    staged = Staging()
    staged.add("text", [TABLE["text"]])
    frame = staged.scan()
    del staged
    gc.collect()
    assert frame.collect().height == TABLE.height
    del frame
    gc.collect()
    assert not list(temporary.iterdir())


def test_nothing_stays_behind_of_a_table_that_cannot_be_read(temporary):
    file = temporary / "broken.csv"
    file.write_text("id,image,split,label,words\n" + "a,a.png,train,x,u\n" * 3 + "b,b.png\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"row 3 .*2 cells, but the table has 5 columns"):
        read_samples(Table(path=str(file)).scan(), CONFIG)
    gc.collect()
    assert [path.name for path in temporary.iterdir()] == ["broken.csv"]


@given(
    cells=st.lists(
        st.tuples(
            st.sampled_from(["yes", "no", ""]),
            st.sampled_from(["1", "2,5", "1000,25", "NA"]),
            st.sampled_from(["u", "u,v", "", "w"]),
        ),
        min_size=8,
        max_size=24,
    ),
    rows=st.integers(1, 9),
)
def test_samples_do_not_depend_on_what_is_read_and_written_at_once(cells, rows):
    raw = pl.DataFrame(cells, schema=["flag", "number", "words"], orient="row").with_columns(
        id=pl.row_index().cast(pl.String),
        image=pl.lit("a.png"),
        split=pl.Series([("train", "val", "test")[i // 2 % 3] for i in range(len(cells))]),
        label=pl.Series([("x", "y")[i % 2] for i in range(len(cells))]),
    )
    config = CONFIG.model_copy(update={"leak_tolerance": 0.0, "ignore": ("flag",)})

    def found():
        try:
            table, schema = read_samples(raw.lazy(), config)
        except InputError as error:
            return str(error)
        return table.collect(), schema

    with pytest.MonkeyPatch.context() as patch:
        whole = found()
        patch.setattr(staging, "_ROWS", rows)
        patch.setattr(columns, "ROWS_AT_ONCE", 2 * rows)
        parts = found()
    if isinstance(whole, str):
        assert parts == whole
    else:
        assert parts[1] == whole[1]
        assert_frame_equal(parts[0], whole[0])


def test_the_folder_is_private_to_the_user(temporary):
    staged = Staging()
    staged.add("text", [TABLE["text"]])
    (folder,) = temporary.iterdir()
    assert Path(folder).stat().st_mode & 0o077 == 0


def test_the_name_of_the_temporary_folder_is_no_pattern(tmp_path, monkeypatch):
    (tmp_path / "of [me]").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "of [me]"))
    staged = Staging()
    spooled = staged.spool(TABLE.lazy())
    assert spooled["text"].equals(TABLE["text"])


@pytest.mark.parametrize("writer", [(pl.LazyFrame, "sink_parquet"), (pq.ParquetWriter, "write_table")])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ComputeError("(os error 28)")])
def test_a_full_disk_is_no_damaged_table(temporary, monkeypatch, writer, error):
    file = temporary / "table.csv"
    rows = [f"{split}{label},a.png,{split},{label},u" for split in ("train", "val", "test") for label in "xy"]
    file.write_text("\n".join(["id,image,split,label,words", *rows]), encoding="utf-8")

    def full(*_, **__):
        raise error

    monkeypatch.setattr(*writer, full)
    with pytest.raises(InputError, match=rf"no room for a temporary copy .* in {temporary}\. .*TMPDIR"):
        read_samples(Table(path=str(file)).scan(), CONFIG)
