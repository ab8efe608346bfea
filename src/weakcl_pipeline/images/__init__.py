"""Pictures: decoding, the packed store, and augmentation for whole batches."""

from weakcl_pipeline.images.augment import Augmentation, AugmentationConfig
from weakcl_pipeline.images.decode import Box, ImagesConfig, decode
from weakcl_pipeline.images.pack import Part, pack_images
from weakcl_pipeline.images.store import PackedImages

__all__ = ["Augmentation", "AugmentationConfig", "Box", "ImagesConfig", "PackedImages", "Part", "decode", "pack_images"]
