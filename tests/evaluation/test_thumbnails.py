import base64
import io

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from tests.evaluation.data import make_images, make_samples
from weakcl_pipeline.evaluation.thumbnails import figure_uri, thumbnail


def decode(uri):
    head, content = uri.split(",")
    assert head == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(content)))


def test_small_pictures_come_back_bit_for_bit():
    images = make_images(make_samples(), size=8)
    expected = images.read([17])[0].permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(np.asarray(decode(thumbnail(images, 17))), expected)


def test_large_pictures_are_shrunk():
    images = make_images(make_samples(train=4, val=4, test=4), size=200)
    assert decode(thumbnail(images, 0)).size == (96, 96)


def test_the_same_figure_gives_the_same_bytes():
    uris = []
    for _ in range(2):
        figure = Figure()
        figure.subplots().scatter([0, 1], [1, 0], clip_on=True)
        uris.append(figure_uri(figure))
    assert uris[0] == uris[1]
