"""Attributes that give the label away.

Clusters made of an attribute that determines the label are the label under another name, and what is then
learnt is no evidence about side information. So H(label | attribute) is measured on the labelled train
samples, and an attribute that leaves (almost) nothing of H(label) is refused by name.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from weakcl_pipeline.attributes.casting import AttributeKind
from weakcl_pipeline.attributes.coded import Coded, places_of
from weakcl_pipeline.attributes.measures import count_entropy
from weakcl_pipeline.attributes.schema import AttributeSpec
from weakcl_pipeline.errors import InputError, some

logger = logging.getLogger(__name__)

_CONTINUOUS_BINS = 32
"""Quantile bins for a continuous column whose values hardly repeat: so few that each holds many samples."""
_IN_A_BIN = 8
"""Samples that a bin holds at least, so that few are alike by chance; one bin alone tells nothing."""
_LOOKED_AT = 1 << 20
"""Cells by which it is told whether values repeat."""
_DRAWN = 1 << 22
"""Cells, if there are more, by which the bins are bounded."""
_NO_CHANCE = 10
"""Samples that a tag has at least, to name a class: of small classes, hardly one is without a word of its own."""


@dataclass(frozen=True)
class Leak:
    """An attribute (or tags of it) that leaves hardly any uncertainty about a label."""

    label: str
    column: str
    indicator: str
    """The column, or `tags=word` for a single tag, or several of them."""
    remaining: float
    """H(label | attribute) in bits."""
    total: float
    """H(label) in bits, over the same samples."""
    identifier: bool
    """True where more than half the samples have a value of their own: it names samples."""
    tags: tuple[str, ...] = ()
    """Of a column of tags, those that do it."""

    def __str__(self) -> str:
        """The finding in one line, with its figures."""
        why = " (nearly every sample has a value of its own: an identifier)" if self.identifier else ""
        return (
            f"'{self.indicator}' determines the label '{self.label}'{why}:"
            f" H({self.label} | {self.indicator}) = {self.remaining:.3f} bits"
            f" of H({self.label}) = {self.total:.3f} bits"
        )


def find_leaks(column: pl.Series | Coded, labels: pl.DataFrame, spec: AttributeSpec, tolerance: float) -> list[Leak]:
    """The labels of which an attribute, or a tag of it, leaves at most `tolerance` x H(label) bits open.

    Nor may tags do so together that each name one value of the label, as words like `cat` and `dog` do for the species,
    if at least ten samples have each.
    A missing cell counts as one more value, since which cells are missing can give the label away too.
    Where a column has missing cells, the samples that do have it are also looked at by themselves: an
    attribute that was noted down for a tenth of the samples only, and determines the label of those, leaks
    as well. Vectors are not looked at: all of them differ, which tells nothing of what clusters of them would tell.

    Args:
        column: Typed cells of the train split, N rows.
        labels: One column per label, the same N rows: texts, or numbers from 0 in their place; null = unlabelled,
            left out.
        spec: Of the column, with the kind set.
        tolerance: Share of H(label), in [0, 1].
    """
    if spec.kind == AttributeKind.VECTOR:
        return []
    search = _leaking_tags if spec.kind == AttributeKind.TAGS else _leaking_column
    cells = column if isinstance(column, Coded) else Coded(column)
    leaks = []
    for label in labels:
        labelled = label.is_not_null()
        known = (cells, label) if labelled.all() else (cells.filter(labelled), label.filter(labelled))
        leaks += search(*known, spec, tolerance)
    return leaks


def refuse_leaks(leaks: Iterable[Leak], specs: Mapping[str, AttributeSpec], tolerance: float) -> None:
    """Stop where an attribute determines a label, unless its `allow_leak` is set (then it is a warning).

    Args:
        leaks: What `find_leaks` found.
        specs: Column -> its specification.
        tolerance: As for `find_leaks`.

    Raises:
        InputError: Naming each such attribute, with H(label | attribute) and H(label).
    """
    leaks = list(leaks)
    for leak in leaks:
        if specs[leak.column].allow_leak:
            logger.warning("Accepted by allow_leak: %s", leak)
    refused = [leak for leak in leaks if not specs[leak.column].allow_leak]
    if refused:
        columns = ", ".join(sorted({f"ingestion.attributes.{leak.column}" for leak in refused}))
        findings = "\n".join(f"  {leak}" for leak in refused)
        raise InputError(
            f"attributes that give the label away (at most {tolerance:.0%} of the label's entropy is left):"
            f"\n{findings}\nRemove {columns} from the attributes (or, under `undeclared: infer`,"
            f" add the columns to ingestion.ignore; for tags, add them to `exclude`), or set"
            f" `allow_leak: true` there to keep it."
        )


def _leaking_column(cells: Coded, label: pl.Series, spec: AttributeSpec, tolerance: float) -> list[Leak]:
    """Look at the whole column, then at the cells that are there, both from one table of how often pairs occur."""
    pairs = _comparable(cells, spec).count_with(_codes(label)).group_by("value", "label").agg(pl.sum("len"))
    views = [pairs, pairs.drop_nulls("value")] if pairs["value"].null_count() else [pairs]
    for view in views:
        values = _counts(view, "value")
        total = count_entropy(_counts(view, "label"))
        remaining = max(0.0, count_entropy(view["len"].to_numpy()) - count_entropy(values))
        if total > 0 and remaining <= tolerance * total:
            identifier = len(values) > values.sum() / 2
            return [Leak(label.name, cells.name, cells.name, remaining, total, identifier)]
    return []


def _counts(pairs: pl.DataFrame, column: str) -> npt.NDArray[np.uint32]:
    return pairs.group_by(column).agg(pl.sum("len"))["len"].to_numpy()


def _comparable(cells: Coded, spec: AttributeSpec) -> Coded:
    """The column in a form that can be grouped by, null where missing: quantile bins for measurements, else values."""
    if spec.kind == AttributeKind.CONTINUOUS and _hardly_repeats(cells):
        return _binned(cells.column())
    values = cells.values.list.join("\x1f") if spec.kind == AttributeKind.HIERARCHY else cells.values
    return replace(cells, values=_codes(values))


def _binned(values: pl.Series) -> Coded:
    """Numbers, (N,), as the quantile bins that they lie in."""
    drawn = values if len(values) <= _DRAWN else values.sample(_DRAWN, with_replacement=True, seed=0)
    in_a_bin = max(_IN_A_BIN, drawn.count() // _CONTINUOUS_BINS)
    bounds = drawn.drop_nulls().sort().gather_every(in_a_bin).head(max(1, drawn.count() // in_a_bin))
    bins = bounds.search_sorted(values, side="right")
    return Coded(pl.int_range(len(bounds) + 1, eager=True).alias(values.name), bins.set(values.is_null(), None))


def _hardly_repeats(cells: Coded) -> bool:
    """Whether more than half of the cells have a value of their own; missing ones do not count."""
    known = cells.values if cells.places is None else cells.values.gather(cells.places.drop_nulls().head(_LOOKED_AT))
    first = known.drop_nulls().head(_LOOKED_AT)
    return first.n_unique() > len(first) / 2


def _codes(texts: pl.Series) -> pl.Series:
    return places_of(texts) if texts.dtype == pl.String else texts


def _leaking_tags(cells: Coded, label: pl.Series, spec: AttributeSpec, tolerance: float) -> list[Leak]:
    """Check each tag as the indicator "has it", then those that name a value of the label, from one table of pairs."""
    table = cells.count_with(_codes(label)).lazy().rename({"value": "tag"}).drop_nulls("tag")
    per_label = table.group_by("label").agg(pl.sum("len").alias("in_label")).sort("label").collect(engine="streaming")
    total = count_entropy(per_label["in_label"].to_numpy())
    if total == 0:
        return []
    pairs = (
        table.explode("tag")
        .filter(pl.col("tag").is_not_null() & ~pl.col("tag").is_in(list(spec.exclude)))
        .group_by("tag", "label")
        .agg(pl.sum("len").alias("both"))
        .with_columns(pl.col("both").sum().over("tag").alias("with_tag"))
        .join(per_label.lazy(), on="label")
        .sort("tag", "label")  # so that sums are the same to the last bit
        .collect(engine="streaming")
    )

    def leak(tags: Sequence[str], left: float) -> Leak:
        named = some([f"{cells.name}={tag}" for tag in tags])
        return Leak(label.name, cells.name, named, max(0.0, left), total, identifier=False, tags=tuple(tags))

    most = tolerance * total + 1e-12
    alone = [
        leak([tag], left) for tag, left in _open_after_each(pairs, per_label["in_label"].to_numpy()) if left <= most
    ]
    if alone:
        return alone
    naming, left = _naming(pairs.filter(pl.col("with_tag") >= _NO_CHANCE), per_label, tolerance)
    return [leak(naming, left)] if naming and left <= most else []


def _open_after_each(pairs: pl.DataFrame, in_label: npt.NDArray[np.int64]) -> Iterable[tuple[str, float]]:
    """Return each tag and H(label | tag) in bits.

    With g(x) = x log2 x, n_t the samples with tag t, N_l those with label l and n_tl those with both,
    H(label | t) = [g(n_t) + g(N - n_t) - sum_l g(n_tl) - sum_l g(N_l - n_tl)] / N, and only pairs that
    occur differ from the last sum without the tag: no table of tags x labels is needed.
    """
    both, of_label = pairs["both"].to_numpy(), pairs["in_label"].to_numpy()
    gain = _x_log_x(both) + _x_log_x(of_label - both) - _x_log_x(of_label)
    tags = (
        pairs.with_columns(pl.Series("gain", gain))
        .group_by("tag", maintain_order=True)
        .agg(pl.col("with_tag").first(), pl.col("gain").sum())
    )
    with_tag, rows = tags["with_tag"].to_numpy(), int(in_label.sum())
    untouched = float(_x_log_x(in_label).sum())
    left = (_x_log_x(with_tag) + _x_log_x(rows - with_tag) - tags["gain"].to_numpy() - untouched) / rows
    return zip(tags["tag"], left, strict=True)


def _naming(pairs: pl.DataFrame, per_label: pl.DataFrame, tolerance: float) -> tuple[list[str], float]:
    """Return the tags that name one value of the label each, and what all of them leave open of the label, in bits.

    A tag names a value if it leaves at most `tolerance` of the entropy of "has this value" open. What is left is the
    entropy of the values that none names, over the samples that have those.
    """
    rows = int(per_label["in_label"].sum())
    both, with_tag, of_label = (pairs[name].to_numpy().astype(np.int64) for name in ("both", "with_tag", "in_label"))
    table = np.stack([both, with_tag - both, of_label - both, rows - with_tag - of_label + both])
    has_value = _x_log_x(np.array(rows)) - _x_log_x(np.stack([of_label, rows - of_label])).sum(axis=0)
    left = _x_log_x(np.stack([with_tag, rows - with_tag])).sum(axis=0) - _x_log_x(table).sum(axis=0)
    naming = pairs.filter(left <= tolerance * has_value + 1e-12 * rows)
    unnamed = per_label.join(naming, on="label", how="anti")["in_label"].to_numpy()
    return naming["tag"].unique(maintain_order=True).to_list(), count_entropy(unnamed) * float(unnamed.sum()) / rows


def _x_log_x(counts: np.ndarray) -> np.ndarray:
    numbers = counts.astype(np.float64)
    return numbers * np.log2(np.maximum(numbers, 1.0))
