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

    def __call__(self, pictures: Tensor, size: int, generator: torch.Generator) -> list[Tensor]:
        """Make the views of a batch, those of one size in one tensor, one view of all pictures after the other.

        Args:
            pictures: uint8 (B, 3, H, W).
            size: Side of the two full views in pixels.
            generator: CPU generator.

        Returns:
            float32 (2 B, 3, size, size) in [0, 1], and where there are small crops, likewise (count B, 3, ...).
        """
        views = [self._full(torch.cat([pictures] * FULL_VIEWS), generator, size=(size, size))]
        if (crops := self._crops) is not None:
            small = self._small(torch.cat([pictures] * crops.count), generator, size=(crops.size, crops.size))
            views.append(small)
        return views
