import gzip

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weakcl_pipeline.errors import InputError
from weakcl_pipeline.sources import Table


def written(tmp_path, content, name="t.jsonl", **options):
    path = tmp_path / name
    path.write_bytes(content)
    return Table(path=path.as_posix(), **options)


def test_values_keep_their_types_and_missing_keys_are_null(tmp_path):
    content = b'{"a":1,"t":["x","y"],"b":true}\n\n{"a":2.5,"t":[]}\n{"c":null}\n'
    table = written(tmp_path, content).scan().collect()
    assert table.schema == {"a": pl.Float64, "t": pl.List(pl.String), "b": pl.Boolean, "c": pl.String}
    assert table.rows() == [(1.0, ["x", "y"], True, None), (2.5, [], None, None), (None, None, None, None)]


def test_keys_and_types_are_found_in_the_whole_file(tmp_path):
    content = b'{"a":1}\n' * 1_000_000 + '{"a":"ä","b":2}\n'.encode()
    table = written(tmp_path, gzip.compress(content), "t.ndjson.gz").scan()
    assert table.tail(1).collect().rows() == [("ä", 2)]
    assert table.select("a").head(1).collect().rows() == [("1",)]


def test_encodings(tmp_path):
    content = '{"a":"ä"}\n'
    for encoding in ("utf-8-sig", "utf-16"):
        assert written(tmp_path, content.encode(encoding)).scan().collect().rows() == [("ä",)]
    table = written(tmp_path, content.encode("cp1252"), encoding="windows-1252")
    assert table.scan().collect().rows() == [("ä",)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a":1}\n{"a":2\n', "line 2: not JSON"),
        (b'{"a":1}\n{"a":NaN1}\n', "line 2: not JSON"),
        (b'{"a":1}\n[1]\n', "line 2: not a JSON object but '[1]'"),
        (b'[\n{"a":1},\n{"a":2}]\n', "line 1: not JSON"),
        (b'[\n{"a":1},\n{"a":2}]\n', "begins like one JSON document; write it as JSON lines"),
        (b'{"a":1}\n{"a":[1]}\n', "line 2, key 'a': '[1]' is a list, but a text or number in lines before"),
        (b'{"a":1}\n' * 900_000 + b'{"a":[1]}\n', "line 900001, key 'a': '[1]' is a list"),
        (b'{"a":1}\n{"a":true}\n{"a":2.5}\n', "line 2, key 'a': 'true' is true or false, but a text or number"),
        (b'{"a":"\xff"}\n{"a":"\xc3\xa4"}\n', "line 1: the bytes ff"),
        (b"", "the table is empty; it has no line with a key"),
        (b"{}\n", "the table is empty; it has no line with a key"),
        (b'{"a":"' + b"x" * (70 << 20), "line 1: longer than 64 MiB"),
    ],
)
def test_broken_files_are_refused_with_the_line(tmp_path, content, message):
    with pytest.raises(InputError) as error:
        written(tmp_path, content).scan().collect()
    assert "t.jsonl" in str(error.value)
    assert message in str(error.value)


def test_options_of_other_formats_are_refused(tmp_path):
    with pytest.raises(InputError, match="`separator` does not go with tables in JsonLines"):
        written(tmp_path, b"{}", separator=";").scan()


@given(content=st.binary(max_size=60) | st.text('{}[]":,abnul1-.e\\ \n', max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused_with_the_file_named(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    path.write_bytes(content)
    try:
        Table(path=path.as_posix()).scan().collect()
    except InputError as error:
        assert "any.jsonl" in str(error)  # noqa: PT017 - an error is allowed, not asked for


def test_keys_that_are_patterns_are_read_as_any_other(tmp_path):
    table = written(tmp_path, b'{"*":1,"^.*$":2,"a":3}\n').scan()
    assert table.collect().rows() == [(1, 2, 3)]
