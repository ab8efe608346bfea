"""Nodes of the stage `ingestion`: raw table and pictures -> samples, attributes and the picture store."""

from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from weakcl_pipeline.attributes.schema import Schema
from weakcl_pipeline.images.decode import ImagesConfig
from weakcl_pipeline.images.pack import pack_images as pack
from weakcl_pipeline.sources import IngestionConfig, accept, collected, pictures, read_samples


def type_samples(raw_samples: pl.LazyFrame, ingestion: IngestionConfig) -> tuple[pl.LazyFrame, Schema]:
    """Give the raw columns their roles and types, and check them before any picture is decoded.

    Args:
        raw_samples: The table as the source has it.
        ingestion: The roles of its columns.

    Returns:
        `sample_table` and `attribute_schema`.
    """
    return read_samples(raw_samples, ingestion)


def pack_images(
    raw_samples: pl.LazyFrame,
    sample_table: pl.LazyFrame,
    ingestion: IngestionConfig,
    images: ImagesConfig,
    image_shards: Path,
) -> tuple[pa.Table, pl.DataFrame]:
    """Decode, check and resize every picture once.

    Args:
        raw_samples: Holds the encoded pictures, or their paths; `new_samples` where the pipeline is `apply`.
        sample_table: The same rows, typed.
        ingestion: Names the picture column, and those of the boxes.
        images: Size and bounds.
        image_shards: Where the pictures lie on their way to the store, from which a killed run goes on.

    Returns:
        `image_store` and `image_rejects`.
    """
    columns = raw_samples.select(ingestion.image_column, *(ingestion.box_columns or ()))
    raw = collected(columns, "the table of samples")
    ids = sample_table.select("sample_id").collect().to_series()
    return pack(zip(ids, pictures(raw, ingestion), strict=True), images, image_shards)


def accept_samples(
    sample_table: pl.LazyFrame,
    image_rejects: pl.DataFrame,
    attribute_schema: Schema,
    ingestion: IngestionConfig,
) -> tuple[pl.LazyFrame, pl.LazyFrame, pl.DataFrame, dict[str, Any]]:
    """Send the rows without a usable picture to quarantine.

    Args:
        sample_table: Every row of the source, typed.
        image_rejects: The pictures that failed, with reasons.
        attribute_schema: The schema of the attribute columns.
        ingestion: The roles of the columns.

    Returns:
        `samples`, `attributes`, `quarantine` and `ingestion_summary`.
    """
    return accept(sample_table, image_rejects, attribute_schema, ingestion)
