"""Pictures: decoding, the packed store, and augmentation for whole batches."""

from weakcl_pipeline.images.augment import Augmentation, AugmentationConfig
from weakcl_pipeline.images.decode import Box, ImagesConfig, decode
from weakcl_pipeline.images.pack import Part, pack_images
from weakcl_pipeline.images.stores import ImageStore, open_store

__all__ = [
    "Augmentation",
    "AugmentationConfig",
    "Box",
    "ImageStore",
    "ImagesConfig",
    "Part",
    "decode",
    "open_store",
    "pack_images",
]
