"""Pictures of the store as they go into a page."""

import base64
import io

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from PIL import Image

from weakcl_pipeline.images import ImageStore

_LARGEST = 96  # px; a thumbnail that is shown smaller need not be larger


def thumbnail(images: ImageStore, row: int) -> str:
    """Return a picture of the store as a data URI, PNG of 96 px at most."""
    pixels: npt.NDArray[np.uint8] = images.read(np.array([row]))[0].permute(1, 2, 0).contiguous().numpy()
    picture = Image.fromarray(pixels)
    picture.thumbnail((_LARGEST, _LARGEST))
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return _data_uri("image/png", buffer.getvalue())


def figure_uri(figure: Figure) -> str:
    """Return a figure as a data URI, SVG; the same figure gives the same bytes.

    matplotlib puts the time and random identifiers into an SVG unless it is told not to.
    """
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "weakcl_pipeline"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return _data_uri("image/svg+xml", buffer.getvalue())


def _data_uri(media_type: str, content: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"
