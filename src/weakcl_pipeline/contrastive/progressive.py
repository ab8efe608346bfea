"""Small views first: most of what they teach costs a fraction there."""

from pydantic import Field

from weakcl_pipeline.config import Config


class ProgressiveConfig(Config):
    """Progressive resizing, as in Tan and Le, "EfficientNetV2" (ICML 2021, section 4.2), in two stages.

    Attributes:
        scale: Side of the views of the first epochs, as a fraction of the stored pictures'; the later epochs train on
            pictures as they are stored.
        share: The share of all epochs that train on small views.
    """

    scale: float = Field(gt=0, le=1)
    share: float = Field(ge=0, le=1)


def view_size(config: ProgressiveConfig | None, epoch: int, epochs: int, stored: int) -> int:
    """Return the side of an epoch's views in pixels.

    Args:
        config: None means the stored size throughout.
        epoch: The epoch, from 0.
        epochs: Their number.
        stored: Side of the stored pictures in pixels.
    """
    if config is None or epoch >= round(config.share * epochs):
        return stored
    return max(1, round(config.scale * stored))
