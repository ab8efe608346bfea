"""Nodes of the stage `clustering`: attributes -> fitted cluster rule and clusters -> report."""

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from matplotlib.figure import Figure

from weakcl_pipeline import attributes as rules
from weakcl_pipeline.attributes.clustering import (
    ClusteringConfig,
    FittedClustering,
    as_assignment,
    choose_attributes,
    column_of,
)
from weakcl_pipeline.attributes.plot import plot_granularities
from weakcl_pipeline.attributes.report import assemble_report, describe_granularity, describe_largest
from weakcl_pipeline.attributes.rules import FittingData, State
from weakcl_pipeline.attributes.schema import AttributeSpec, Schema, specs_of
from weakcl_pipeline.contrastive.sampler import Clusters, Rows, SamplerConfig, draw_batches, has_partner, partner_share
from weakcl_pipeline.contrastive.trainer import TrainingConfig
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.seeding import numpy_generator
from weakcl_pipeline.sources import label_columns


def form_clusters(
    attributes: pl.LazyFrame,
    attribute_schema: Schema,
    clustering: ClusteringConfig,
    training: TrainingConfig,
    seed: int,
) -> tuple[pl.LazyFrame, State, pl.LazyFrame]:
    """Fit the rule, cluster every sample at every granularity and choose one for training; no label is looked at.

    Args:
        attributes: Typed columns, and the splits, of which train is what the rule is fitted on.
        attribute_schema: How each column is read.
        clustering: Rule, granularities and criterion.
        training: Its batches decide at which granularity anchors have partners.
        seed: For the simulated batches, and for rules that draw.

    Returns:
        `binary_attributes`: `sample_id` and nullable Boolean columns, chosen on the train split; `cluster_rule`, which
        clusters any later table; and `clusters`: `sample_id`, `top_<k>` for every k, and `cluster`, the chosen one.
    """
    columns = rules.columns_of(attributes)
    train = (columns["split"] == "train").to_numpy()
    data = FittingData(columns, chosen_specs(attribute_schema, clustering), train, seed)
    fitted, clusters = fit(data, clustering, training)
    ids = attributes.lazy().select("sample_id")
    return _beside(ids, data.binary), fitted.to_state(), _beside(ids, clusters)


def _beside(ids: pl.LazyFrame, columns: pl.DataFrame) -> pl.LazyFrame:
    """Columns with the ids of their rows before them, which are read no sooner than they are written."""
    return pl.concat([ids, columns.lazy()], how="horizontal")


def fit(
    data: FittingData, clustering: ClusteringConfig, training: TrainingConfig
) -> tuple[FittedClustering, pl.DataFrame]:
    """Fit the rule on the train split, and cluster every sample.

    Args:
        data: The attributes that take part, and the train split.
        clustering: Rule, granularities and criterion.
        training: Its batches decide at which granularity anchors have partners.
    """

    def meets(k: int, ids: Clusters) -> npt.NDArray[np.bool_]:
        return has_partner(_simulate_epoch(ids, training, training.sampler, data.seed, k), ids)

    return rules.fit_clustering(data, clustering, meets)


def chosen_specs(attribute_schema: Schema, clustering: ClusteringConfig) -> dict[str, AttributeSpec]:
    """Return the attribute columns that take part in clustering, with their specification."""
    specs = specs_of(attribute_schema)
    return {name: specs[name] for name in choose_attributes(specs, clustering)}


def clusters_at(clusters: pl.DataFrame, k: int) -> pl.Series:
    """Return the cluster of each sample at a granularity.

    Raises:
        InputError: The clusters were made for other granularities, as they are where that parameter changed since.
    """
    if column_of(k) not in clusters.columns:
        msg = (
            f"clustering.granularities: {k} is not among those that the clusters were made for; they have the columns "
            f"{', '.join(clusters.columns)}. Run clustering again with these parameters, or ask for granularities that "
            "are there"
        )
        raise InputError(msg)
    return clusters[column_of(k)]


def report_clusters(
    samples: pl.DataFrame,
    binary_attributes: pl.DataFrame,
    clusters: pl.DataFrame,
    cluster_rule: State,
    *,
    clustering: ClusteringConfig,
    training: TrainingConfig,
    seed: int,
) -> tuple[dict[str, Any], Figure]:
    """Measure the clusters of the train split, alone and against the labels.

    Args:
        samples: Splits and labels.
        binary_attributes: To say what the members of a cluster have in common.
        clusters: Of the same rows.
        cluster_rule: What clustered them, which knows the granularity that training uses.
        clustering: Granularities and criterion.
        training: Batch size and sampler, for the share of anchors that have a partner.
        seed: For the shuffles and the simulated batches.

    Returns:
        `cluster_report` and `cluster_plot`.

    Raises:
        InputError: The clusters were made by another rule or choice than the parameters ask for.
    """
    fitted = FittedClustering.from_state(*cluster_rule)
    _require_same_choice(fitted, clustering)
    train = samples["split"] == "train"
    labels = {name: label.filter(train) for name, label in label_columns(samples).items()}
    figures = {}
    for k in clustering.granularities:
        assigned = as_assignment(clusters_at(clusters, k).filter(train))
        figures[k] = describe_granularity(
            assigned,
            labels,
            batch_size=training.batch_size,
            shuffles=clustering.shuffles,
            rng=numpy_generator(seed, "shuffled information", k),
        )
        aware = training.sampler.model_copy(update={"name": "cluster_aware"})
        # Simulated: the formula for uniform batches has no counterpart here.
        figures[k]["partner_share_cluster_aware"] = partner_share(
            _simulate_epoch(assigned, training, aware, seed, k), assigned
        )
        drawn = _simulate_epoch(assigned, training, training.sampler, seed, k)
        figures[k]["bits_learned"] = rules.bits_learned(assigned, has_partner(drawn, assigned))
    report = assemble_report(figures, clustering, fitted.chosen, batch_size=training.batch_size)
    binary = binary_attributes.drop("sample_id")
    report["attributes"] = [
        {"name": name, "entropy": bits}
        for name, bits in rules.rank_by_entropy(binary, train.to_numpy())[: max(clustering.granularities)]
    ]
    report["largest_clusters"] = describe_largest(
        as_assignment(clusters["cluster"].filter(train)), binary.filter(train)
    )
    return report, plot_granularities(report)


def _require_same_choice(fitted: FittedClustering, clustering: ClusteringConfig) -> None:
    same_rule = fitted.name == clustering.rule.name
    could_choose = clustering.granularities if clustering.granularity == "auto" else (clustering.granularity,)
    if not same_rule or fitted.chosen not in could_choose:
        asked = f"{clustering.rule.name} at {', '.join(map(str, could_choose))}"
        msg = (
            f"clustering: the clusters were made by the rule {fitted.name}, and training uses"
            f" {column_of(fitted.chosen)} of them, but the parameters ask for {asked}. Run clustering again with these"
            " parameters, or give those that the clusters were made with"
        )
        raise InputError(msg)


def _simulate_epoch(ids: Clusters, training: TrainingConfig, sampler: SamplerConfig, seed: int, k: int) -> list[Rows]:
    """Draw an epoch of batches, the same whenever the same is asked for.

    Raises:
        InputError: If a batch is larger than the train split.
    """
    if training.batch_size > len(ids):
        msg = f"training.batch_size: {training.batch_size} is more than the {len(ids)} samples of the train split"
        raise InputError(msg)
    return draw_batches(ids, training.batch_size, sampler, numpy_generator(seed, "simulated epoch", k))
