"""The encoded store gives the pixels that the pixel store gives, and decodes them when they are read."""

import pickle
import threading
import time

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

from tests.images.test_decode import encode
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.files import map_table, write_table
from weakcl_pipeline.images.decode import Box, ImagesConfig
from weakcl_pipeline.images.pack import Part, pack_images
from weakcl_pipeline.images.stores import EncodedStore, PixelStore, encoded, open_store

SIZE, PICTURES = 16, 150


def photographs():
    """Pictures of all sizes, some with transparency, some as parts."""
    rng = np.random.default_rng(0)
    for number in range(PICTURES):
        height, width = rng.integers(8, 60, 2)
        channels = 4 if number % 5 == 0 else 3
        image = Image.fromarray(rng.integers(0, 256, (height, width, channels), dtype=np.uint8))
        picture = encode(image, "JPEG" if channels == 3 and number % 2 else "PNG")
        yield f"id{number}", Part(picture, Box(1, 2, 5, 4)) if number % 7 == 0 else picture


def packed(folder, storage, **config):
    settings = ImagesConfig(size=SIZE, storage=storage, background=(9, 200, 30), **config)
    return pack_images(photographs(), settings, folder)[0]


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    return {storage: open_store(packed(folder, storage)) for storage in ("pixels", "encoded")}


def test_the_kind_is_told_by_the_table(stores):
    assert [type(store) for store in stores.values()] == [PixelStore, EncodedStore]
    assert [store.size for store in stores.values()] == [SIZE, SIZE]
    assert stores["encoded"].sample_ids == stores["pixels"].sample_ids


def test_reads_the_same_pixels(stores):
    rows = np.array([149, 0, 7, 7, 35, 64, 128, 3])
    read = stores["encoded"].read(rows)
    assert torch.equal(read, stores["pixels"].read(rows))
    assert read.dtype == torch.uint8
    assert read.is_contiguous(memory_format=torch.channels_last)
    assert stores["encoded"].read([]).shape == (0, 3, SIZE, SIZE)
    with pytest.raises(IndexError, match="150 rows"):
        stores["encoded"].read([150])


def test_the_same_statistics(stores):
    rows = np.arange(10, 90)
    assert stores["encoded"].channel_statistics(rows) == stores["pixels"].channel_statistics(rows)


@pytest.mark.parametrize("sizes", [[], [5], [5, 5], [1, 0, 40, 3, 3, 20]])
def test_reading_ahead_gives_every_batch_in_its_turn(stores, sizes):
    rng = np.random.default_rng(0)
    batches = [rng.integers(0, PICTURES, size) for size in sizes]
    for kind in stores.values():
        read = list(kind.read_ahead(iter(batches)))
        assert len(read) == len(batches)
        assert all(torch.equal(a, stores["pixels"].read(rows)) for a, rows in zip(read, batches, strict=True))


def test_decodes_while_the_caller_works_and_no_further(stores, monkeypatch):
    decoded, original = [], encoded.decode
    lock = threading.Lock()

    def counting(*arguments):
        with lock:
            decoded.append(1)
        return original(*arguments)

    monkeypatch.setattr(encoded, "decode", counting)
    reading = stores["encoded"].read_ahead(np.arange(start, start + 10) for start in range(0, 150, 10))
    next(reading)
    deadline = time.monotonic() + 30
    while len(decoded) < 30 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    assert len(decoded) == 30  # the batch that was asked for, and two more
    reading.close()


def test_a_slice_has_the_pictures_of_its_rows(stores, tmp_path):
    table = packed(tmp_path, "encoded").slice(60, 20)
    assert torch.equal(open_store(table).read(range(20)), stores["pixels"].read(range(60, 80)))


def test_digests_change_with_picture_box_and_way_of_reading(tmp_path):
    digests = set()
    for folder, box, shade, size in (("a", 3, 0, 8), ("b", 4, 0, 8), ("c", 3, 1, 8), ("d", 3, 0, 9)):
        picture = encode(Image.new("RGB", (6, 6), (shade, 0, 0)))
        source = [("a", Part(picture, Box(0, 0, box, 3))), ("b", picture)]
        table, _ = pack_images(source, ImagesConfig(size=size, storage="encoded"), tmp_path / folder)
        digests.add(b"".join(open_store(table).digests(np.arange(2))))
        assert b"".join(open_store(table).digests(np.arange(2))) in digests
    assert len(digests) == 4


def test_broken_pictures_go_to_the_rejects(tmp_path):
    picture = encode(Image.new("RGB", (9, 9)))
    source = [("fine", picture), ("cut", picture[:-20]), ("none", None)]
    table, rejects = pack_images(source, ImagesConfig(size=8, storage="encoded", max_bad_fraction=0.9), tmp_path)
    assert open_store(table).sample_ids == ["fine"]
    assert table["encoded"][0].as_py() == picture
    assert rejects["sample_id"].to_list() == ["cut", "none"]


def test_a_picture_that_broke_in_the_store_is_named(tmp_path):
    table = packed(tmp_path, "encoded").slice(0, 3)
    cells = table["encoded"].to_pylist()
    cells[1] = cells[1][:-30]
    table = table.set_column(1, table.schema.field("encoded"), pa.array(cells, pa.large_binary()))
    with pytest.raises(InputError, match=r"image_store: the picture of sample 'id1' is broken .*ingestion"):
        open_store(table).read([0, 1, 2])


def test_takes_the_room_of_the_files(tmp_path):
    rng = np.random.default_rng(0)
    smooth = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)).resize((600, 400))
    source = [(f"id{number}", encode(smooth, "JPEG")) for number in range(20)]
    sizes = {
        storage: pack_images(source, ImagesConfig(size=224, storage=storage), tmp_path / storage)[0].nbytes
        for storage in ("pixels", "encoded")
    }
    assert sizes["encoded"] < sizes["pixels"] / 5
    assert sizes["encoded"] == pytest.approx(sum(len(picture) for _, picture in source), rel=0.02)


@pytest.mark.parametrize("storage", ["pixels", "encoded"])
def test_another_process_maps_the_file_that_a_store_is_mapped_from(stores, tmp_path, storage):
    def unpickled_pictures(pickled):
        return pickle.loads(pickled).read([3, 0, PICTURES - 1])  # noqa: S301

    expected = stores[storage].read([3, 0, PICTURES - 1])
    table = stores[storage]._table
    metadata = {key: value for key, value in table.schema.metadata.items() if key != b"mapped_from"}
    assert torch.equal(unpickled_pictures(pickle.dumps(open_store(table.replace_schema_metadata(metadata)))), expected)
    write_table(table, tmp_path / "store.arrow")
    of_file = pickle.dumps(open_store(map_table(tmp_path / "store.arrow")))
    assert len(of_file) < 1000
    assert torch.equal(unpickled_pictures(of_file), expected)
