import polars as pl
import pytest

from weakcl_pipeline.errors import InputError
from weakcl_pipeline.sources import records
from weakcl_pipeline.sources.records import FLAG, NUMBER, TEXT, Records, read_csv, read_records

FIELDS = {"image_id": NUMBER, "is_present": FLAG, "name": TEXT}


@pytest.fixture
def file(tmp_path):
    return tmp_path / "file.txt"


def refused(read, file, *arguments):
    with pytest.raises(InputError) as error:
        read(file, *arguments)
    assert str(error.value).startswith(str(file))
    return str(error.value)


@pytest.mark.parametrize("text", ["7 0 a b\n\n12 1  c\n", "\ufeff7 0 a b\r\n\r\n12  1\tc \r\n", "7 0 a b\n\n12 1 c"])
def test_records_have_their_line_whatever_the_line_ends(file, text):
    file.write_bytes(text.encode())
    read = read_records(file, FIELDS)
    assert read.rows.select("line", *FIELDS).rows() == [(1, 7, 0, "a b"), (3, 12, 1, "c")]


def test_an_empty_file_has_no_records(file):
    file.touch()
    assert read_records(file, FIELDS).rows.height == 0
    assert "line 1: there is no column 'a'" in refused(read_csv, file, ["a"])


@pytest.mark.parametrize(
    "line", ["1 0", "1 2 a", "-1 0 a", "1.0 0 a", "x 0 a", "1,0,a", "99999999999 0 a", "\u0661 0 a"]
)
def test_a_line_of_another_form_is_named(file, line):
    file.write_text(f"7 0 a\n{line}\n", encoding="utf-8")
    message = refused(read_records, file, FIELDS)
    assert f"line 2: expected `<image_id> <is_present> <name>`, found {line!r}" in message


def test_a_line_with_more_than_its_fields_is_named(file):
    file.write_text("7 0\n8 1 9\n")
    message = refused(read_records, file, {"image_id": NUMBER, "is_present": FLAG})
    assert "line 2: expected `<image_id> <is_present>`, found '8 1 9'" in message


def test_a_long_line_is_not_shown_whole(file):
    file.write_text("x" * 10_000)
    assert len(refused(read_records, file, FIELDS)) < len(str(file)) + 250


def test_what_is_no_text_is_named(file):
    file.write_bytes(b"7 0 a\n8 0 \xff\n")
    assert "line 2: not text in UTF-8" in refused(read_records, file, FIELDS)
    assert "line 2: not text in UTF-8" in refused(read_csv, file, ["a"])


def test_a_file_that_is_not_there_or_far_too_large(file, monkeypatch):
    assert "there is no such file" in refused(read_records, file, FIELDS)
    file.mkdir()
    assert "there is no such file" in refused(read_csv, file, ["a"])
    file.rmdir()
    file.write_text("7 0 a\n")
    monkeypatch.setattr(records, "_LIMIT", 5)
    assert "more than 5 bytes, which the official file has not" in refused(read_records, file, FIELDS)


def test_columns_of_a_table_are_picked_and_stripped(file):
    file.write_bytes(b'b,"a ",c\r\n1, x ,"y, ""z"""\r\n\r\n2,,w\r\n')
    assert read_csv(file, ["a", "c"]).rows.rows() == [(2, "x", 'y, "z"'), (4, "", "w")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n1,2,3\n", "line 3: expected 2 columns, as in the first line, found 3"),
        ("a,b\n1\n", "line 2: expected 2 columns, as in the first line, found 1"),
        ("a,c\n1,2\n", "line 1: there is no column 'b'; found 'a, c'"),
        ("a,b,b\n1,2,3\n", "line 1: there is more than one column 'b'"),
        ('a,b\n1,"2\n3,4\n5,6\n', "line 2: not a row of a CSV table"),
        ('a,b\n1,"2"3\n', "line 2: not a row of a CSV table"),
        (f"a,b\n1,{'x' * 200_000}\n", "line 2: not a row of a CSV table"),
    ],
)
def test_a_broken_table_is_named(file, text, message):
    file.write_text(text)
    assert message in refused(read_csv, file, ["a", "b"])


def records_of(name, **columns):
    rows = pl.DataFrame(columns)
    return Records(name, rows.with_row_index("line", offset=1))


def test_keys_must_be_unique():
    records_of("f", a=[1, 1, 2], b=[1, 2, 2]).check_unique("a", "b")
    with pytest.raises(InputError, match="f, line 3: a 1, b 1 is there already, in line 1"):
        records_of("f", a=[1, 2, 1, 2], b=[1, 2, 1, 2]).check_unique("a", "b")


def test_references_must_be_known_and_complete():
    few, many = records_of("few", a=[3, 1]), records_of("many", a=[1, 2, 3, 4])
    few.check_known("a", many)
    many.check_complete("a", few)
    with pytest.raises(InputError, match="many, line 2: a 2 is not in few"):
        many.check_known("a", few)
    with pytest.raises(InputError, match="few: there is no line for a 2, which is in many, line 2"):
        few.check_complete("a", many)
