"""The report: one HTML page that needs nothing else, for people who do not look at code."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl
from jinja2 import Environment, PackageLoader, StrictUndefined
from pydantic import Field

from weakcl_pipeline.config import Config
from weakcl_pipeline.evaluation.accuracies import supervised_label
from weakcl_pipeline.evaluation.bootstrap import as_percent
from weakcl_pipeline.evaluation.claims import Judgement, judge
from weakcl_pipeline.evaluation.claims_figure import claim_figure
from weakcl_pipeline.evaluation.figures import comparison_figure, histories_figure
from weakcl_pipeline.evaluation.gallery import ClusterCard, Gallery
from weakcl_pipeline.evaluation.methods import LOWER, describe_method, in_order
from weakcl_pipeline.evaluation.probes import FEW_LABEL, PROBES, share_of, short_title
from weakcl_pipeline.evaluation.task import Floats
from weakcl_pipeline.evaluation.thumbnails import figure_uri
from weakcl_pipeline.evaluation.verdict import verdict
from weakcl_pipeline.images import ImageStore

_CLASSES_NAMED = 12  # of a label, in the data set card
_NONE = "\N{EN DASH}"  # what a table shows where there is no figure


class ReportConfig(Config):
    """How much the report shows.

    Attributes:
        largest_clusters: Largest clusters shown with pictures.
        typical_clusters: Typical clusters, those around the cluster of the median picture.
        cluster_pictures: Pictures of each of these clusters.
        queries: Test pictures shown with their neighbours.
        neighbours: Nearest train pictures of each, by method.
    """

    largest_clusters: int = Field(default=4, ge=0)
    typical_clusters: int = Field(default=4, ge=0)
    cluster_pictures: int = Field(default=16, ge=1)
    queries: int = Field(default=6, ge=0)
    neighbours: int = Field(default=8, ge=1)


@dataclass(frozen=True, kw_only=True)
class ReportContent:
    """What a report is made from.

    Attributes:
        samples: N accepted samples.
        images: The store, in the same order.
        ingestion_summary: The artifact of that name.
        cluster_report: The artifact of that name; none without attribute clusters, as for the next two.
        clusters: The column ``cluster`` says who was whose positive.
        binary_attributes: Boolean columns of the samples.
        histories: Method -> its history.
        embeddings: Method -> features, float32 (N, D).
        metrics: Method -> its metrics.
        comparison: As :func:`weakcl_pipeline.evaluation.compare` returns it.
        claims: As :func:`weakcl_pipeline.evaluation.check_claims` returns it.
        lineage: Artifact -> ``version`` and ``hash`` (None where not known) of what the report was made from, and
            ``repeats``, with a ``seed`` each, of the same artifact from other seeds; empty outside a recorded run.
        differences: Parameters in which the compared methods differ, and should not -> their values in words.
        confidence: Of the comparison's intervals.
        seed: Of the run.
    """

    samples: pl.DataFrame
    images: ImageStore
    ingestion_summary: Mapping[str, Any]
    cluster_report: Mapping[str, Any] | None = None
    clusters: pl.DataFrame | None = None
    binary_attributes: pl.DataFrame | None = None
    histories: Mapping[str, pl.DataFrame]
    embeddings: Mapping[str, Floats]
    metrics: Mapping[str, Mapping[str, Any]]
    comparison: pl.DataFrame
    claims: pl.DataFrame
    lineage: Mapping[str, Mapping[str, Any]]
    differences: Mapping[str, str] = field(default_factory=dict)
    confidence: float
    seed: int


def build_report(content: ReportContent, config: ReportConfig) -> str:
    """Render the report; the same content gives the same page.

    Args:
        content: What to tell of.
        config: How much of it.
    """
    labels = content.comparison["label"].unique(maintain_order=True).to_list()
    gallery = Gallery(content.samples, content.images, labels[0], content.seed)
    largest, typical = _cluster_cards(gallery, content, config)
    trained_on, seeds = supervised_label(content.samples), content.comparison["seeds"]
    judgements = judge(content.claims, content.comparison, content.confidence, trained_on)
    queries = gallery.queries(content.embeddings, count=config.queries, neighbours=config.neighbours)
    return (
        _environment()
        .get_template("report.html.jinja")
        .render(
            verdict=verdict(content.comparison, content.confidence, trained_on),
            summary=content.ingestion_summary,
            label_cards=_label_cards(content.ingestion_summary),
            report=content.cluster_report,
            largest_clusters=largest,
            typical_clusters=typical,
            never_clustered=_never_clustered(content.histories),
            learning_curves=figure_uri(histories_figure(content.histories)) if content.histories else None,
            comparison_plot=figure_uri(comparison_figure(content.comparison, content.confidence)),
            claims=[_claim_section(judgement, content.confidence) for judgement in judgements],
            tables=[_comparison_table(label, content.comparison) for label in labels],
            lower=LOWER,
            few_label=_few_label_table(labels, content.comparison, content.metrics),
            first_label=labels[0],
            supervised_label=trained_on,
            queries=queries,
            lineage=_lineage_rows(content.lineage),
            differences=content.differences,
            repeated=any(entry["repeats"] for entry in content.lineage.values()),
            confidence=as_percent(content.confidence),
            one_in=1 / (1 - content.confidence),
            seed=content.seed,
            seeds=seeds.explode().unique().sort().to_list(),
            several_seeds=(seeds.list.len() > 1).any(),
            seeds_differ=seeds.n_unique() > 1,
            image_size=content.images.size,
        )
    )


def _cluster_cards(
    gallery: Gallery, content: ReportContent, config: ReportConfig
) -> tuple[list[ClusterCard], list[ClusterCard]]:
    if content.clusters is None or content.binary_attributes is None:
        return [], []
    return gallery.clusters(
        content.clusters["cluster"],
        content.binary_attributes.drop("sample_id"),
        largest=config.largest_clusters,
        typical=config.typical_clusters,
        pictures=config.cluster_pictures,
    )


def _lineage_rows(lineage: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str, Mapping[str, Any]]]:
    """Return a row for each artifact, and one for each of its repeats: its name, whose it is, its version and hash."""
    rows: list[tuple[str, str, Mapping[str, Any]]] = []
    for name, entry in sorted(lineage.items()):
        rows.append((name, "", entry))
        rows += [(name, _of_seed(repeat["seed"]), repeat) for repeat in entry["repeats"]]
    return rows


def _of_seed(seed: int | None) -> str:
    return " of another seed" if seed is None else f" of seed {seed}"


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("weakcl_pipeline.evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": _percent, "points": _points, "number": _number}
    return environment


def _percent(share: float | None, digits: int = 1) -> str:
    return _NONE if share is None else f"{100 * share:.{digits}f}%".replace("-", "\N{MINUS SIGN}")


def _points(share: float | None) -> str:
    """Format a difference of shares in points, with a true minus sign."""
    return _NONE if share is None else f"{100 * share:+.1f}".replace("-", "\N{MINUS SIGN}")


def _number(value: float | None, digits: int = 0) -> str:
    return _NONE if value is None else f"{value:,.{digits}f}"


def _label_cards(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Describe each label: its number of classes, the most frequent of them, and how many samples have none."""
    cards = []
    for name, counts in summary["labels"].items():
        top = list(counts.items())[:_CLASSES_NAMED]
        others = len(counts) - len(top)
        unlabelled = summary["unlabelled"].get(name, 0)
        cards.append({"name": name, "classes": len(counts), "top": top, "others": others, "unlabelled": unlabelled})
    return cards


def _comparison_table(label: str, comparison: pl.DataFrame) -> dict[str, Any]:
    """Gather a label's rows: a row for each method, with its figures by every probe on all train labels."""
    found = comparison.filter(pl.col("label") == label)
    by_probe = {
        probe: {row["method"]: row for row in found.filter(pl.col("probe") == probe).iter_rows(named=True)}
        for probe in PROBES
    }
    best = {probe: max((row["accuracy"] for row in rows.values()), default=None) for probe, rows in by_probe.items()}
    methods = in_order({name for rows in by_probe.values() for name in rows})
    seeds = dict(found.select("method", "seeds").iter_rows())
    rows = [
        {"method": describe_method(name), "seeds": seeds[name]}
        | {probe: rows.get(name) for probe, rows in by_probe.items()}
        for name in methods
    ]
    return {
        "label": label,
        "samples": found["samples"].max(),
        "groups": found["groups"].max(),
        "seeds_differ": found["seeds"].n_unique() > 1,
        "rows": rows,
        "best": best,
    }


def _never_clustered(histories: Mapping[str, pl.DataFrame]) -> list[str]:
    """Return the titles of methods that were to cluster while they were trained, and ended before they did."""
    described = [describe_method(name) for name in in_order(histories)]
    clustered = {
        name for name, history in histories.items() if any(column.startswith("inertia") for column in history.columns)
    }
    return [method.title for method in described if method.clusters and method.name not in clustered]


def _claim_section(judgement: Judgement, confidence: float) -> dict[str, Any]:
    """Describe a claim: its verdict and figure, and a table each for probes on all train labels and on few."""
    parts = [part for part in (judgement.rows, judgement.few_label_rows) if len(part)]
    plot = figure_uri(claim_figure(pl.concat(parts), confidence)) if parts else None
    return {"judgement": judgement, "plot": plot, "tables": [_claim_table(part) for part in parts]}


def _claim_table(differences: pl.DataFrame) -> dict[str, Any]:
    """Gather a claim's differences: a row for each rival and the seeds that both have, a column for each measure."""
    columns = differences.select("label", "probe").unique(maintain_order=True).rows()
    found = {(row["rival"], row["label"], row["probe"]): row for row in differences.iter_rows(named=True)}
    rivals = differences.select("rival", "seeds").unique("rival", maintain_order=True).rows()
    return {
        "columns": [{"label": label, "probe": short_title(probe)} for label, probe in columns],
        "rows": [
            {
                "rival": describe_method(rival).title,
                "seeds": seeds,
                "cells": [found.get((rival, *column)) for column in columns],
            }
            for rival, seeds in rivals
        ],
    }


def _few_label_table(
    labels: Sequence[str], comparison: pl.DataFrame, metrics: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Gather the few-label probes: a column for each label and share, a row for each method."""
    shares = {probe: share for probe in comparison["probe"].unique(maintain_order=True) if (share := share_of(probe))}
    few = comparison.filter(pl.col("probe").is_in(list(shares)))
    columns = [(label, probe) for label in labels for probe in shares]
    cells = {(row["method"], row["label"], row["probe"]): row for row in few.iter_rows(named=True)}
    methods = in_order(few["method"].unique().to_list())
    heads = {
        label: [{"share": share, "samples": _train_samples(label, share, metrics)} for share in shares.values()]
        for label in labels
    }
    rows = [
        {"method": describe_method(name), "cells": [cells.get((name, *column)) for column in columns]}
        for name in methods
    ]
    return {"labels": heads, "rows": rows}


def _train_samples(label: str, share: str, metrics: Mapping[str, Mapping[str, Any]]) -> int | None:
    for found in metrics.values():
        few = found["labels"].get(label, {}).get(FEW_LABEL, {})
        if share in few:
            return int(few[share]["train_samples"])
    return None
