from io import BytesIO

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from weakcl_pipeline.errors import InputError
from weakcl_pipeline.sources import Table

TABLE = pl.DataFrame({"id": ["a", "b", "c"], "tags": [["x"], None, []]})


@pytest.mark.parametrize("name", ["t.arrow", "t.feather", "t.ipc"])
def test_ipc_files(tmp_path, name):
    TABLE.write_ipc(tmp_path / name)
    assert Table(path=(tmp_path / name).as_posix()).scan().collect().equals(TABLE)


def test_ipc_streams(tmp_path):
    TABLE.write_ipc_stream(tmp_path / "t.arrows")
    table = Table(path=(tmp_path / "t.arrows").as_posix()).scan()
    assert table.collect().equals(TABLE)
    assert table.select("id").filter(pl.col("id") > "a").head(1).collect().rows() == [("b",)]


def test_what_is_no_arrow_or_is_cut_is_refused(tmp_path):
    path = tmp_path / "t.arrow"
    table = Table(path=path.as_posix())
    for content in (b"", b"FEA1xxxx", b"a,b\n1,2\n", b"ARROW1\0\0rest"):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"t.arrow: not a table in Arrow"):
            table.scan()
    pl.DataFrame({"a": range(100_000)}).write_ipc_stream(path)
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(InputError, match=r"t.arrow, from row \d+ on \(counted from 0\): broken"):
        table.scan().collect()


@pytest.mark.parametrize("write", [pl.DataFrame.write_ipc, pl.DataFrame.write_ipc_stream])
def test_whatever_is_damaged_it_is_read_or_refused(tmp_path, write):
    written = BytesIO()
    write(
        pl.DataFrame({"id": [f"sample {i}" for i in range(50)], "tags": [["x"] * (i % 3) for i in range(50)]}), written
    )
    whole, path, draw = written.getvalue(), tmp_path / "t.arrow", np.random.default_rng(0)
    refusals = []
    for _ in range(200):
        content = bytearray(whole)
        for place in draw.integers(len(content), size=draw.choice([1, 3])):
            content[place] = draw.integers(256)
        path.write_bytes(content)
        try:
            Table(path=path.as_posix()).scan().collect()
        except InputError as error:
            refusals.append(str(error))
    assert refusals
    assert all("t.arrow" in refusal for refusal in refusals)


@pytest.mark.parametrize(
    "column",
    [
        pa.array([pa.MonthDayNano([1, 2, 3])]),
        pa.RunEndEncodedArray.from_arrays(pa.array([1], pa.int32()), ["x"]),
        pa.array([1], pa.decimal256(60, 2)),
        pa.array([["x"]], pa.list_view(pa.string())),
        pa.array([0], pa.timestamp("us", "Nowhere/Nix")),
        pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])]),
        pa.StructArray.from_arrays([pa.array([1]), pa.array([2])], ["x", "x"]),
    ],
    ids=lambda column: str(column.type),
)
def test_a_column_of_a_type_that_is_not_read_is_named(tmp_path, column):
    write_stream(tmp_path / "t.arrows", pa.table([["a"], column], ["id", "odd"]))
    with pytest.raises(InputError) as error:
        Table(path=(tmp_path / "t.arrows").as_posix()).scan()
    assert f"t.arrows: column 'odd' has the type {column.type}, which cannot be read" in str(error.value)


def test_two_columns_of_one_name_are_refused(tmp_path):
    write_stream(tmp_path / "t.arrows", pa.table([["a"], [1], [2]], ["id", "n", "n"]))
    with pytest.raises(InputError, match=r"names several columns 'n' \(columns 1, 2, counted from 0\)"):
        Table(path=(tmp_path / "t.arrows").as_posix()).scan()


def write_stream(path, table):
    with pa.ipc.new_stream(str(path), table.schema) as writer:
        writer.write_table(table)
