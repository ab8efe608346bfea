"""Large tables of mixed attributes, the same for the same number of rows.

One has 40 attributes, as people write them in CSV; the other has 12 and the types of Parquet. Run
``python benchmarks/wide_table.py ROWS FILE`` to write one, by the file's suffix.
"""

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow.parquet as pq

from weakcl_pipeline.sources import IngestionConfig

_ROWS_AT_ONCE = 250_000
_TYPES = 500
"""Hidden types of samples; what a row holds depends on its type, most of the time."""
_NOISE = 0.2
_MISSING = 0.05
_SPELLINGS = (("true", "false"), ("yes", "no"), ("1", "0"), ("ja", "nein"))
_SIZES = (2, 3, 4, 5, 6, 8, 10, 12, 20, 50, 100, 200, 500, 2000)


class Shape(NamedTuple):
    """How many columns there are of each kind; of words, those of which numbers in `_SIZES`."""

    flags: int
    words: tuple[int, ...]
    numbers: int
    tags: int
    paths: int


_WIDE = Shape(10, tuple(range(len(_SIZES))), 10, 4, 2)
_NARROW = Shape(4, (3, 7, 10, 12), 2, 1, 1)


def ingestion(rows: int, *, narrow: bool = False) -> IngestionConfig:
    """The roles of the columns: 10 bool, 14 categorical, 10 continuous, 4 tags and 2 hierarchies; or 4, 4, 2, 1 and 1.

    Binary attributes are those that one row in fifty has.
    """
    shape = _NARROW if narrow else _WIDE
    often = rows // 50
    tags: dict[str, Any] = {f"tags_{i}": {"kind": "tags", "min_count": often} for i in range(shape.tags)}
    for name in ("tags_2", "tags_3"):
        if name in tags:
            tags[name]["separator"] = ","
    paths = {f"path_{i}": {"kind": "hierarchy", "separator": "/", "min_count": often} for i in range(shape.paths)}
    words = {f"word_{i}": {"kind": "categorical", "min_count": often} for i in shape.words}
    return IngestionConfig.model_validate(
        {
            "id_column": "id",
            "image_column": "image",
            "split_column": "split",
            "labels": ["label"],
            # the kind of flags and numbers is inferred
            "attributes": {f"flag_{i}": {} for i in range(shape.flags)}
            | words
            | {f"number_{i}": {} for i in range(shape.numbers)}
            | tags
            | paths,
        }
    )


def write_csv(file: Path, rows: int) -> None:
    """Write the table of 40 attributes."""
    with file.open("wb") as sink:
        for part, frame in enumerate(_parts(rows, _WIDE)):
            frame.write_csv(sink, include_header=part == 0)


def write_parquet(file: Path, rows: int) -> None:
    """Write the table of 12 attributes, each with its type."""
    writer: pq.ParquetWriter | None = None
    for frame in _parts(rows, _NARROW):
        table = frame.with_columns(
            *(pl.col(f"flag_{i}") == _SPELLINGS[i % len(_SPELLINGS)][0] for i in range(_NARROW.flags)),
            *(pl.col(f"number_{i}").cast(pl.Float64) for i in range(_NARROW.numbers)),
            *(pl.col(f"tags_{i}").str.json_decode(pl.List(pl.String)) for i in range(_NARROW.tags)),
        ).to_arrow(compat_level=pl.CompatLevel.oldest())
        writer = writer or pq.ParquetWriter(file, table.schema, compression="zstd")
        writer.write_table(table)
    if writer is not None:
        writer.close()


def _parts(rows: int, shape: Shape) -> Iterator[pl.DataFrame]:
    for part, start in enumerate(range(0, rows, _ROWS_AT_ONCE)):
        yield _rows(part, start, min(_ROWS_AT_ONCE, rows - start), shape)


def _rows(part: int, start: int, count: int, shape: Shape) -> pl.DataFrame:
    generator = np.random.default_rng((0, part))
    types = generator.integers(0, _TYPES, count)
    numbers = pl.int_range(start, start + count, eager=True)
    columns = {
        "id": pl.select("s" + numbers.cast(pl.String).str.zfill(9)).to_series(),
        "image": pl.select(
            "photos/" + (numbers // 1000).cast(pl.String) + "/" + (numbers % 1000).cast(pl.String) + ".jpg"
        ).to_series(),
        "split": _words(generator.choice(3, count, p=[0.7, 0.15, 0.15]), ["train", "val", "test"]),
        "label": _words(_noisy(types % 40, 40, generator), [f"class {i}" for i in range(40)]),
    }
    for i in range(shape.flags):
        truth = _noisy(_of_type(i, types, 2), 2, generator)
        columns[f"flag_{i}"] = _words(truth, _SPELLINGS[i % len(_SPELLINGS)])
    for i in shape.words:
        columns[f"word_{i}"] = _words(
            _noisy(_of_type(100 + i, types, _SIZES[i]), _SIZES[i], generator), [f"value {j}" for j in range(_SIZES[i])]
        )
    for i in range(shape.numbers):
        middle = _of_type(200 + i, types, 1000)
        columns[f"number_{i}"] = _number(i, middle + generator.normal(0, 100, count))
    for i in range(shape.tags):
        sets = _sets(i)
        columns[f"tags_{i}"] = _words(_noisy(_of_type(300 + i, types, len(sets)), len(sets), generator), sets)
    for i in range(shape.paths):
        paths = [f"{a}/{a}{b}/{a}{b}{c}" for a, b, c in itertools.product("abcde", "klmnopqr", "stuvw")]
        columns[f"path_{i}"] = _words(_noisy(_of_type(400 + i, types, 200), 200, generator), paths)
    return pl.DataFrame(
        {
            name: column if place < 4 else column.set(pl.Series(generator.random(count) < _MISSING), None)
            for place, (name, column) in enumerate(columns.items())
        }
    )


def _of_type(attribute: int, types: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.int64]:
    """The value of an attribute that goes with each row's type."""
    return np.random.default_rng((1, attribute)).integers(0, size, _TYPES)[types]


def _noisy(values: npt.NDArray[np.int64], size: int, generator: np.random.Generator) -> npt.NDArray[np.int64]:
    other = generator.integers(0, size, len(values))
    return np.where(generator.random(len(values)) < _NOISE, other, values)


def _words(codes: npt.NDArray[np.int64], words: Any) -> pl.Series:
    return pl.Series(list(words), dtype=pl.String).gather(codes)


def _number(i: int, values: npt.NDArray[np.float64]) -> pl.Series:
    """Whole numbers, decimal fractions and dates in turn."""
    if i % 3 == 0:
        return pl.Series(values.round().astype(np.int64)).cast(pl.String)
    if i % 3 == 1:
        return pl.Series(values.round(2)).cast(pl.String)
    return pl.Series((15_000 + values).astype(np.int32)).cast(pl.Date).cast(pl.String)


def _sets(i: int) -> list[str]:
    """Some thousands of sets of tags; the first two columns hold JSON lists."""
    generator = np.random.default_rng((2, i))
    names = [f"tag {j}" for j in range(300)]
    chosen = [generator.choice(names, generator.integers(1, 5), replace=False).tolist() for _ in range(5000)]
    if i < 2:
        return ["[" + ", ".join(f'"{name}"' for name in names) + "]" for names in chosen]
    return [", ".join(names) for names in chosen]


if __name__ == "__main__":
    target = Path(sys.argv[2])
    (write_parquet if target.suffix == ".parquet" else write_csv)(target, int(sys.argv[1]))
