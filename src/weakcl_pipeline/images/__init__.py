"""Pictures: decoding, the packed store, and augmentation for whole batches."""

from weakcl_pipeline.images.augment import Augmentation, AugmentationConfig
from weakcl_pipeline.images.decode import ImagesConfig, decode
from weakcl_pipeline.images.pack import pack_images
from weakcl_pipeline.images.store import PackedImages

__all__ = ["Augmentation", "AugmentationConfig", "ImagesConfig", "PackedImages", "decode", "pack_images"]
