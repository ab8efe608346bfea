"""The claims of the paper, each held against what was measured.

A claim says that a method is above others. It is looked at in every cell, a label by a probe, as the paired difference
in test accuracy with its interval over test samples and seeds. The words count the differences whose own interval
excludes 0. Of many differences some do so by chance, so one counts for the claim, or against it, only where it is
beyond chance with all differences of the claim taken together, and is open otherwise. The verdict is of the probes on
all train labels, as in the paper; those on few labels are told beside it.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from weakcl_pipeline.evaluation.accuracies import Accuracies
from weakcl_pipeline.evaluation.bootstrap import interval_columns, named_interval, p_value, read_interval
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
        command: What measures it where there are attributes, beside the environment and the parameters of a run.
        closes_gap: Whether most of the gap between the references must be closed, too.
        without_attributes: What measures it where there are none, if that can be.
    """

    number: int
    text: str
    method: str
    rivals: tuple[str, ...]
    command: str
    closes_gap: bool = False
    without_attributes: str | None = None

    def advice(self, helps: str) -> str:
        """Return a sentence about what measures it, with a verb: how that helps."""
        others = f"; where there are none, `{self.without_attributes}`" if self.without_attributes else ""
        where = f"where there are attributes{others}"
        return f"With the environment and parameters of this run, `{self.command}` {helps} {where}."


OTHER_WAYS = ("cluster_cross_entropy", "attribute_prediction", "cmc")
"""To use auxiliary information."""

CLAIMS = (
    Claim(
        1,
        "Auxiliary information closes most of the gap between self-supervised and supervised representations",
        METHOD,
        (LOWER,),
        "kedro run",
        closes_gap=True,
    ),
    Claim(
        2,
        "Cl-InfoNCE beats the other ways to use auxiliary information",
        METHOD,
        OTHER_WAYS,
        "kedro run --pipelines=compare",
    ),
    Claim(
        3,
        "With k-means clusters, Cl-InfoNCE is a strong unsupervised learner",
        "iterative",
        (LOWER, "pcl", "swav"),
        "kedro run --pipelines=compare",
        without_attributes="kedro run --pipelines=compare_pictures",
    ),
    Claim(
        4,
        "Beyond the paper: affinities of attributes, in place of hard clusters, beat these and the other ways",
        "affinity",
        (METHOD, *OTHER_WAYS),
        "kedro run --pipelines=compare",
    ),
)


@dataclass(frozen=True)
class Judgement:
    """What the measurements say of a claim.

    Attributes:
        claim: The claim.
        verdict: ``holds`` where every difference counts for it; ``holds in part`` where some do and none against it;
            ``contradicted in part`` where some count for it and some against; ``does not hold`` where some count
            against it and none for it; ``open`` where none counts. A difference counts where it is beyond chance with
            all of them taken together. The first claim needs half of the gap closed too, beyond chance.
        text: The verdict in figures, and what the probes on few labels say.
        rows: Of the claims' table, in its order, by probes on all train labels.
        few_label_rows: Likewise, by probes on few labels.
    """

    claim: Claim
    verdict: Verdict
    text: str
    rows: pl.DataFrame
    few_label_rows: pl.DataFrame

    def command(self, *parameters: str) -> str:
        """Return what measures the claim with the seeds that it was measured with, and with more ``name=value``."""
        seeds = sorted({int(seed) for found in self.rows["seeds"] for seed in found})
        if not seeds:
            return self.claim.command
        seed = "$seed" if len(seeds) > 1 else seeds[0]
        command = f"{self.claim.command} --params={','.join([f'seed={seed}', *parameters])}"
        return f"for seed in {' '.join(map(str, seeds))}; do {command}; done" if len(seeds) > 1 else command


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


def judge(claims: pl.DataFrame, comparison: pl.DataFrame, confidence: float, supervised_label: str) -> list[Judgement]:
    """Say of each claim whether it holds.

    Args:
        claims: As :func:`check_claims` returns it.
        comparison: Of the same methods, as :func:`weakcl_pipeline.evaluation.compare` returns it.
        confidence: Of the intervals in both.
        supervised_label: The label that the supervised method was trained on.
    """
    few = pl.col("probe").is_in([probe for probe in comparison["probe"].unique() if share_of(probe)])
    supervised = comparison.filter(~few, method=UPPER, label=supervised_label)
    judgements = []
    for claim in CLAIMS:
        found = claims.filter(claim=claim.number)
        rows, few_label_rows = found.filter(~few), found.filter(few)
        sentences = [
            *_differences(claim, rows, confidence),
            *([_gap(rows, supervised)] if claim.closes_gap and len(rows) else []),
            *_missing(claim, rows, comparison["method"].unique()),
            *_few_labels(few_label_rows),
            *_single_seeds(rows),
        ]
        verdict = _verdict(claim, rows, confidence)
        judgements.append(Judgement(claim, verdict, " ".join(sentences), rows, few_label_rows))
    return judgements


def _verdict(claim: Claim, rows: pl.DataFrame, confidence: float) -> Verdict:
    if rows.is_empty():
        return "not measured"
    won, lost = _beyond_chance(_together(rows, confidence))
    if lost:
        return "contradicted in part" if won else "does not hold"
    shares = rows["gap_closed_low"].drop_nulls()
    closed = len(shares) > 0 and (shares >= _MOST).all()
    enough = set(claim.rivals) <= set(rows["rival"]) and (closed or not claim.closes_gap)
    if won == rows.height and enough:
        return "holds"
    return "holds in part" if won else "open"


def _together(rows: pl.DataFrame, confidence: float) -> pl.DataFrame:
    """Return the differences that are beyond chance with all of them taken together, by Holm's procedure.

    So the probability that one of them or more is there by chance is 1 - confidence at most (Holm 1979, "A Simple
    Sequentially Rejective Multiple Test Procedure"), however the differences depend on each other.
    """
    values = [p_value(read_interval(row, "difference"), confidence) for row in rows.iter_rows(named=True)]
    ranked = rows.with_columns(p=pl.Series(values, dtype=pl.Float64)).sort("p").with_row_index("smaller")
    adjusted = (pl.col("p") * (rows.height - pl.col("smaller"))).cum_max()
    return ranked.filter(adjusted < 1 - confidence)


def _beyond_chance(rows: pl.DataFrame) -> tuple[int, int]:
    """Return how many differences are above 0, and below, each by its own interval."""
    return rows.filter(pl.col("difference_low") > 0).height, rows.filter(pl.col("difference_high") < 0).height


def _differences(claim: Claim, rows: pl.DataFrame, confidence: float) -> list[str]:
    """Count the differences, and where that may be less, those that remain with all of them taken together."""
    if rows.is_empty():
        return []
    told = [f"{_title(claim.method)}, of {_number(rows)} to {_names(rows['rival'])}: {_counts(rows)}."]
    if rows.height > 1 and any(_beyond_chance(rows)):
        won, lost = _beyond_chance(_together(rows, confidence))
        told.append(f"With all of them taken together, {won} above and {lost} below remain beyond chance.")
    return told


def _gap(rows: pl.DataFrame, supervised: pl.DataFrame) -> str:
    shares = rows.select(interval_columns("gap_closed")).drop_nulls()
    if len(shares):
        return f"Where there is a gap, {' and '.join(_closed(*share) for share in shares.rows())} of it is closed."
    if (supervised["difference_high"] < 0).any():
        return "Supervised training does not help, so there is no gap to close."
    return "There is no gap to supervised training beyond chance, or it was not measured."


def _closed(share: float, low: float, high: float) -> str:
    return f"{f'{share:.0%}' if share > 0 else 'nothing'} ({low:.0%} to {high:.0%})"


def _missing(claim: Claim, rows: pl.DataFrame, trained: Collection[str]) -> list[str]:
    """Say which rivals are not in the rows, why, and what helps."""
    missing = [name for name in claim.rivals if name not in rows["rival"]]
    apart = [name for name in missing if name in trained and claim.method in trained]
    untrained = [name for name in missing if name not in trained]
    if rows.is_empty() and not apart:
        return [f"Not measured in this run. {claim.advice('measures it')}"]
    told = []
    if apart:
        both = f"{_title(claim.method)} and {_names(apart)}"
        told.append(f"{both} have no seed in common, so they do not compare; train them with the same seed.")
    if untrained:
        was, them = ("was", "it") if len(untrained) == 1 else ("were", "them")
        told.append(f"{_names(untrained)} {was} not trained. {claim.advice(f'trains {them}')}")
    return told


def _few_labels(rows: pl.DataFrame) -> list[str]:
    return [f"With few labels, of {_number(rows)}: {_counts(rows)}."] if len(rows) else []


def _single_seeds(rows: pl.DataFrame) -> list[str]:
    """Say what intervals miss where every difference is of a single seed."""
    if rows.is_empty() or rows["seeds"].list.len().max() != 1:
        return []
    return ["That is one training of each: how trainings differ by their seed is not covered; more seeds tell."]


def _counts(rows: pl.DataFrame) -> str:
    won, lost = _beyond_chance(rows)
    return f"{won} above 0, {lost} below, {rows.height - won - lost} that may be due to chance"


def _number(rows: pl.DataFrame) -> str:
    return f"{rows.height} difference{'s' * (rows.height > 1)}"


def _names(methods: Iterable[str]) -> str:
    return ", ".join(_title(name) for name in dict.fromkeys(methods))


def _title(method: str) -> str:
    return describe_method(method).title
