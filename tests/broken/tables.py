"""Files of tables."""

import bz2
import gzip
import io
import zipfile

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tests.broken.case import Case, ingest, lines, nothing, rows, table, text

SIX = lines(
    "id,file,split,kind", *(f"p{i},{i}.png,{split},cat" for i, split in enumerate(["train"] * 4 + ["val", "test"]))
)


def workbook():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<?xml version='1.0'?>")
        archive.writestr("xl/worksheets/sheet1.xml", "<worksheet/>")
    return packed.getvalue()


def parquet():
    written = io.BytesIO()
    rows().write_parquet(written)
    return written.getvalue()


def stream():
    written = io.BytesIO()
    content = pa.table({"id": [f"p{i}" for i in range(1000)], "file": ["a.png"] * 1000})
    with pa.ipc.new_stream(written, content.schema) as writer:
        writer.write_table(content)
    return written.getvalue()


def partitioned(raw):
    for kind, weights in (("cat", [1, 2]), ("dog", ["1 kg", "2 kg"])):
        (raw / f"table/kind={kind}").mkdir(parents=True)
        pl.DataFrame({"id": [f"{kind}0", f"{kind}1"], "weight": weights}).write_parquet(
            raw / f"table/kind={kind}/0.parquet"
        )


def joined(tags):
    def make(raw):
        text(SIX)(raw)
        text(tags, "tags.csv")(raw)

    return make


def join(**options):
    return ingest(source={"join": [{"path": "tags.csv", "by": "id", **options}]})


def arrow(**columns):
    """Return what writes an Arrow table, in which a blank at the end of a name is none."""

    def make(raw):
        content = rows().to_arrow()
        for name, column in columns.items():
            content = content.append_column(name.strip(), column)
        with pa.ipc.new_file(str(raw / "table.arrow"), content.schema) as writer:
            writer.write_table(content)

    return make


def spoilt_texts(raw):
    content = rows(note=["text of a note", *["another one"] * 5])
    content.write_parquet(raw / "table.parquet", compression="uncompressed", statistics=False)
    written = (raw / "table.parquet").read_bytes()
    (raw / "table.parquet").write_bytes(written.replace(b"another one", b"another \xff\xff\xff"))


CASES = [
    Case("The file is not there", nothing, ingest(), ("table.csv", "catalog")),
    Case("It is an Excel workbook", text(workbook(), "table.xlsx"), ingest("table.xlsx"), ("table.xlsx",)),
    Case(
        "It is an Excel workbook of before 2007",
        text(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500), "table.xls"),
        ingest("table.xls"),
        ("table.xls", "Office"),
    ),
    Case("An Excel workbook was renamed to .csv", text(workbook()), ingest(), ("table.csv",)),
    Case("The file is empty", text(""), ingest(), ("table.csv",)),
    Case("There is a header, but no rows", text("id,file,split\n"), ingest(), ("raw_samples", "0 rows")),
    Case(
        "A web page was saved in place of the table",
        text("<!DOCTYPE html>\n<html><body>Please log in, or register.</body></html>\n"),
        ingest(),
        ("table.csv",),
    ),
    Case(
        "The table is a Git LFS pointer",
        text(
            lines("version https://git-lfs.github.com/spec/v1", f"oid sha256:{'0' * 64}", "size 28411"),
            "table.parquet",
        ),
        ingest("table.parquet"),
        ("table.parquet", "git lfs pull"),
    ),
    Case(
        "The separator stands in a cell without quotes",
        text("id;file;note\np0;0.png;small\np1;1.png;small; red\np2;2.png;large\n"),
        ingest(),
        ("table.csv", "row 1", "separator"),
    ),
    Case(
        "A row has too few cells",
        text("id,file,split\np0,0.png,train\np1,1.png\np2,2.png,train\n"),
        ingest(),
        ("table.csv", "row 1"),
    ),
    Case(
        "There is a blank before a quote",
        text('id,file,tags\np0,0.png,"red, small"\np1,1.png, "blue, large"\n'),
        ingest(),
        ("table.csv", "row 1"),
    ),
    Case(
        "A quote is never closed",
        text('id,file,note\np0,0.png,small\np1,"1.png,large\np2,2.png,large\n'),
        ingest(),
        ("table.csv", "row 1"),
    ),
    Case(
        "A quote is never closed in the last column",
        text('id,file,note\np0,0.png,small\np1,1.png,"large\np2,2.png,large\n'),
        ingest(),
        ("table.csv", "row 1", "column 'note'"),
    ),
    Case(
        "A quote is never closed in a large file",
        text('id,file,note\np0,0.png,"small\n' + "p1,1.png,large\n" * 600_000),
        ingest(source={"quote": '"', "separator": ","}),
        ("table.csv", "row 0"),
    ),
    Case(
        "Some lines are in another encoding than the others",
        text("id,file,name\np0,0.png,Käfer\np1,1.png,Mönch\n".encode() + "p2,2.png,Hündin\n".encode("latin-1")),
        ingest(),
        ("table.csv", "line 4", "encoding"),
    ),
    Case(
        "The declared encoding is not that of the file",
        text("id,file\np0,Käfer.png\n".encode("utf-16")),
        ingest(source={"encoding": "utf-8"}),
        ("table.csv", "line 1", "encoding"),
        remedy="Leave `encoding` out of the catalog: UTF-16 is found by its byte order mark.",
    ),
    Case(
        "A crashed program left NUL characters in the file",
        text(b"id,file\np0,0.png\np1,\0\0\0\0\0\0"),
        ingest(),
        ("table.csv", "line 3"),
    ),
    Case(
        "Two columns have the same name",
        text("id,file,tag,tag\np0,0.png,a,b\n"),
        ingest(),
        ("table.csv", "'tag'", "columns 2, 3"),
    ),
    Case(
        "The file has no header",
        text(SIX.split("\n", 1)[1]),
        ingest(),
        ("raw_samples", "ingestion.id_column"),
        remedy="Name the columns in the catalog: `columns: [id, file, split, kind]`.",
    ),
    Case(
        "The names given for a file without a header are not as many as its columns",
        text(SIX.split("\n", 1)[1]),
        ingest(source={"columns": ["id", "file", "split"]}),
        ("table.csv", "columns"),
    ),
    Case(
        "There is a title above the header",
        text("Pictures of the spring\n\nid,file,split\np0,0.png,train\np1,1.png,train\n"),
        ingest(),
        ("table.csv", "row 0"),
        remedy="Remove the title; or, if it begins with a mark such as #, declare it: `comment: '#'`.",
    ),
    Case(
        "The download of a compressed table broke off",
        text(gzip.compress(SIX.encode() * 50, mtime=0)[:-30], "table.csv.gz"),
        ingest("table.csv.gz"),
        ("table.csv.gz",),
    ),
    Case(
        "The file is called .gz but is not compressed",
        text(SIX, "table.csv.gz"),
        ingest("table.csv.gz"),
        ("table.csv.gz",),
    ),
    Case("A compressed table lacks the suffix .gz", text(gzip.compress(SIX.encode())), ingest(), ("table.csv", "gzip")),
    Case(
        "A compressed file has another suffix than its compression",
        text(bz2.compress(SIX.encode()), "table.csv.gz"),
        ingest("table.csv.gz"),
        ("table.csv.gz",),
    ),
    Case(
        "The download of a Parquet file broke off",
        text(parquet()[:-40], "table.parquet"),
        ingest("table.parquet"),
        ("table.parquet",),
    ),
    Case(
        "A page of a Parquet file is damaged",
        text(parquet()[:8] + bytes(8) + parquet()[16:], "table.parquet"),
        ingest("table.parquet"),
        ("raw_samples", "damaged"),
    ),
    Case("A CSV file was renamed to .parquet", text(SIX, "table.parquet"), ingest("table.parquet"), ("table.parquet",)),
    Case(
        "A folder of Parquet files has a file with other columns",
        partitioned,
        ingest("table"),
        ("kind=dog/0.parquet", "column 'weight'"),
    ),
    Case(
        "A folder of Parquet files has none",
        lambda raw: (raw / "table").mkdir(),
        ingest("table"),
        ("table",),
    ),
    Case("A Feather file is none", text(SIX, "table.feather"), ingest("table.feather"), ("table.feather",)),
    Case(
        "The writing of an Arrow stream broke off",
        text(stream()[:-5000], "table.arrows"),
        ingest("table.arrows"),
        ("table.arrows", "row 0"),
    ),
    Case(
        "A JSON file holds one list, not one object per line",
        text('[\n  {"id": "p0", "file": "0.png"},\n  {"id": "p1", "file": "1.png"}\n]\n', "table.jsonl"),
        ingest("table.jsonl"),
        ("table.jsonl", "line 1"),
    ),
    Case(
        "A line of JSON is cut off",
        text('{"id": "p0", "file": "0.png"}\n{"id": "p1", "file": "1.p', "table.jsonl"),
        ingest("table.jsonl"),
        ("table.jsonl", "line 2"),
    ),
    Case(
        "A line of JSON is not an object",
        text('{"id": "p0", "file": "0.png"}\n["p1", "1.png"]\n', "table.jsonl"),
        ingest("table.jsonl"),
        ("table.jsonl", "line 2"),
    ),
    Case(
        "A key holds a list in one line and an object in another",
        text('{"id": "p0", "tags": ["red"]}\n{"id": "p1", "tags": {"red": true}}\n', "table.jsonl"),
        ingest("table.jsonl"),
        ("table.jsonl", "line 2", "key 'tags'"),
    ),
    Case(
        "A key holds objects without a key",
        text('{"id": "p0", "file": "0.png", "split": "train", "more": {}}\n', "table.jsonl"),
        ingest("table.jsonl", ingestion={"undeclared": "infer"}),
        ("'more'", "ingestion.ignore"),
    ),
    Case(
        "The catalog names a source that is not there",
        nothing,
        ingest(source={"source": "tabel"}),
        ("tabel",),
    ),
    Case("An option in the catalog is misspelt", text(SIX), ingest(source={"seperator": ";"}), ("seperator",)),
    Case(
        "The separator is given as two characters",
        text(SIX),
        ingest(source={"separator": "\\t"}),
        ("separator",),
        remedy='A tab is `separator: "\\t"` in double quotes in YAML.',
    ),
    Case("The encoding is misspelt", text(SIX), ingest(source={"encoding": "utf-9"}), ("encoding",)),
    Case(
        "An option does not go with the format",
        table(rows()),
        ingest("table.parquet", source={"separator": ";"}),
        ("table.parquet", "separator"),
    ),
    Case(
        "The joined table is not there",
        text(SIX),
        join(),
        ("tags.csv",),
    ),
    Case("The joined table does not have the key", joined("photo,tag\np0,red\n"), join(), ("tags.csv", "'id'")),
    Case(
        "The joined table has a key twice",
        joined("id,tag\np0,red\np0,blue\np1,red\n"),
        join(),
        ("tags.csv", "'p0'"),
    ),
    Case(
        "The joined table has a column whose name is a pattern",
        joined("id,*\np0,red\np1,blue\n"),
        join(),
        ("tags.csv", "'*'", "`take`"),
    ),
    Case(
        "The joined table writes its keys in another way",
        joined("id,tag\nP0,red\nP1,blue\n"),
        join(),
        ("tags.csv", "'P0'", "'p0'"),
    ),
    Case(
        "The joined table has a column of the same name",
        joined("id,kind\np0,red\np1,blue\n"),
        join(),
        ("tags.csv", "'kind'"),
    ),
    Case(
        "A column of an Arrow table has a type that is not read",
        arrow(odd=pa.array([pa.MonthDayNano([1, 2, 3])] * 6)),
        ingest("table.arrow"),
        ("table.arrow", "'odd'", "month_day_nano_interval"),
    ),
    Case(
        "An Arrow table has two columns of one name",
        arrow(kind=pa.array(["a"] * 6), **{"kind ": pa.array(["b"] * 6)}),
        ingest("table.arrow"),
        ("table.arrow", "'kind'"),
    ),
    Case(
        "A Parquet table has a time zone that is none",
        lambda raw: pq.write_table(
            pa.table({"id": ["p0"], "time": pa.array([0], pa.timestamp("us", "Nowhere/Nix"))}), raw / "table.parquet"
        ),
        ingest("table.parquet"),
        ("table.parquet",),
        remedy="Write the column as another type.",
    ),
    Case(
        "The texts of a Parquet table are none",
        spoilt_texts,
        ingest("table.parquet", ingestion={"attributes": {"note": {"kind": "categorical"}}}),
        ("raw_samples",),
    ),
    Case(
        "Two columns of a table without names would be called alike",
        text(lines('{"id": "p0", "file": "0.png", "split": "train", "": 1, "column_3": 2}'), "table.jsonl"),
        ingest("table.jsonl"),
        ("table.jsonl", "'column_3'"),
    ),
    Case(
        "The name of a column is a pattern",
        text(SIX.replace("kind", "*")),
        ingest(ingestion={"undeclared": "infer"}),
        ("raw_samples", "'*'"),
    ),
]
