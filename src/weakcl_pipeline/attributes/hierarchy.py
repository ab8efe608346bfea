"""Paths in a hierarchy, as the nodes that they lead through."""

import polars as pl


def ancestors(table: pl.DataFrame) -> pl.DataFrame:
    """Return every node of each path, named by its prefix of the path.

    Args:
        table: ``row``, and ``value``, a list of nodes, root first.

    Returns:
        ``row``, and ``value``, `a`, `a/b` and `a/b/c` for the path a, b, c; in a node's own name a slash is written
        %2F, and a percent sign %25.
    """
    paths = _escaped(table["value"])
    depth = pl.int_ranges(1, pl.col("value").list.len() + 1)
    return (
        table.with_columns(paths.alias("value"))
        .with_columns(depth.alias("depth"))
        .explode("depth")
        .drop_nulls("depth")
        .select("row", pl.col("value").list.head(pl.col("depth")).list.join("/"))
    )


def ancestor_at(paths: pl.Series, level: int) -> pl.Series:
    """Return the node of each path at a level, named as by `ancestors`.

    Args:
        paths: Lists of nodes, root first; null = missing.
        level: From 1, the root.

    Returns:
        The last node of a path that is shorter; null for a path that is missing or empty.
    """
    named = _escaped(paths.list.head(level)).list.join("/")
    return pl.select(pl.when(paths.list.len() > 0).then(named)).to_series()


def _escaped(paths: pl.Series) -> pl.Series:
    name = pl.element().str.replace_all("%", "%25", literal=True).str.replace_all("/", "%2F", literal=True)
    return paths.list.eval(name)
