"""Paths in a hierarchy, as the nodes that they lead through."""

import polars as pl


def ancestors(table: pl.DataFrame) -> pl.DataFrame:
    """Return every node of each path, named by its prefix of the path.

    Args:
        table: ``row``, and ``value``, a list of nodes, root first.

    Returns:
        ``row``, and ``value``, `a`, `a/b` and `a/b/c` for the path a, b, c; a slash inside a node's own name is written
        %2F.
    """
    paths = table["value"].list.eval(pl.element().str.replace_all("/", "%2F", literal=True))
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
    named = paths.list.head(level).list.eval(pl.element().str.replace_all("/", "%2F", literal=True)).list.join("/")
    return pl.select(pl.when(paths.list.len() > 0).then(named)).to_series()
