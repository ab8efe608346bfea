"""Cluster tables as they were released with the Cl-InfoNCE paper, joined to samples by their pictures.

A table (`rank_H/meta_data_train.csv`) has a row per picture of the train split: `path`, `class`, and the cluster at
each granularity k as `label_gran_k`. Ids start at 0 or 1 and have gaps, and a last row, numbered -1, holds counts
instead of a picture. The columns become attributes like any other; the rule `given` makes clusters of them.
"""

import re
from io import BytesIO
from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from weakcl_pipeline.config import Config
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.sources.raw_files import existing, read_bytes

_LIMIT = 256 << 20
"""Bytes; the largest released table has 4 MB."""
_CLUSTERS = re.compile("label_gran_[0-9]+")
_COUNTS = "-1"
_DEEPEST = 100
"""Parts of a path that are compared at most."""


class ReleasedClusters(Config):
    """Where the clusters are that are joined to a raw table.

    Attributes:
        path: The released table.
        image_column: The column of the raw table with the paths of its pictures.
    """

    path: Path
    image_column: str = "image"

    def join(self, raw: pl.LazyFrame) -> pl.LazyFrame:
        """Add the released clusters to a raw table, which keeps its rows and their order.

        A picture is the same if the paths end alike: with as many folders as it takes to find the most pictures.

        Args:
            raw: The raw table of the same data set, with all its splits.

        Returns:
            The raw table and one column of text per granularity, null for a picture that the released table has not.

        Raises:
            InputError: The released table is not one, or its pictures are not those of the raw table.
        """
        released = read_clusters(self.path)
        names = raw.collect_schema().names()
        if self.image_column not in names:
            raise InputError(f"{self.path}: there is no column '{self.image_column}' (image_column) to join it by.")
        clash = [name for name in released.columns if name in names and name != "path"]
        if clash:
            raise InputError(f"{self.path}: the raw table has a column '{clash[0]}' already. Rename one of them.")
        images = raw.select(pl.col(self.image_column).alias("image")).collect().drop_nulls().unique(maintain_order=True)
        if images.schema["image"] != pl.String:
            raise InputError(f"{self.path}: column '{self.image_column}' (image_column) does not hold paths.")
        found = _matched(images, released, self.path).rename({"image": self.image_column})
        return raw.join(found.lazy(), on=self.image_column, how="left", maintain_order="left")

    def files(self) -> dict[str, Path]:
        """Return the released table, by what it is.

        Raises:
            InputError: It is missing.
        """
        return {"released clusters": existing(self.path)}


def read_clusters(path: Path) -> pl.DataFrame:
    """Read a released table, without its last row.

    Returns:
        `path` and `label_gran_<k>` for every k, all of them text, a row per picture.

    Raises:
        InputError: The file is missing, too large, no such table, or lists a picture twice.
    """
    content = read_bytes(path, _LIMIT)
    try:
        table = pl.read_csv(BytesIO(content), infer_schema=False)
    except PolarsError as error:
        raise InputError(f"{path}: not a table of comma-separated values: {error}") from error
    clusters = [name for name in table.columns if _CLUSTERS.fullmatch(name)]
    if "path" not in table.columns or not clusters:
        raise InputError(
            f"{path}: a released cluster table has a column 'path' and columns 'label_gran_<k>';"
            f" this one has: {', '.join(table.columns)}."
        )
    pictures = table.filter(table.to_series(0) != _COUNTS).select("path", *clusters)
    repeated = pictures.filter(pl.col("path").is_duplicated())["path"]
    if len(repeated):
        raise InputError(f"{path}: the picture {repeated[0]} is listed more than once. Remove the other rows.")
    return pictures


def _matched(images: pl.DataFrame, released: pl.DataFrame, path: Path) -> pl.DataFrame:
    """The clusters of each image that the released table has."""
    # Paths with more parts than all of the other table's are matched by none, with how many parts they may be compared.
    depth = min(_parts(released["path"]), _parts(images["image"]) + 1, _DEEPEST)
    candidates = [_joined(images, released, parts) for parts in range(depth, 0, -1)]
    best = max(candidates, key=lambda found: found.height)
    if not best.height:
        firsts = [str(column[0]) if len(column) else "none" for column in (released["path"], images["image"])]
        raise InputError(
            f"{path}: none of its pictures (the first is {firsts[0]}) is in the raw table (the first is {firsts[1]})."
            " Is it the table of this data set?"
        )
    return best


def _parts(paths: pl.Series) -> int:
    """How many parts the longest path has."""
    return int(paths.str.count_matches("/", literal=True).max() or 0) + 1  # type: ignore[arg-type]


def _joined(images: pl.DataFrame, released: pl.DataFrame, parts: int) -> pl.DataFrame:
    """Join by the last parts of both paths, where these name one picture only."""

    def end(column: str) -> pl.Expr:
        return pl.col(column).str.split("/").list.tail(parts).list.join("/").alias("end")

    known, wanted = (
        table.with_columns(end(column)).filter(~pl.col("end").is_duplicated())
        for table, column in ((images, "image"), (released, "path"))
    )
    return known.join(wanted.drop("path"), on="end").drop("end")
