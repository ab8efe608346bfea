"""The picture of each row of a raw table."""

from collections.abc import Iterator

import polars as pl

from weakcl_pipeline.attributes.schema import null_missing
from weakcl_pipeline.images.decode import Box
from weakcl_pipeline.images.pack import Encoded, Part
from weakcl_pipeline.sources.checks import read_boxes
from weakcl_pipeline.sources.roles import IngestionConfig


def pictures(raw: pl.DataFrame, config: IngestionConfig) -> Iterator[Encoded]:
    """Yield what `pack_images` reads: the picture as the table has it, or the box of it that is the sample.

    Args:
        raw: A raw table that `read_samples` accepts.
        config: Names the picture column and the columns of the boxes.
    """
    images = null_missing(raw[config.image_column], [""])
    if config.box_columns is None:
        yield from images
        return
    for image, *box in zip(images, *read_boxes(raw, config, name="the table of samples"), strict=True):
        yield image if image is None or None in box else Part(image, Box(*box))
