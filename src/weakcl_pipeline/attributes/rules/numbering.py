"""Ids for the distinct keys of a table, in an order that depends on nothing but the keys and their train counts."""

import numpy as np
import numpy.typing as npt
import polars as pl

from weakcl_pipeline.attributes.rules.base import Ids


def number_by_size(keys: pl.DataFrame, train: npt.NDArray[np.bool_]) -> pl.DataFrame:
    """Distinct keys in the order of their ids: the most train rows first, equal counts by key.

    So keys that no train row has come last, by key.

    Args:
        keys: One or more columns, N rows; a row with a null in it has no key.
        train: (N,) rows of the train split.
    """
    marked = keys.with_columns(pl.Series("on_train", train)).drop_nulls()
    counted = marked.group_by(keys.columns).agg(pl.sum("on_train"))
    descending = [True] + [False] * keys.width
    return counted.sort(["on_train", *keys.columns], descending=descending).select(keys.columns)


def look_up(keys: pl.DataFrame, numbered: pl.DataFrame) -> Ids:
    """The id of each row's key, (N,); -1 for a row without a key, and for a key without an id."""
    ids = numbered.with_row_index("id")
    found = keys.join(ids, on=keys.columns, how="left", maintain_order="left")["id"]
    return found.cast(pl.Int32).fill_null(-1).to_numpy()
