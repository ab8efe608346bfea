"""Splits that are made: which of train, val and test a sample belongs to, where the table does not say."""

import hashlib
import math
from typing import Literal, Self

import numpy as np
import polars as pl
from pydantic import Field, model_validator

from weakcl_pipeline.config import Config

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")

_GOLDEN = (math.sqrt(5) - 1) / 2


class SplitConfig(Config):
    """How samples are split.

    Samples of one group share a split; one without a group is a group of its own. A hash of the group's name (of the
    id, where there is none) decides, and nothing else, so a sample's split stays when rows are added, removed or
    reordered, and shares are what they would be by chance.

    A split that is independent of all other samples cannot be balanced better than by chance. With ``stratify`` the
    groups of each stratum are therefore dealt out in the order of the table, by a sequence that keeps every share to
    within a few groups at any length. Then splits stay when rows are appended at the end, and may change when rows are
    inserted, removed or reordered. A group belongs to the stratum of its first row.

    Attributes:
        train: Share of the groups.
        val: Share of the groups.
        test: Share of the groups.
        seed: Another number, another split. Apart from the run's seed: repeats of an experiment share a split.
        stratify: Column, most often the label, within whose values the shares hold.
    """

    train: float = Field(default=0.7, gt=0, le=1)
    val: float = Field(default=0.15, ge=0, le=1)
    test: float = Field(default=0.15, ge=0, le=1)
    seed: int = 0
    stratify: str | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        total = self.train + self.val + self.test
        if not math.isclose(total, 1, abs_tol=1e-6):
            raise ValueError(f"train, val and test: the shares must add up to 1, not {total:g}")
        return self


def make_splits(ids: pl.Series, groups: pl.Series, strata: pl.Series | None, config: SplitConfig) -> pl.Series:
    """Split samples.

    Args:
        ids: (N,) String, unique.
        groups: (N,) String, null where a sample is alone.
        strata: (N,) String, null being a stratum, too; None without ``config.stratify``.
        config: Shares, and how.

    Returns:
        (N,) String: train, val or test. `SPLITS` in this order share the unit interval.
    """
    keys = pl.select(
        key=pl.when(groups.is_null()).then(pl.lit("id ") + ids).otherwise(pl.lit("group ") + groups)
    ).to_series()
    first = pl.DataFrame({"key": keys} | ({} if strata is None else {"stratum": strata})).unique(
        "key", keep="first", maintain_order=True
    )
    if strata is None:
        points = pl.Series([point(f"{config.seed} {key}") for key in first["key"]], dtype=pl.Float64)
    else:
        starts = {stratum: point(f"{config.seed} stratum {stratum}") for stratum in strata.unique()}
        begun = pl.Series([starts[stratum] for stratum in first["stratum"]], dtype=pl.Float64)
        turn = first.select(pl.int_range(pl.len()).over("stratum")).to_series()
        points = (begun + turn * _GOLDEN) % 1.0
    shares = [getattr(config, split) for split in SPLITS]
    ends = np.cumsum(shares)
    ends[np.flatnonzero(shares)[-1] :] = 1  # the last share ends at 1, rounded or not
    dealt = first.select("key").with_columns(split=pl.Series(SPLITS).gather(ends.searchsorted(points, side="right")))
    return keys.to_frame("key").join(dealt, on="key", how="left", maintain_order="left")["split"]


def point(text: str) -> float:
    """Return a point in [0, 1) that is the text's for ever."""
    digest = hashlib.blake2b(text.encode(), digest_size=6).digest()
    return int.from_bytes(digest, "big") / 2**48
