"""The claims of the paper, each held against what was measured.

A claim says that a method is above others. It is looked at in every cell, a label by a probe, as the paired difference
in test accuracy with its interval over test samples and seeds. A difference counts for the claim, or against it, where
its interval excludes 0, and is open otherwise. The verdict is of the probes on all train labels, as in the paper; those
on few labels are told beside it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from weakcl_pipeline.evaluation.accuracies import Accuracies
from weakcl_pipeline.evaluation.bootstrap import interval_columns, named_interval
from weakcl_pipeline.evaluation.methods import LOWER, METHOD, UPPER, describe_method
from weakcl_pipeline.evaluation.probes import share_of

Verdict = Literal["holds", "holds in part", "contradicted in part", "does not hold", "open", "not measured"]

_MOST = 0.5  # of a gap
_SCHEMA = pl.Schema(
    {"claim": pl.Int64()}
    | dict.fromkeys(["label", "probe", "method", "rival"], pl.String())
    | {"seeds": pl.List(pl.Int64())}
    | dict.fromkeys([*interval_columns("difference"), *interval_columns("gap_closed")], pl.Float64())
)


@dataclass(frozen=True)
class Claim:
    """What is claimed of a method.

    Attributes:
        number: The paper's first, second and third, and what goes beyond it.
        text: The claim in words.
        method: The method that it is about.
        rivals: The methods that it must be above.
        command: What measures it, beside the environment and the parameters of a run.
        needs_attributes: Whether it is about auxiliary information, which not all data have.
        closes_gap: Whether most of the gap between the references must be closed, too.
    """

    number: int
    text: str
    method: str
    rivals: tuple[str, ...]
    command: str
    needs_attributes: bool = False
    closes_gap: bool = False


OTHER_WAYS = ("cluster_cross_entropy", "attribute_prediction", "cmc")
"""To use auxiliary information."""

CLAIMS = (
    Claim(
        1,
        "Auxiliary information closes most of the gap between self-supervised and supervised representations",
        METHOD,
        (LOWER,),
        "kedro run",
        needs_attributes=True,
        closes_gap=True,
    ),
    Claim(
        2,
        "Cl-InfoNCE beats the other ways to use auxiliary information",
        METHOD,
        OTHER_WAYS,
        "kedro run --pipelines=compare",
        needs_attributes=True,
    ),
    Claim(
        3,
        "With k-means clusters, Cl-InfoNCE is a strong unsupervised learner",
        "iterative",
        (LOWER, "pcl", "swav"),
        "kedro run --pipelines=compare",
    ),
    Claim(
        4,
        "Beyond the paper: affinities of attributes, in place of hard clusters, beat these and the other ways",
        "affinity",
        (METHOD, *OTHER_WAYS),
        "kedro run --pipelines=compare",
        needs_attributes=True,
    ),
)


@dataclass(frozen=True)
class Judgement:
    """What the measurements say of a claim.

    Attributes:
        claim: The claim.
        verdict: ``holds`` where every difference counts for it; ``holds in part`` where some do and none against it;
            ``contradicted in part`` where some count for it and some against; ``does not hold`` where some count
            against it and none for it; ``open`` where none counts. The first claim needs half of the gap closed too,
            beyond chance.
        text: The verdict in figures, and what the probes on few labels say.
        rows: Of the claims' table, in its order, by probes on all train labels.
        few_label_rows: Likewise, by probes on few labels.
    """

    claim: Claim
    verdict: Verdict
    text: str
    rows: pl.DataFrame
    few_label_rows: pl.DataFrame

    @property
    def command(self) -> str:
        """What measures the claim with the seeds that it was measured with."""
        seeds = sorted({seed for found in self.rows["seeds"] for seed in found})
        if len(seeds) > 1:
            return f"for seed in {' '.join(map(str, seeds))}; do {self.claim.command} --params=seed=$seed; done"
        return f"{self.claim.command} --params=seed={seeds[0]}" if any(seeds) else self.claim.command


def check_claims(accuracies: Mapping[tuple[str, str], Accuracies], confidence: float) -> pl.DataFrame:
    """Tabulate the differences that the claims are about.

    Args:
        accuracies: Of the methods, as far as they were trained.
        confidence: Of the intervals.

    Returns:
        A row for each claim, label, probe, and rival: ``claim`` (its number), ``label``, ``probe``, ``method``,
        ``rival``, ``seeds`` (those that both have), ``difference`` (method minus rival, in shares) and ``gap_closed``
        (by the method; null where there is no gap beyond chance, and for all claims but the first), both with ``_low``
        and ``_high``.
    """
    rows: list[dict[str, Any]] = []
    for claim in CLAIMS:
        for (label, probe), measured in accuracies.items():
            for rival in claim.rivals:
                difference = measured.difference(claim.method, rival, confidence)
                if difference is None:
                    continue
                gap = measured.gap_closed(claim.method, LOWER, UPPER, confidence) if claim.closes_gap else None
                rows.append(
                    {
                        "claim": claim.number,
                        "label": label,
                        "probe": probe,
                        "method": claim.method,
                        "rival": rival,
                        "seeds": measured.shared_seeds(claim.method, rival),
                    }
                    | named_interval("difference", difference)
                    | named_interval("gap_closed", gap)
                )
    return pl.DataFrame(rows, schema=_SCHEMA)


def judge(claims: pl.DataFrame) -> list[Judgement]:
    """Say of each claim whether it holds, from the table of :func:`check_claims`."""
    few = pl.col("probe").is_in([probe for probe in claims["probe"].unique() if share_of(probe)])
    rows = {claim: claims.filter(claim=claim.number) for claim in CLAIMS}
    return [_judge(claim, found.filter(~few), found.filter(few)) for claim, found in rows.items()]


def _judge(claim: Claim, rows: pl.DataFrame, few_label_rows: pl.DataFrame) -> Judgement:
    missing = [describe_method(name).title for name in claim.rivals if name not in rows["rival"]]
    if rows.is_empty():
        where = ", where there are attributes" if claim.needs_attributes else ""
        text = f"Not measured in this run; `{claim.command}` does{where}, with the other options of this run."
        return Judgement(claim, "not measured", text, rows, few_label_rows)
    won, lost = _beyond_chance(rows)
    title = describe_method(claim.method).title
    text = f"{title}, of {rows.height} differences to {_names(rows)}: {_counts(rows)}."
    shares = rows.select(interval_columns("gap_closed")).drop_nulls()
    if claim.closes_gap:
        text += f" {_gap(shares)}"
    if missing:
        was, them = ("was", "it") if len(missing) == 1 else ("were", "them")
        text += f" {', '.join(missing)} {was} not trained; `{claim.command}`, with the other options of this run,"
        text += f" trains {them}."
    if len(few_label_rows):
        text += f" With few labels, of {few_label_rows.height} differences: {_counts(few_label_rows)}."
    closed = len(shares) > 0 and (shares["gap_closed_low"] >= _MOST).all()
    enough = not missing and (closed or not claim.closes_gap)
    return Judgement(claim, _verdict(won, lost, rows.height, enough=enough), text, rows, few_label_rows)


def _beyond_chance(rows: pl.DataFrame) -> tuple[int, int]:
    """Return how many differences are above 0, and below."""
    return rows.filter(pl.col("difference_low") > 0).height, rows.filter(pl.col("difference_high") < 0).height


def _counts(rows: pl.DataFrame) -> str:
    won, lost = _beyond_chance(rows)
    return f"{won} above 0, {lost} below, {rows.height - won - lost} that may be due to chance"


def _verdict(won: int, lost: int, total: int, *, enough: bool) -> Verdict:
    if lost:
        return "contradicted in part" if won else "does not hold"
    if won == total and enough:
        return "holds"
    return "holds in part" if won else "open"


def _gap(shares: pl.DataFrame) -> str:
    if shares.is_empty():
        return "There is no gap to supervised training beyond chance, or it was not measured."
    told = [f"{share:.0%} ({low:.0%} to {high:.0%})" for share, low, high in shares.rows()]
    return f"Where there is a gap, {' and '.join(told)} of it is closed."


def _names(rows: pl.DataFrame) -> str:
    return ", ".join(describe_method(name).title for name in rows["rival"].unique(maintain_order=True))
