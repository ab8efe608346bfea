import polars as pl
import pyarrow as pa
import pytest
from pyarrow import parquet

from weakcl_pipeline.errors import InputError
from weakcl_pipeline.sources import Table

TABLE = pl.DataFrame({"id": ["a", "b", "c"], "n": [1, 2, 3]})


def partitioned(folder):
    for value, part in (("x", TABLE.head(1)), ("y", TABLE.tail(2))):
        (folder / f"kind={value}").mkdir(parents=True)
        part.write_parquet(folder / f"kind={value}" / "0.parquet")
    return Table(path=folder.as_posix())


def test_a_file_is_read_as_it_is(tmp_path):
    TABLE.write_parquet(tmp_path / "t.pq")
    assert Table(path=(tmp_path / "t.pq").as_posix()).scan().collect().equals(TABLE)


def test_folders_named_by_a_value_are_a_column(tmp_path):
    table = partitioned(tmp_path / "t")
    assert table.scan().collect().rows() == [("a", 1, "x"), ("b", 2, "y"), ("c", 3, "y")]
    assert list(table.files()) == ["table/kind=x/0.parquet", "table/kind=y/0.parquet"]


@pytest.mark.parametrize("name", ["table[1].parquet", "v?.parquet", "*.parquet", "{a,b}.parquet"])
def test_the_name_of_a_file_is_no_pattern(tmp_path, name):
    folder = tmp_path / "set [v2]"
    folder.mkdir()
    TABLE.tail(1).write_parquet(folder / "v2.parquet")
    TABLE.write_parquet(folder / name)
    assert Table(path=(folder / name).as_posix()).scan().collect().equals(TABLE)


def test_the_name_of_a_folder_is_no_pattern(tmp_path):
    table = partitioned(tmp_path / "set [v2]" / "t*")
    partitioned(tmp_path / "set [v2]" / "t2")
    assert table.scan().collect().rows() == [("a", 1, "x"), ("b", 2, "y"), ("c", 3, "y")]


def test_what_is_read_below_a_folder_are_its_files(tmp_path):
    table = partitioned(tmp_path / "t")
    (tmp_path / "t/kind=y").rename(tmp_path / "elsewhere")
    (tmp_path / "t/kind=y").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "t/kind=x/empty.parquet").mkdir()
    (tmp_path / "t/kind=x/_SUCCESS").touch()
    assert table.scan().collect().rows() == [("a", 1, "x"), ("b", 2, "y"), ("c", 3, "y")]
    assert list(table.files()) == ["table/kind=x/0.parquet", "table/kind=y/0.parquet"]


def test_a_folder_without_tables_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"there is no file \*.parquet in this folder"):
        Table(path=tmp_path.as_posix()).scan()


def test_files_that_differ_are_refused_by_name(tmp_path):
    table = partitioned(tmp_path / "t")
    TABLE.with_columns(pl.col("n").cast(pl.String)).write_parquet(tmp_path / "t/kind=y/0.parquet")
    with pytest.raises(InputError, match=r"kind=y/0.parquet: column 'n' is String, but Int64 in .*kind=x/0.parquet"):
        table.scan()
    TABLE.drop("n").write_parquet(tmp_path / "t/kind=y/0.parquet")
    with pytest.raises(InputError, match="column 'n' is missing, but Int64 in"):
        table.scan()


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"PAR1" + b"x" * 90 + b"PAR1"])
def test_what_is_no_parquet_is_refused(tmp_path, content):
    (tmp_path / "t.parquet").write_bytes(content)
    with pytest.raises(InputError, match=r"t.parquet: not a table in Parquet"):
        Table(path=(tmp_path / "t.parquet").as_posix()).scan()


@pytest.mark.parametrize(
    "column", [pa.array([["x"]], pa.list_view(pa.string())), pa.array([0], pa.timestamp("us", "Nowhere/Nix"))]
)
def test_a_column_of_a_type_that_is_not_read_is_refused(tmp_path, column):
    parquet.write_table(pa.table([["a"], column], ["id", "odd"]), tmp_path / "t.parquet")
    with pytest.raises(
        InputError, match=r"t.parquet: not a table in Parquet: its columns cannot be read, or have types"
    ):
        Table(path=(tmp_path / "t.parquet").as_posix()).scan()
