"""What the clusters are like: figures per granularity, and what the members of a cluster have in common."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from weakcl_pipeline.attributes.clustering import ClusteringConfig, column_of
from weakcl_pipeline.attributes.granularity import expected_partner_share
from weakcl_pipeline.attributes.measures import count_entropy, mutual_information, shuffled_mutual_information


def describe_granularity(
    clusters: npt.NDArray[np.int64],
    labels: Mapping[str, pl.Series],
    *,
    batch_size: int,
    shuffles: int,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Figures of one clustering of the train split; information in bits, shares in [0, 1].

    Args:
        clusters: (N,) ids; -1 = no cluster.
        labels: Label name -> N label values, null = unlabelled. A label's figures are over the samples that
            have both a label and a cluster.
        batch_size: Of the training, for the share of anchors that have a partner in a uniform batch.
        shuffles: Random pairings that the shuffled I(Z;T) is averaged over.
        rng: Source of the shuffles.

    Returns:
        `clusters`, `singletons` (clusters of one sample), `largest_share`, `unclustered_share`, `H(Z)`,
        `partner_share_uniform`, and per label under `labels`:
        `samples`, `H(T)`, `I(Z;T)`, `H(Z|T)` and `I(Z;T) shuffled`.
    """
    clustered = clusters >= 0
    _, sizes = np.unique(clusters[clustered], return_counts=True)
    return {
        "clusters": len(sizes),
        "singletons": int((sizes == 1).sum()),
        "largest_share": float(sizes.max(initial=0)) / max(1, len(clusters)),
        "unclustered_share": 1.0 - float(clustered.sum()) / max(1, len(clusters)),
        "H(Z)": count_entropy(sizes),
        "partner_share_uniform": expected_partner_share(clusters, batch_size),
        "labels": {name: _against_label(clusters, label, shuffles=shuffles, rng=rng) for name, label in labels.items()},
    }


def _against_label(
    clusters: npt.NDArray[np.int64], label: pl.Series, *, shuffles: int, rng: np.random.Generator
) -> dict[str, float]:
    both = label.is_not_null().to_numpy() & (clusters >= 0)
    known, assigned = label.filter(pl.Series(both)), clusters[both]
    shared = mutual_information(assigned, known)
    return {
        "samples": len(known),
        "H(T)": count_entropy(known.value_counts()["count"].to_numpy()),
        "I(Z;T)": shared,
        "H(Z|T)": max(0.0, count_entropy(np.unique(assigned, return_counts=True)[1]) - shared),
        "I(Z;T) shuffled": shuffled_mutual_information(assigned, known, shuffles=shuffles, rng=rng),
    }


def describe_largest(
    clusters: npt.NDArray[np.int64], binary: pl.DataFrame, *, largest: int = 20, features: int = 5
) -> list[dict[str, Any]]:
    """What the members of the largest clusters have in common.

    Args:
        clusters: (N,) ids; -1 = no cluster.
        binary: Boolean attributes of the same N samples.
        largest: How many clusters to describe.
        features: How many attributes to name per cluster, at most.

    Returns:
        Per cluster, largest first: its id, its `size`, and the attributes that at least half the members
        have and that are more frequent in it than elsewhere, those with the greatest surplus first.
    """
    ids, sizes = np.unique(clusters[clusters >= 0], return_counts=True)
    names = np.array(binary.columns, dtype=np.str_)
    overall = _shares(binary)
    found = []
    for position in np.lexsort((ids, -sizes))[:largest]:
        members = binary.filter(pl.Series(clusters == ids[position]))
        inside = _shares(members)
        common = np.flatnonzero((inside >= 0.5) & (inside > overall))
        common = common[np.argsort(overall[common] - inside[common], kind="stable")][:features]
        found.append(
            {
                "cluster": int(ids[position]),
                "size": int(sizes[position]),
                "attributes": [str(name) for name in names[common]],
            }
        )
    return found


def _shares(binary: pl.DataFrame) -> npt.NDArray[np.float64]:
    """How many of the rows have each attribute, (M,), of those of which it is known."""
    return np.array([column.mean() or 0.0 for column in binary], dtype=np.float64)


def assemble_report(
    figures: Mapping[int, dict[str, Any]], config: ClusteringConfig, chosen: int, *, batch_size: int
) -> dict[str, Any]:
    """The head of `cluster_report`: the chosen granularity and why, over the figures of each.

    Args:
        figures: Granularity -> its figures (`describe_granularity`), and `bits_learned` of `attributes.granularity`.
        config: The rule and the criterion.
        chosen: The granularity that training uses.
        batch_size: Of the training, in samples.
    """
    criterion = "the granularity from whose clusters an anchor learns the most bits in the batches of training"
    return {
        "rule": config.rule.name,
        "granularity_is": config.rule.granularity_is,
        "chosen": column_of(chosen),
        "chosen_granularity": chosen,
        "criterion": criterion if config.granularity == "auto" else "set by clustering.granularity",
        "batch_size": batch_size,
        "labels": list(figures[chosen]["labels"]),
        "granularities": [{"granularity": k, "column": column_of(k)} | entry for k, entry in figures.items()],
    }
