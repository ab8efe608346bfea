import threading
import time
import zipfile

import numpy as np
import polars as pl
import pytest
from PIL import Image

from tests.images.test_decode import encode, png_header
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.images import pack
from weakcl_pipeline.images.decode import ImagesConfig
from weakcl_pipeline.images.pack import pack_images
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

    def counting(encoded, config):
        nonlocal decoded
        with lock:
            decoded += 1
        return original(encoded, config)

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

    def test_references_into_an_archive(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            for number in range(300):
                archive.writestr(f"{number}.png", picture(number) if number != 7 else b"junk")
        config = LENIENT.model_copy(update={"root": str(tmp_path / "a.zip")})
        source = [(f"id{number}", f"{number}.png") for number in reversed(range(301))]
        table, rejects = pack_images(source, config)
        store = PackedImages(table)
        assert [f"id{number_of(store, row)}" for row in range(len(store))] == store.sample_ids
        assert dict(rejects.iter_rows()) == {
            "id300": "reference '300.png': no such file in a.zip (which has, for example, '0.png')",
            "id7": "not a picture in one of the formats PNG, JPEG, WEBP, BMP, GIF, TIFF",
        }

    def test_a_server_is_asked_for_many_pictures_at_once(self, server):
        for number in range(640):
            (server.folder / f"{number}.png").write_bytes(picture(number))
        asked, most, lock = set(), 0, threading.Lock()

        def slow(handler):
            nonlocal most
            with lock:
                asked.add(handler.path)
                most = max(most, len(asked))
            time.sleep(0.01)
            with lock:
                asked.remove(handler.path)
            return False

        server.trouble = slow
        config = LENIENT.model_copy(update={"root": server.url})
        table, _ = pack_images(((f"id{number}", f"{number}.png") for number in range(640)), config)
        assert [number_of(PackedImages(table), row) for row in range(640)] == list(range(640))
        assert 4 <= most <= 16

    def test_a_dead_server_stops_packing_at_once(self, server, monkeypatch):
        monkeypatch.setattr("weakcl_pipeline.images.roots.remote._FIRST_PAUSE", 0.0)
        server.trouble = lambda handler: handler.send_error(503) or True
        config = LENIENT.model_copy(update={"root": server.url, "retries": 0})
        with pytest.raises(InputError, match="does not answer"):
            pack_images(((f"id{number}", f"{number}.png") for number in range(5000)), config)
        assert len(server.requested) < 64

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
