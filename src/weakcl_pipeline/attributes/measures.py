"""Information between clusters and labels, in bits, from integer or string arrays.

Everything comes from counted pairs, never from a dense contingency table, so that millions of samples and as many
clusters stay cheap. Pairs are sorted as single integers and counted by runs: the hash table of as many pairs as samples
grows out of the caches, and was four to ten times slower. Notation follows the Cl-InfoNCE paper: Z is the
cluster, T the label of the task; I(Z;T) is what clusters and labels share, H(Z|T) what clusters hold beyond
the labels.
"""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

Variable = pl.Series | npt.NDArray[Any] | Sequence[int] | Sequence[str]
"""One value per sample: integers, strings or booleans, none missing."""


def count_entropy(counts: npt.ArrayLike) -> float:
    """Entropy in bits of the distribution that `counts` (non-negative, any shape) are proportional to.

    The counts are sorted before they are summed, so that the result does not depend on their order, not
    even in its last bit. No counts, or zeros alone, have an entropy of 0.
    """
    present = np.sort(np.asarray(counts, dtype=np.float64).ravel())
    present = present[present > 0]
    if present.size == 0:
        return 0.0
    total = present.sum()
    return max(0.0, float(np.log2(total) - (present * np.log2(present)).sum() / total))


def entropy(*variables: Variable) -> float:
    """Joint entropy H(A, B, ...) in bits of one or more variables with N values each.

    Raises:
        ValueError: There is no variable, lengths differ or a value is missing (drop those rows first).
    """
    if not variables:
        raise ValueError("entropy() needs at least one variable")
    columns = [_series(values).alias(str(i)) for i, values in enumerate(variables)]
    if len(set(map(len, columns))) > 1:
        lengths = ", ".join(str(len(column)) for column in columns)
        raise ValueError(f"variables with {lengths} values do not belong together")
    table = pl.DataFrame(columns)
    return count_entropy(_counts(table))


def conditional_entropy(variable: Variable, given: Variable) -> float:
    """H(variable | given) in bits: what is left to learn of `variable` once `given` is known."""
    return max(0.0, entropy(variable, given) - entropy(given))


def mutual_information(a: Variable, b: Variable) -> float:
    """I(a; b) = H(a) + H(b) - H(a, b) in bits."""
    return max(0.0, entropy(a) + entropy(b) - entropy(a, b))


def shuffled_mutual_information(a: Variable, b: Variable, *, shuffles: int, rng: np.random.Generator) -> float:
    """Mean of I(a; b) in bits over `shuffles` random pairings of the two.

    With few samples per cluster the plug-in estimate is far above zero even where a and b are independent;
    this is how much of I(a; b) would be there by chance alone.
    """
    if shuffles < 1:
        raise ValueError(f"shuffles must be at least 1, got {shuffles}")
    first, second = _series(a), _series(b)
    marginals = entropy(first) + entropy(second)
    joint = [entropy(first, second.gather(rng.permutation(len(second)))) for _ in range(shuffles)]
    return max(0.0, marginals - float(np.mean(joint)))


def _counts(table: pl.DataFrame) -> npt.NDArray[np.uint32]:
    """How many rows each distinct row stands for, in any order."""
    key = _key(table)
    if key is None:
        return table.group_by(table.columns).len(name="len")["len"].to_numpy()
    return key.sort().rle().struct.field("len").to_numpy()


def _key(table: pl.DataFrame) -> pl.Series | None:
    """One Int64 a row that tells the distinct rows apart; None where the columns span more than an Int64 holds."""
    if table.is_empty() or not all(dtype.is_integer() for dtype in table.dtypes):
        return None
    lowest, highest = table.min().row(0), table.max().row(0)
    spans = [high - low + 1 for low, high in zip(lowest, highest, strict=True)]
    if max(*map(abs, lowest), *map(abs, highest), prod(spans)) >= 2**62:
        return None
    key = pl.lit(0, dtype=pl.Int64)
    for name, low, span in zip(table.columns, lowest, spans, strict=True):
        key = key * span + (pl.col(name).cast(pl.Int64) - low)
    return table.select(key.alias("key"))["key"]


def _series(values: Variable) -> pl.Series:
    series = values if isinstance(values, pl.Series) else pl.Series(values=values)
    if series.null_count():
        raise ValueError("information measures need complete columns: drop rows with missing values first")
    if series.dtype == pl.String:
        return series.cast(pl.Categorical).to_physical()
    return series.cast(pl.UInt8) if series.dtype == pl.Boolean else series
