"""The views of a batch: two of full size, and small crops where the objective asks for them."""

import torch
from torch import Tensor

from weakcl_pipeline.contrastive.objectives.base import FULL_VIEWS, SmallCrops
from weakcl_pipeline.images import Augmentation, AugmentationConfig


class Views:
    """Makes the views of pictures.

    Args:
        config: How pictures are augmented; small crops differ in their area alone.
        small_crops: Further views, cut small.
    """

    def __init__(self, config: AugmentationConfig, small_crops: SmallCrops | None = None) -> None:
        self._full = Augmentation(config)
        self._crops = small_crops
        if small_crops is not None:
            self._small = Augmentation(config.model_copy(update={"crop_scale": small_crops.scale}))

    def __call__(
        self, pictures: Tensor, size: int, generator: torch.Generator, part: slice | None = None, count: int = 0
    ) -> list[Tensor]:
        """Make the views of a batch, those of one size in one tensor, one view of all pictures after the other.

        Args:
            pictures: uint8 (B, 3, H, W).
            size: Side of the two full views in pixels.
            generator: CPU generator.
            part: Where the pictures are some of a larger batch: which. They get the views that they have there.
            count: The pictures of that batch.

        Returns:
            float32 (2 B, 3, size, size) in [0, 1], and where there are small crops, likewise (count B, 3, ...).
        """

        def of(augmentation: Augmentation, views: int, side: int) -> Tensor:
            repeated = torch.cat([pictures] * views)
            return augmentation(repeated, generator, (side, side), None if part is None else _rows(part, count, views))

        made = [of(self._full, FULL_VIEWS, size)]
        if (crops := self._crops) is not None:
            made.append(of(self._small, crops.count, crops.size))
        return made


def _rows(part: slice, count: int, views: int) -> tuple[Tensor, int]:
    """Return where a part of a batch is in all of its views, one after the other, and how many pictures these have."""
    rows = torch.arange(count)[part] + count * torch.arange(views)[:, None]
    return rows.flatten(), count * views
