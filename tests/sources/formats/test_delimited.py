import bz2
import csv
import gzip
import io

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weakcl_pipeline.errors import InputError
from weakcl_pipeline.sources import Table

CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\ufeff"), max_size=8)
TABLES = st.integers(2, 4).flatmap(lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), max_size=6))


@pytest.fixture
def written(tmp_path):
    def write(content, name="t.csv", **options):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return Table(path=path.as_posix(), **options)

    return write


def rows(table):
    return table.scan().collect().rows()


def refused(table):
    with pytest.raises(InputError) as error:
        table.scan().collect()
    return str(error.value)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a,b\n1,x\n2,y\n", [("1", "x"), ("2", "y")]),
        ("a;b\n1,5;x\n2,5;y\n", [("1,5", "x"), ("2,5", "y")]),
        ("a\tb\n1\tx, y\n", [("1", "x, y")]),
        ("a|b\n1|x\n", [("1", "x")]),
        ("a|'b|c'\n1|'x|y'\n", [("1", "x|y")]),
        ('a,b\n1,"x, ""y""\nz"\n', [("1", 'x, "y"\nz')]),
        ("a,b\r\n1,x\r\n2,y\r\n", [("1", "x"), ("2", "y")]),
        ("a,b\r1,x\r2,y\r", [("1", "x"), ("2", "y")]),
        ("a,b\r\n1,x\n2,y\r3,z", [("1", "x"), ("2", "y"), ("3", "z")]),
        ("\n\na,b\n\n1,x\n\n", [("1", "x")]),
        ('a,b\n1,5" pipe\n2,6\n', [("1", '5" pipe'), ("2", "6")]),
        ("name\nx\ny\n", [("x",), ("y",)]),
        ("a,b\n,\n", [("", "")]),
        ("a,b", []),
        ("sep=;\r\na,b;c\r\n1;2\r\n", [("1", "2")]),
        ('"sep=,"\na,b\n1;2,3\n', [("1;2", "3")]),
        ("a,b\n1,x\u2028y\x0bz\n", [("1", "x\u2028y\x0bz")]),
    ],
)
def test_dialects_are_found(written, content, expected):
    assert rows(written(content)) == expected


def test_declared_options_win_over_what_is_found(written):
    assert rows(written("a,b;c\n1,2;3\n4,5;6\n", separator=";")) == [("1,2", "3"), ("4,5", "6")]
    assert rows(written("a,b\n'x,y'\n", quote="")) == [("'x", "y'")]
    assert rows(written("x,1\ny,2\n", columns=("name", "size"))) == [("x", "1"), ("y", "2")]


def test_what_was_found_is_logged(written, caplog):
    caplog.set_level("INFO")
    written("a;b\n1;2\n").scan()
    assert "t.csv: csv in utf-8, separator ';', quote '\"', 2 columns" in caplog.text


def test_comments_before_the_header_are_skipped_only_on_request(written):
    content = "# made by hand\n# 2026\na,b\n1,#x\n"
    assert rows(written(content, comment="#")) == [("1", "#x")]
    assert "row 1" in refused(written(content))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "latin-1"])
def test_encodings_are_found(written, encoding):
    table = written("größe;straße\nä;ß\n".encode(encoding)).scan().collect()
    assert table.columns == ["größe", "straße"]
    assert table.rows() == [("ä", "ß")]


def test_an_encoding_is_found_wherever_its_first_letter_is(written):
    content = "a,b\n" + "1,2\n" * 600_000 + "ä,ö\n"
    assert rows(written(content.encode("cp1252")))[-1] == ("ä", "ö")
    assert rows(written(content.encode()))[-1] == ("ä", "ö")


def test_an_encoding_that_is_taken_for_granted_is_told(written, caplog):
    rows(written("a,b\n1,ä\n".encode("cp1252")))
    assert "not UTF-8, read as cp1252" in caplog.text


def test_a_declared_encoding_is_used(written):
    assert rows(written("a,b\n1,Ж\n".encode("koi8-r"), encoding="koi8-r")) == [("1", "Ж")]


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [
        (".gz", gzip.compress),
        (".bz2", bz2.compress),
        (".zst", lambda content: pa.compress(content, codec="zstd", asbytes=True)),
    ],
)
def test_compressed_text(written, suffix, compress):
    assert rows(written(compress("a,b\n1,ä\n".encode()), f"t.csv{suffix}")) == [("1", "ä")]


def test_columns_without_a_name_are_called_by_their_place(written, caplog):
    assert written(",b,\n0,1,\n").scan().collect().columns == ["column_0", "b", "column_2"]
    assert "columns without a name: column_0, column_2" in caplog.text


def test_projection_filters_and_slices_reach_the_reader(written):
    table = written("a,b,c\n" + "".join(f"{i},{i % 2},x\n" for i in range(1000))).scan()
    assert table.select("b", "a").filter(pl.col("b") == "1").head(2).collect().rows() == [("1", "1"), ("1", "3")]
    assert table.select(pl.len()).collect().item() == 1000
    assert table.tail(1).collect(engine="streaming").rows() == [("999", "1", "x")]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a,b\n1,2\n3\n", "row 1 (counted from 0, without the header): 1 cell, but the table has 2 columns: '3'"),
        ("a,b\n1,2\n\n3,4\n5,6,7\n", "row 2 (counted from 0, without the header): 3 cells, but"),
        ("a,b\n" + "1,2\n" * 1_500_000 + "3\n", "row 1500000 (counted"),
        ('a,b\n1,2\n3,"x\n4,y\n', "row 1 (counted from 0, without the header), column 'b': a quote \" opens a cell"),
        ('a,b\n"3,x\n4,y\n', 'A cell goes over several lines: a quote " may not be closed'),
        ('a,b\n1,2\n3,"' + "x\n" * 9_000_000, 'a row is longer than 4 MiB, as if a quote " were never closed'),
        ("a,b\n1,2\n3,x\0y\n", "line 3: a NUL character"),
        ("a,b,a\n1,2,3\n", "the header names several columns 'a' (columns 0, 2, counted from 0)"),
        ("a, a\n1,2\n", "several columns 'a'"),
        ('a,b\n1, "x, y"\n', 'must be in quotes ("), without a space before the quote'),
        ('"' + "x" * 200_000 + "\n1,2\n", "the first row has no end in its first"),
        ("sep=;\n", "the table is empty"),
        ("", "the table is empty; not even a header is there"),
        ("\n\n", "the table is empty"),
    ],
)
def test_broken_files_are_refused_with_the_place(written, content, expected):
    message = refused(written(content))
    assert "t.csv" in message
    assert expected in message


def test_bytes_that_are_not_in_the_encoding_are_refused_with_their_line(written):
    content = "a,b\n1,ä\n2,ö\n3,ü\n".encode() + b"4,\xff\n"
    assert "line 5: the bytes ff 0a are no text in utf-8" in refused(written(content))
    assert "line 2: the bytes ff" in refused(written(b"a,b\n1,\xff\n", encoding="utf-8"))
    assert "no text in ascii" in refused(written("a,b\n1,ä\n", encoding="ascii"))


@pytest.mark.parametrize(
    "content", [b"a,b\n1,2\n", gzip.compress(b"a,b\n" + b"1,2\n" * 999)[:-9]], ids=["not compressed", "cut off"]
)
def test_a_broken_compression_is_refused(written, content):
    assert "t.csv.gz: cannot be read" in refused(written(content, "t.csv.gz"))


def test_names_for_a_file_without_header_must_fit(written):
    message = refused(written("x,1\n", columns=("name", "size", "more")))
    assert "`columns` in the catalog has 3 names, but the first row has 2 cells: 'x,1'" in message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"separator": ";;"}, "must be one ASCII character"),
        ({"separator": "\n"}, "must be one ASCII character"),
        ({"separator": ""}, "must be one ASCII character"),
        ({"encoding": "utf-9"}, "there is no text encoding 'utf-9'"),
        ({"encoding": "base64"}, "there is no text encoding 'base64'"),
        ({"separator": "'", "quote": "'"}, "the same character"),
        ({"comment": ""}, "must not be empty"),
        ({"format": "xlsx"}, "format"),
        ({"seperator": ","}, "seperator"),
    ],
)
def test_wrong_options_are_refused(written, options, message):
    with pytest.raises(ValueError, match=message):
        written("a,b\n", **options)


def test_blank_lines_are_skipped_however_many(written):
    blank = "\n" * (9 << 20)
    assert rows(written(f"a,b\n1,2\n{blank}")) == [("1", "2")]
    assert rows(written(f"a,b\n1,2\n{blank}3,4\n{blank}")) == [("1", "2"), ("3", "4")]


def test_no_more_is_read_than_is_asked_for(written):
    table = written("a,b\n" + "1,2\n" * 9_000_000 + "3\n").scan()
    assert table.head(2).collect().rows() == [("1", "2")] * 2


@given(
    table=TABLES,
    separator=st.sampled_from(",;\t|"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_what_the_csv_module_writes_is_read_as_it_was(tmp_path_factory, table, separator, encoding):
    width = len(table[0]) if table else 2
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=separator, lineterminator="\n")
    writer.writerows([[f"name{i}" for i in range(width)], *table])
    path = tmp_path_factory.getbasetemp() / "written.csv"
    path.write_bytes(text.getvalue().encode(encoding))
    read = Table(path=path.as_posix(), separator=separator, quote='"').scan().collect()
    assert [list(row) for row in read.rows()] == table


@given(content=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_with_the_file_named(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(content)
    try:
        Table(path=path.as_posix()).scan().collect()
    except InputError as error:
        assert "any.csv" in str(error)  # noqa: PT017 - an error is allowed, not asked for


def test_columns_of_which_the_name_is_a_pattern_are_read_as_any_other(written):
    table = written("*,^.*$,a\n1,2,3\n").scan()
    assert table.collect().rows() == [("1", "2", "3")]
    assert table.select(pl.all().null_count()).collect().rows() == [(0, 0, 0)]
