"""Nodes of the pipeline `apply`: new samples -> their clusters and embeddings; nothing is fitted or trained."""

import logging
from typing import Any

import polars as pl
import pyarrow as pa
from pydantic import field_validator

from weakcl_pipeline.attributes import columns_of
from weakcl_pipeline.attributes.clustering import FittedClustering
from weakcl_pipeline.attributes.rules import State
from weakcl_pipeline.attributes.schema import Schema
from weakcl_pipeline.config import Config, suggestion
from weakcl_pipeline.contrastive import EncoderState, TrainingConfig
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.evaluation.methods import METHODS
from weakcl_pipeline.images import open_store
from weakcl_pipeline.pipelines.evaluation.nodes import embed_pictures
from weakcl_pipeline.sources import IngestionConfig, accept_new, read_new_samples

logger = logging.getLogger(__name__)


class ApplyConfig(Config):
    """What new samples are embedded by.

    Attributes:
        method: The method whose encoder it is; the catalog entry `applied.encoder` follows.
    """

    method: str = "attribute"

    @field_validator("method")
    @classmethod
    def _is_trained(cls, name: str) -> str:
        trained = [method.name for method in METHODS if method.trained]
        if name not in trained:
            raise ValueError(f"no method has this name, or it has no encoder{suggestion(name, trained)}")
        return name


def type_new_samples(new_samples: pl.LazyFrame, attribute_schema: Schema, ingestion: IngestionConfig) -> pl.DataFrame:
    """Give the columns of new samples the types that those of the old ones have.

    Args:
        new_samples: In the form of `raw_samples`; split, labels and group may be missing.
        attribute_schema: Of the old samples.
        ingestion: The roles of the columns.

    Returns:
        `applied.sample_table`.
    """
    return read_new_samples(new_samples, ingestion, attribute_schema)


def accept_new_samples(
    sample_table: pl.LazyFrame, image_rejects: pl.DataFrame, attribute_schema: Schema
) -> tuple[pl.DataFrame, pl.LazyFrame, pl.DataFrame]:
    """Send the rows without a usable picture to quarantine.

    Args:
        sample_table: Every new row, typed.
        image_rejects: The pictures that failed, with reasons.
        attribute_schema: Of the old samples.

    Returns:
        `applied.samples`, `applied.attributes` and `applied.quarantine`.
    """
    return accept_new(sample_table, image_rejects, attribute_schema)


def assign_clusters(attributes: pl.LazyFrame, cluster_rule: State) -> pl.DataFrame:
    """Cluster new samples by the rule that the old ones were clustered by.

    Args:
        attributes: Typed columns of the new samples.
        cluster_rule: The fitted rule.

    Returns:
        `applied.clusters`, in the form of `clusters`; an old sample has the clusters it had.
    """
    fitted = FittedClustering.from_state(*cluster_rule)
    return attributes.select("sample_id").collect().hstack(fitted.assign(columns_of(attributes)))


def embed_new_pictures(
    encoder: EncoderState, image_store: pa.Table, training: TrainingConfig, apply: ApplyConfig
) -> pl.DataFrame:
    """Compute the features of every new picture: ``sample_id`` and ``embedding``, float32 (F,).

    Raises:
        InputError: The pictures are not of the size that the encoder was trained on.
    """
    stored, trained = open_store(image_store).size, encoder[1]["image_size"]
    if stored != trained:
        raise InputError(
            f"images.size: the new pictures were packed at {stored} px, but the encoder of '{apply.method}' was trained"
            f" at {trained} px. Set images.size to {trained}, or train anew."
        )
    return embed_pictures(encoder, image_store, training)


def summarise_new(
    samples: pl.DataFrame,
    quarantine: pl.DataFrame,
    clusters: pl.DataFrame,
    embeddings: pl.DataFrame,
    apply: ApplyConfig,
) -> dict[str, Any]:
    """Count what came of the new samples.

    Args:
        samples: The accepted ones.
        quarantine: The rejected ones.
        clusters: Of the accepted ones, null where the rule knows no cluster.
        embeddings: Of the accepted ones.
        apply: Whose encoder it was.

    Returns:
        `applied.summary`.
    """
    clustered = {name: clusters[name].count() for name in clusters.columns if name != "sample_id"}
    logger.info(
        "%s new samples: %s in a known cluster, %s embedded by '%s', %s in quarantine",
        samples.height + quarantine.height, clustered["cluster"], embeddings.height, apply.method, quarantine.height,
    )  # fmt: skip
    return {
        "rows": samples.height + quarantine.height,
        "accepted": samples.height,
        "quarantined": quarantine.height,
        "clustered": clustered,
        "method": apply.method,
        "features": embeddings.schema["embedding"].shape[0],  # type: ignore[attr-defined]
    }
