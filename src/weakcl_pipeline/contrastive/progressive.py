"""Small views first: most of what they teach costs a fraction there."""

from pydantic import Field

from weakcl_pipeline.config import Config
from weakcl_pipeline.errors import InputError


class ProgressiveConfig(Config):
    """Progressive resizing, as in Tan and Le, "EfficientNetV2" (ICML 2021, section 4.2), in two stages.

    Attributes:
        size: Side of the views of the first epochs, in pixels; the later ones train on pictures as they are stored.
        share: The share of all epochs that train on small views.
    """

    size: int = Field(ge=1)
    share: float = Field(ge=0, le=1)


def view_size(config: ProgressiveConfig | None, epoch: int, epochs: int, stored: int) -> int:
    """Return the side of an epoch's views in pixels.

    Args:
        config: None means the stored size throughout.
        epoch: The epoch, from 0.
        epochs: Their number.
        stored: Side of the stored pictures in pixels.

    Raises:
        InputError: If the small views would be larger than the stored pictures.
    """
    if config is None:
        return stored
    if config.size > stored:
        msg = f"training.progressive.size: {config.size} px is more than the {stored} px of the stored pictures"
        raise InputError(msg)
    return config.size if epoch < round(config.share * epochs) else stored
