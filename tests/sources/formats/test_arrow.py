from io import BytesIO

import numpy as np
import polars as pl
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
