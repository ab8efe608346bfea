"""Clusters and attributes made worse on purpose, to see what a representation owes to their information.

After the paper's analysis (section 4.4): clusters that know less of the classes (I(Z;T) falls), and clusters that
know more than the classes (H(Z|T) rises).
"""

import numpy as np
import numpy.typing as npt
import polars as pl

Rows = npt.NDArray[np.int64]


def merge_classes(classes: Rows, count: int) -> Rows:
    """Merge classes until a few clusters are left: I(Z;T) falls, and H(Z|T) stays 0.

    As many clusters as classes leave the classes as they are. Otherwise the largest classes are dealt out first, each
    to the cluster that is smallest so far, so that clusters are as even as they can be and I(Z;T) as high as their
    number allows.

    Args:
        classes: int64 (N,), negative where unknown.
        count: The number of clusters.

    Returns:
        int64 (N,), unknown where it was.
    """
    ids, sizes = np.unique(classes[classes >= 0], return_counts=True)
    if count >= len(ids):
        return classes
    filled = np.zeros(count, dtype=np.int64)
    cluster_of = np.full(int(ids.max()) + 1, -1)
    for place in np.argsort(-sizes, kind="stable"):
        cluster = int(filled.argmin())
        cluster_of[ids[place]] = cluster
        filled[cluster] += sizes[place]
    return np.where(classes >= 0, cluster_of[classes], -1)


def split_classes(classes: Rows, parts: int, rng: np.random.Generator) -> Rows:
    """Split every class at random into even parts: H(Z|T) rises by log2(parts) bits, and I(Z;T) stays full.

    Args:
        classes: int64 (N,), negative where unknown.
        parts: Into how many each class is split.
        rng: Where the draws come from.

    Returns:
        int64 (N,), unknown where it was.
    """
    order = rng.permutation(len(classes))
    by_class = order[np.argsort(classes[order], kind="stable")]
    starts = np.searchsorted(classes[by_class], classes[by_class])
    part = np.empty_like(classes)
    part[by_class] = (np.arange(len(classes)) - starts) % parts
    return np.where(classes >= 0, classes * parts + part, -1)


def shuffle_attributes(table: pl.DataFrame, count: int, rng: np.random.Generator) -> pl.DataFrame:
    """Turn some attributes into noise: each keeps its values, and gives them to other samples.

    Args:
        table: N rows.
        count: How many columns, drawn at random.
        rng: Where the draws come from.
    """
    names = table.columns
    drawn = rng.choice(len(names), size=count, replace=False)
    noise = [table[names[place]].gather(rng.permutation(len(table))) for place in sorted(drawn)]
    return table.with_columns(noise)


def delete_cells(table: pl.DataFrame, share: float, rng: np.random.Generator) -> pl.DataFrame:
    """Set a share of the cells to missing, at random.

    Args:
        table: N rows.
        share: Of the cells of every column.
        rng: Where the draws come from.
    """
    return table.with_columns(
        pl.when(pl.Series(rng.random(len(table)) >= share)).then(pl.col(name)).alias(name) for name in table.columns
    )
