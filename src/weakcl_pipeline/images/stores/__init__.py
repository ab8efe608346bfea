"""The picture store: all pictures at one size in an Arrow table, by the way in which they are kept there."""

import pyarrow as pa

from weakcl_pipeline.images.stores.base import ImageStore
from weakcl_pipeline.images.stores.encoded import EncodedStore
from weakcl_pipeline.images.stores.pixels import PixelStore, pixel_table

STORES: dict[str, type[ImageStore]] = {"pixels": PixelStore, "encoded": EncodedStore}
"""What `images.storage` may name."""


def open_store(table: pa.Table) -> ImageStore:
    """Return the reader of a picture store, whichever kind it is.

    Raises:
        InputError: If the table is none.
    """
    layout = (table.schema.metadata or {}).get(b"layout", b"").decode()
    return next((store for store in STORES.values() if store.layout == layout), PixelStore)(table)


__all__ = ["STORES", "EncodedStore", "ImageStore", "PixelStore", "open_store", "pixel_table"]
