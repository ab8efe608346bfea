import threading

import numpy as np
import polars as pl
import pytest
from PIL import Image

from tests.images.test_decode import encode, png_header
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.images import pack
from weakcl_pipeline.images.decode import Box, ImagesConfig
from weakcl_pipeline.images.pack import Part, pack_images
from weakcl_pipeline.images.store import PackedImages

LENIENT = ImagesConfig(size=8, max_bad_fraction=0.9)


def picture(number):
    """A plain picture whose colour tells its number."""
    return encode(Image.new("RGB", (8, 8), (number % 256, number // 256, 7)))


def number_of(store, row):
    red, green, _ = store.read([row])[0, :, 0, 0].tolist()
    return green * 256 + red


def test_order_and_ids_survive_rejects():
    truncated = picture(0)[:-20]
    source = [(f"id{i}", truncated if i % 7 == 3 else None if i % 11 == 5 else picture(i)) for i in range(500)]
    table, rejects = pack_images(source, LENIENT)
    store = PackedImages(table)
    assert [f"id{number_of(store, row)}" for row in range(len(store))] == store.sample_ids
    bad = [name for name, _ in source if int(name[2:]) % 7 == 3 or int(name[2:]) % 11 == 5]
    assert rejects["sample_id"].to_list() == bad
    assert len(store) == 500 - len(bad)
    assert rejects.schema == {"sample_id": pl.String, "reason": pl.String}
    reasons = dict(rejects.iter_rows())
    assert "truncated" in reasons["id3"]
    assert "null" in reasons["id5"]


def test_several_record_batches(monkeypatch):
    monkeypatch.setattr("weakcl_pipeline.images.pack._BATCH_BYTES", 10 * 3 * 64)
    table, rejects = pack_images(((f"id{i}", picture(i)) for i in range(95)), LENIENT)
    assert [len(chunk) for chunk in table["pixels"].chunks] == [10] * 9 + [5]
    store = PackedImages(table)
    assert [number_of(store, row) for row in range(95)] == list(range(95))
    assert rejects.is_empty()


def test_same_input_same_table():
    source = [(f"id{i}", picture(i)) for i in range(100)]
    assert pack_images(source, LENIENT)[0].equals(pack_images(source, LENIENT)[0])


def test_only_a_bounded_number_is_in_flight(monkeypatch):
    monkeypatch.setattr("weakcl_pipeline.images.pack.os.cpu_count", lambda: 2)
    taken, decoded, ahead = 0, 0, []
    lock = threading.Lock()
    original = pack.decode

    def counting(*arguments):
        nonlocal decoded
        with lock:
            decoded += 1
        return original(*arguments)

    def source():
        nonlocal taken
        for i in range(2000):
            taken += 1
            with lock:
                ahead.append(taken - decoded)
            yield f"id{i}", picture(i)

    monkeypatch.setattr(pack, "decode", counting)
    pack_images(source(), LENIENT)
    assert decoded == 2000
    assert max(ahead) <= 32 * (2 * 2 + 2)


class TestLimits:
    def test_too_many_bad_pictures(self):
        source = [(f"id{i}", b"junk" if i < 8 else picture(i)) for i in range(100)]
        with pytest.raises(InputError) as caught:
            pack_images(source, ImagesConfig(size=8, max_bad_fraction=0.05))
        message = str(caught.value)
        assert message.startswith("8 of 100 pictures cannot be used")
        assert "id0: not a picture" in message
        assert "and 3 more" in message
        assert "images.max_bad_fraction (now 0.05)" in message

    def test_the_allowed_share_is_inclusive(self):
        source = [(f"id{i}", b"junk" if i < 5 else picture(i)) for i in range(100)]
        table, rejects = pack_images(source, ImagesConfig(size=8, max_bad_fraction=0.05))
        assert (table.num_rows, len(rejects)) == (95, 5)

    def test_all_bad_is_an_error_whatever_the_share(self):
        with pytest.raises(InputError, match=r"2 of 2 pictures cannot be used(.|\n)*image column"):
            pack_images([("a", b"x"), ("b", None)], ImagesConfig(max_bad_fraction=1.0))

    def test_no_pictures(self):
        with pytest.raises(InputError, match="no rows"):
            pack_images([], LENIENT)

    def test_a_bomb_is_one_reject(self):
        table, rejects = pack_images([("bomb", png_header(30_000, 30_000)), ("fine", picture(1))], LENIENT)
        assert table["sample_id"].to_pylist() == ["fine"]
        assert "images.max_pixels" in rejects["reason"][0]


class TestPaths:
    def test_references_below_the_root(self, tmp_path):
        root = tmp_path / "pictures"
        root.mkdir()
        (root / "a.png").write_bytes(picture(3))
        (tmp_path / "secret.png").write_bytes(picture(4))
        (root / "link.png").symlink_to(tmp_path / "secret.png")
        config = LENIENT.model_copy(update={"root": str(root)})
        source = [
            ("good", "a.png"),
            ("up", "../secret.png"),
            ("link", "link.png"),
            ("bytes", picture(5)),
            ("gone", "b.png"),
        ]
        table, rejects = pack_images(source, config)
        store = PackedImages(table)
        assert store.sample_ids == ["good", "bytes"]
        assert [number_of(store, row) for row in (0, 1)] == [3, 5]
        assert rejects["sample_id"].to_list() == ["up", "link", "gone"]

    def test_paths_need_a_root(self):
        with pytest.raises(InputError, match=r"images\.root is not set"):
            pack_images([("a", "a.png")], LENIENT)

    def test_mixed_rows_need_a_root_too(self):
        with pytest.raises(InputError, match=r"images\.root is not set"):
            pack_images([("b", picture(1))] * 40 + [("a", "a.png")], LENIENT)


def test_pictures_of_the_store_have_the_configured_size():
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (h, w, 3), dtype=np.uint8) for h, w in ((8, 8), (30, 11), (5, 70))]
    table, _ = pack_images([(str(i), encode(Image.fromarray(x))) for i, x in enumerate(images)], LENIENT)
    assert PackedImages(table).read([0, 1, 2]).shape == (3, 3, 8, 8)


def test_parts_of_one_picture_are_pictures_of_their_own(tmp_path):
    halves = np.zeros((8, 16, 3), dtype=np.uint8)
    halves[:, :8], halves[:, 8:] = (5, 0, 0), (6, 0, 0)
    Image.fromarray(halves).save(tmp_path / "a.png")
    encoded = encode(Image.fromarray(halves))
    config = ImagesConfig(size=8, max_bad_fraction=0.5, root=tmp_path.as_posix())
    left, right, outside = Box(0, 0, 8, 8), Box(8, 0, 8, 8), Box(16, 0, 8, 8)
    source = [
        ("a0", Part("a.png", left)),
        ("a1", Part("a.png", right)),
        ("a2", Part("a.png", outside)),
        ("b0", Part(encoded, right)),
    ]
    table, rejects = pack_images(source, config)
    store = PackedImages(table)
    assert dict(zip(store.sample_ids, [number_of(store, row) for row in range(3)], strict=True)) == {
        "a0": 5,
        "a1": 6,
        "b0": 6,
    }
    assert rejects["sample_id"].to_list() == ["a2"]
    assert "has nothing of the picture of 16x8" in rejects["reason"][0]
    with pytest.raises(InputError, match=r"images.root is not set"):
        pack_images([("a0", Part("a.png", left))], LENIENT)
