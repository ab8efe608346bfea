"""Nodes that train one method again and again, each time with one thing changed."""

import logging
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
from matplotlib.figure import Figure
from pydantic import Field, model_validator

from weakcl_pipeline.attributes import (
    Affinity,
    AffinityConfig,
    AttributeKind,
    AttributeSpec,
    ClusteringConfig,
    FittedClustering,
    FittingData,
    as_assignment,
)
from weakcl_pipeline.attributes.affinity import comparable
from weakcl_pipeline.attributes.schema import Schema
from weakcl_pipeline.attributes.synthetic import delete_cells, merge_classes, shuffle_attributes, split_classes
from weakcl_pipeline.config import Config
from weakcl_pipeline.contrastive import SideInformation, TrainingConfig
from weakcl_pipeline.contrastive.objectives import AffinityInfoNCEConfig
from weakcl_pipeline.contrastive.sampler import SAMPLERS
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.evaluation import EvaluationConfig, Setting, run_setting, study_figure
from weakcl_pipeline.images import open_store
from weakcl_pipeline.pipelines.clustering.nodes import chosen_specs, clusters_at, fit
from weakcl_pipeline.pipelines.samples import Rows, cluster_ids, known_attributes, label_ids, train_rows
from weakcl_pipeline.seeding import numpy_generator

logger = logging.getLogger(__name__)

NAMESPACE = "study"  # of these nodes in the pipeline, and so of what they make in the catalog

Repeats = Mapping[str, Mapping[int, pl.DataFrame]]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]


class StudyConfig(Config):
    """What the studies vary.

    Attributes:
        label: The label whose classes the synthetic clusters are made from; the first one where not given.
        epochs: Of each training, in place of ``training.epochs``: a study has many trainings.
        merged: Numbers of clusters that the classes are merged into, beside the classes themselves.
        split: Numbers of parts that each class is split into.
        noise: Shares of the binary attributes that are turned into noise; of the attribute columns, where the cluster
            rule looks at more than their binary form.
        missing: Shares of the cells that are deleted: of the attribute table, where a cell may be a whole list of tags,
            and, where the cluster rule looks at binary attributes, of their table, one by one.
        batch_sizes: Sizes of a batch.
        temperatures: Temperatures of the objective.
    """

    label: str | None = None
    epochs: int = Field(default=8, ge=1)
    merged: tuple[Count, ...] = (1, 2, 3, 5)
    split: tuple[Count, ...] = (2, 4, 16, 64, 256)
    noise: tuple[Share, ...] = (0.0, 0.25, 0.5, 0.75)
    missing: tuple[Share, ...] = (0.0, 0.1, 0.3, 0.5)
    batch_sizes: tuple[Annotated[int, Field(ge=2)], ...] = (32, 64, 128)
    temperatures: tuple[Annotated[float, Field(gt=0)], ...] = (0.05, 0.1, 0.2, 0.4)

    @model_validator(mode="after")
    def _something_to_vary(self) -> Self:
        for one, other in (("noise", "missing"), ("batch_sizes", "temperatures")):
            if not getattr(self, one) and not getattr(self, other):
                raise ValueError(f"{one} and {other} are empty, and are one study; --nodes leaves out a whole one")
        return self


def study_synthetic(
    samples: pl.DataFrame,
    study: StudyConfig,
    training: TrainingConfig,
    evaluation: EvaluationConfig,
    seed: int,
    image_store: pa.Table,
    checkpoints: Path,
) -> pl.DataFrame:
    """Train on clusters made from the classes: merged ones know less of them, split ones know what they do not ask."""
    classes = label_ids(samples)[_label(samples, study)]
    training = _shortened(training, study)
    full = len(np.unique(classes[classes >= 0]))
    settings = [
        Setting("merged", count, merge_classes(classes, count), training)
        for count in sorted({*(count for count in study.merged if count < full), full})
    ]
    settings += [
        Setting("split", parts, split_classes(classes, parts, _draws(seed, "split", parts)), training)
        for parts in sorted({1, *study.split})
    ]
    return _run(settings, samples, evaluation, seed, image_store, checkpoints)


def study_degraded(
    samples: pl.DataFrame,
    study: StudyConfig,
    training: TrainingConfig,
    evaluation: EvaluationConfig,
    seed: int,
    clustering: ClusteringConfig,
    affinity: AffinityInfoNCEConfig,
    affinity_kernel: AffinityConfig,
    image_store: pa.Table,
    attributes: pl.LazyFrame,
    attribute_schema: Schema,
    checkpoints: Path,
) -> pl.DataFrame:
    """Train on attributes of which a share is noise, and on attributes of which a share is missing.

    Missing cells are studied with ``affinity`` too, which is made to bear them, where there are attributes to compare.
    """
    training = _shortened(training, study)
    train = (samples["split"] == "train").to_numpy()
    used = chosen_specs(attribute_schema, clustering)
    given = _Form("missing", attributes.select(list(used)).collect(), used, affinity_kernel)
    seen = _as_seen(given, train, clustering)
    settings = []
    for count, share in _counts_of(study.noise, seen.table.width).items():
        noisy = shuffle_attributes(seen.table, count, _draws(seed, "noise", share))
        ids = _chosen(fit(FittingData(noisy, seen.specs, train, seed), clustering, training), samples)
        settings.append(Setting("noise", round(count / seen.table.width, 2), ids, training, chosen=count == 0))
    for form, share in product([given] if seen is given else [given, seen], study.missing):
        table = delete_cells(form.table, share, _draws(seed, form.variable, share))
        data = FittingData(table, form.specs, train, seed)
        ids = _chosen(fit(data, _within(clustering, data, share), training), samples)
        settings.append(Setting(form.variable, share, ids, training, chosen=share == 0))
        if not comparable(form.specs):
            continue
        side = SideInformation(
            attributes=known_attributes(samples, data.binary),
            affinity=Affinity(table[train_rows(samples)], form.specs, form.kernel),
        )
        settings.append(Setting(form.variable, share, ids, training, "affinity", affinity, side))
    return _run(settings, samples, evaluation, seed, image_store, checkpoints)


def study_granularities(
    samples: pl.DataFrame,
    study: StudyConfig,
    training: TrainingConfig,
    evaluation: EvaluationConfig,
    seed: int,
    clustering: ClusteringConfig,
    image_store: pa.Table,
    clusters: pl.DataFrame,
    checkpoints: Path,
) -> pl.DataFrame:
    """Train on every granularity, with uniform and with cluster-aware batches.

    The granularity that `full` trains on is marked where the sampler is the configured one.
    """
    training = _shortened(training, study)
    rows = train_rows(samples)
    at = {k: clusters_at(clusters, k) for k in clustering.granularities}
    settings = [
        Setting(
            f"granularity, {name} batches",
            k,
            as_assignment(at[k])[rows],
            _changed(training, "sampler", name=name),
            chosen=name == training.sampler.name and at[k].equals(clusters["cluster"]),
        )
        for name in SAMPLERS
        for k in at
    ]
    return _run(settings, samples, evaluation, seed, image_store, checkpoints)


def study_batches(
    samples: pl.DataFrame,
    study: StudyConfig,
    training: TrainingConfig,
    evaluation: EvaluationConfig,
    seed: int,
    image_store: pa.Table,
    clusters: pl.DataFrame,
    checkpoints: Path,
) -> pl.DataFrame:
    """Train with other batch sizes and other temperatures."""
    training = _shortened(training, study)
    ids = cluster_ids(samples, clusters)
    sizes = _batch_sizes(study, training, len(ids))
    settings = [
        Setting(
            "batch size",
            size,
            ids,
            training.model_copy(update={"batch_size": size}),
            chosen=size == training.batch_size,
        )
        for size in sizes
    ]
    settings += [
        Setting(
            "temperature",
            temperature,
            ids,
            _changed(training, "objective", temperature=temperature),
            chosen=temperature == training.objective.temperature,
        )
        for temperature in study.temperatures
    ]
    return _run(settings, samples, evaluation, seed, image_store, checkpoints)


def _batch_sizes(study: StudyConfig, training: TrainingConfig, n_samples: int) -> list[int]:
    """Return the sizes of a batch that the train split fills; the others are left out, and the log says so."""
    if study.batch_sizes:
        training.sampler.require_room(min(study.batch_sizes), "study.batch_sizes")
    fitting = [size for size in study.batch_sizes if size <= n_samples]
    too_large = [size for size in study.batch_sizes if size > n_samples]
    more = f"more than the {n_samples} samples of the train split"
    if not fitting and not study.temperatures:
        msg = f"study.batch_sizes: all are {more}, and study.temperatures is empty, so there is nothing to train"
        raise InputError(msg)
    if too_large:
        logger.warning("study.batch_sizes: %s left out, %s", ", ".join(map(str, too_large)), more)
    return fitting


def draw_study(samples: pl.DataFrame, study: StudyConfig, repeats: Repeats, **tables: pl.DataFrame) -> Figure:
    """Draw accuracy against what was varied, and against the information of the clusters, means over all seeds.

    Args:
        samples: Says which label the study is about.
        study: The same.
        repeats: The tables of this run and of earlier ones: name in the catalog -> seed -> table.
        **tables: What the nodes above made.
    """
    by_seed = [repeats.get(f"{NAMESPACE}.{name}", {None: table}) for name, table in tables.items()]
    found = [table for known in by_seed for table in known.values()]
    return study_figure(pl.concat(found, how="diagonal"), _label(samples, study))


def _run(
    settings: Sequence[Setting],
    samples: pl.DataFrame,
    evaluation: EvaluationConfig,
    seed: int,
    image_store: pa.Table,
    checkpoints: Path,
) -> pl.DataFrame:
    images = open_store(image_store)
    return pl.concat(run_setting(setting, images, samples, evaluation, seed, checkpoints) for setting in settings)


def _label(samples: pl.DataFrame, study: StudyConfig) -> str:
    labels = list(label_ids(samples))
    if not labels or (study.label is not None and study.label not in labels):
        known = ", ".join(labels) or "none"
        msg = f"study.label: {study.label or 'a study'} needs a label column of ingestion.labels; there are: {known}"
        raise InputError(msg)
    return study.label or labels[0]


def _shortened(training: TrainingConfig, study: StudyConfig) -> TrainingConfig:
    return training.model_copy(update={"epochs": study.epochs})


def _changed(training: TrainingConfig, group: str, **values: Any) -> TrainingConfig:
    return training.model_copy(update={group: getattr(training, group).model_copy(update=values)})


class _Form(NamedTuple):
    """Attributes in a form in which they can be made worse.

    Attributes:
        variable: What a study that deletes cells of the table is called.
        table: Typed columns of all samples.
        specs: Their specification.
        kernel: Of their affinity.
    """

    variable: str
    table: pl.DataFrame
    specs: Mapping[str, AttributeSpec]
    kernel: AffinityConfig


def _as_seen(given: _Form, train: npt.NDArray[np.bool_], clustering: ClusteringConfig) -> _Form:
    """Return the attributes as the cluster rule sees them: each binary one by itself, or as they are given."""
    if not clustering.rule.on_binary or all(spec.kind == AttributeKind.BOOL for spec in given.specs.values()):
        return given
    data = FittingData(given.table, given.specs, train)
    columns = {counted.indicator.name: counted.indicator.column for counted in data.counted}
    weights = {name: given.kernel.weights[of] for name, of in columns.items() if of in given.kernel.weights}
    specs = dict.fromkeys(columns, AttributeSpec(kind=AttributeKind.BOOL))
    return _Form("missing one by one", data.binary, specs, given.kernel.model_copy(update={"weights": weights}))


def _within(clustering: ClusteringConfig, data: FittingData, share: float) -> ClusteringConfig:
    """Return the clustering of as many binary attributes as the cells that are left make, where a rule counts these.

    A tag that few train samples still have is no attribute any more; a granularity of more of them than there are
    takes all.
    """
    if not clustering.rule.on_binary:
        return clustering
    left = len(data.counted)
    if not left:
        msg = f"study.missing: with a share of {share:g} deleted no binary attribute is left. Lower it, or min_count"
        raise InputError(msg)
    granularities = tuple(sorted({min(k, left) for k in clustering.granularities}))
    chosen = clustering.granularity if clustering.granularity == "auto" else min(clustering.granularity, left)
    return clustering.model_copy(update={"granularities": granularities, "granularity": chosen})


def _counts_of(shares: Sequence[float], columns: int) -> dict[int, float]:
    """Return the different numbers of columns that shares of them come to, each with the first share that does."""
    counts: dict[int, float] = {}
    for share in shares:
        counts.setdefault(round(share * columns), share)
    return counts


def _chosen(fitted: tuple[FittedClustering, pl.DataFrame], samples: pl.DataFrame) -> Rows:
    """Return the cluster of each sample of the train split at the chosen granularity, int64 (N,), -1 for none."""
    _, clusters = fitted
    return as_assignment(clusters["cluster"])[train_rows(samples)]


def _draws(seed: int, what: str, value: float) -> np.random.Generator:
    return numpy_generator(seed, f"study of {what}", str(value))
