"""Formats of tables, each from files of its own to the sample table."""

import bz2
import gzip
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
from pyarrow import parquet

from tests.fuzz.official import read_sample_table
from tests.fuzz.trial import Target
from weakcl_pipeline.sources import Table

_ROWS = pl.DataFrame(
    {
        "id": [f"p{number}" for number in range(6)],
        "file": [f"a/{number}.png" for number in range(6)],
        "split": ["train", "train", "train", "train", "val", "test"],
        "kind": ["cat", "dog", "cat", "dog", "cat", "dog"],
        "size": [1.5, 1.5, None, None, 1e9, -1.0],
        "note": ["a, b", "a, b", 'he said "no"', 'he said "no"', "two\nlines", "ü"],
    }
)
_NESTED = _ROWS.with_columns(
    tags=pl.Series([["x", "y"], ["y"], None, [], ["x"], ["z", None]]),
    box=pl.struct(left=pl.int_range(6), top=pl.lit(0.5)),
    kind=pl.col("kind").cast(pl.Categorical),
    day=pl.date(2020, 1, 1),
    picture=pl.Series([bytes([number]) * 3 for number in range(6)]),
)


def written(files: Mapping[str, bytes]) -> Callable[[Path], None]:
    """Return what writes files: name -> content."""

    def make(folder: Path) -> None:
        for name, content in files.items():
            (folder / name).write_bytes(content)

    return make


def _read(file: Path) -> None:
    table = Table(path=file.as_posix())
    table.files()
    read_sample_table(table.scan(), id_column="id", image_column="file", ignore=("box", "picture"))


_TABLE = _NESTED.to_arrow(compat_level=pl.CompatLevel.oldest())
_CSV = _ROWS.write_csv(null_value="NA")
_JSON = _NESTED.drop("picture").with_columns(pl.col("day").cast(pl.String)).write_ndjson()


def _parquet(**options: Any) -> bytes:
    encoded = io.BytesIO()
    parquet.write_table(_TABLE, encoded, row_group_size=4, **options)
    return encoded.getvalue()


def _arrow(compression: str | None = None, *, stream: bool) -> bytes:
    encoded = io.BytesIO()
    new = pa.ipc.new_stream if stream else pa.ipc.new_file
    with new(encoded, _TABLE.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(_TABLE, max_chunksize=4)
    return encoded.getvalue()


TARGETS: dict[str, Target] = {
    "csv": Target(
        make=written(
            {
                "comma.csv": _CSV.encode(),
                "tab.tsv": _CSV.replace(",", "\t").encode("utf-16"),
                "semicolon.txt": ("sep=;\r\n" + _CSV.replace(",", ";")).encode("latin-1"),
                "a.csv.gz": gzip.compress(_CSV.encode(), mtime=0),
                "a.csv.bz2": bz2.compress(_CSV.encode()),
            }
        ),
        read=_read,
        files=("*",),
        apart=True,
        words=(b"sep=;", b'"a', b'"a""b"', b"id,file,split,kind", b"train", b"\r\r"),
    ),
    "jsonl": Target(
        make=written(
            {
                "utf-8.jsonl": _JSON.encode(),
                "utf-16.ndjson": _JSON.encode("utf-16-le"),
                "a.jsonl.gz": gzip.compress(_JSON.encode(), mtime=0),
            }
        ),
        read=_read,
        files=("*",),
        apart=True,
        words=(b'{"id":1}\n', b'"tags":[[1]]', b'"\\ud800"', b"1e999", b"true", b'"id":', b"{}"),
    ),
    "parquet": Target(
        make=written(
            {
                "plain.parquet": _parquet(compression="none"),
                "snappy.parquet": _parquet(compression="snappy", use_dictionary=False, data_page_version="2.0"),
                "zstd.pq": _parquet(compression="zstd"),
            }
        ),
        read=_read,
        files=("*",),
        apart=True,
    ),
    "arrow": Target(
        make=written(
            {
                "file.arrow": _arrow(stream=False),
                "a.arrows": _arrow(stream=True),
                "lz4.feather": _arrow("lz4", stream=False),
            }
        ),
        read=_read,
        files=("*",),
        apart=True,
    ),
}
