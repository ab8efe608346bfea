import errno
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from tests.images.test_decode import encode, png_header
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.files import flush, write_table
from weakcl_pipeline.images import pack, shards
from weakcl_pipeline.images.decode import Box, ImagesConfig
from weakcl_pipeline.images.pack import Part
from weakcl_pipeline.images.stores import encoded, open_store, pixels

LENIENT = ImagesConfig(size=8, max_bad_fraction=0.9)


@pytest.fixture
def pack_images(tmp_path):
    """Packs below the test's folder."""
    return lambda encoded, config: pack.pack_images(encoded, config, tmp_path / "shards")


def picture(number):
    """A plain picture whose colour tells its number."""
    return encode(Image.new("RGB", (8, 8), (number % 256, number // 256, 7)))


def number_of(store, row):
    red, green, _ = store.read([row])[0, :, 0, 0].tolist()
    return green * 256 + red


def test_order_and_ids_survive_rejects(pack_images):
    truncated = picture(0)[:-20]
    source = [(f"id{i}", truncated if i % 7 == 3 else None if i % 11 == 5 else picture(i)) for i in range(500)]
    table, rejects = pack_images(source, LENIENT)
    store = open_store(table)
    assert [f"id{number_of(store, row)}" for row in range(len(store))] == store.sample_ids
    bad = [name for name, _ in source if int(name[2:]) % 7 == 3 or int(name[2:]) % 11 == 5]
    assert rejects["sample_id"].to_list() == bad
    assert len(store) == 500 - len(bad)
    assert rejects.schema == {"sample_id": pl.String, "reason": pl.String}
    reasons = dict(rejects.iter_rows())
    assert "truncated" in reasons["id3"]
    assert reasons["id5"] == "missing: the image cell is empty"


def test_several_record_batches(pack_images, monkeypatch):
    monkeypatch.setattr(pack, "_SHARD_BYTES", 10 * 3 * 64)
    table, rejects = pack_images(((f"id{i}", picture(i)) for i in range(95)), LENIENT)
    store = open_store(table)
    assert len(table["pixels"].chunks) >= 10
    assert [number_of(store, row) for row in range(95)] == list(range(95))
    assert rejects.is_empty()


def test_same_input_same_table(pack_images):
    source = [(f"id{i}", picture(i)) for i in range(100)]
    assert pack_images(source, LENIENT)[0].equals(pack_images(source, LENIENT)[0])


@pytest.mark.parametrize("storage", ["pixels", "encoded"])
def test_same_pictures_same_file_wherever_they_lie(pack_images, tmp_path, storage, monkeypatch):
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "a.png").write_bytes(picture(1))
        table, _ = pack_images([("a", "a.png")], ImagesConfig(size=8, root=str(tmp_path / place), storage=storage))
        write_table(table, tmp_path / f"{place}.arrow")
        monkeypatch.setattr("PIL.__version__", "99.0")  # decides what is packed again, not what came out
    assert (tmp_path / "here.arrow").read_bytes() == (tmp_path / "there.arrow").read_bytes()


def test_only_a_bounded_number_is_in_flight(pack_images, monkeypatch):
    monkeypatch.setattr("weakcl_pipeline.images.pack.cores", lambda: 2)
    monkeypatch.setattr(pack, "_SHARD_BYTES", 64 * 3 * 64)  # 64 pictures
    taken, decoded, ahead = 0, 0, []
    lock = threading.Lock()
    original = pixels.decode

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

    monkeypatch.setattr(pixels, "decode", counting)
    pack_images(source(), LENIENT)
    assert decoded == 2000
    assert max(ahead) <= 32 * (2 * 2 + 2) + 64


class TestLimits:
    def test_too_many_bad_pictures(self, pack_images):
        source = [(f"id{i}", b"junk" if i < 8 else picture(i)) for i in range(100)]
        with pytest.raises(InputError) as caught:
            pack_images(source, ImagesConfig(size=8, max_bad_fraction=0.05))
        message = str(caught.value)
        assert message.startswith("8 of 100 pictures cannot be used")
        assert "id0: not a picture" in message
        assert "and 3 more" in message
        assert "images.max_bad_fraction (now 0.05)" in message

    def test_the_allowed_share_is_inclusive(self, pack_images):
        source = [(f"id{i}", b"junk" if i < 5 else picture(i)) for i in range(100)]
        table, rejects = pack_images(source, ImagesConfig(size=8, max_bad_fraction=0.05))
        assert (table.num_rows, len(rejects)) == (95, 5)

    def test_all_bad_is_an_error_whatever_the_share(self, pack_images):
        with pytest.raises(InputError, match=r"2 of 2 pictures cannot be used(.|\n)*image column"):
            pack_images([("a", b"x"), ("b", None)], ImagesConfig(max_bad_fraction=1.0))

    def test_no_pictures(self, pack_images):
        with pytest.raises(InputError, match="no rows"):
            pack_images([], LENIENT)

    def test_a_bomb_is_one_reject(self, pack_images):
        table, rejects = pack_images([("bomb", png_header(30_000, 30_000)), ("fine", picture(1))], LENIENT)
        assert table["sample_id"].to_pylist() == ["fine"]
        assert "images.max_pixels" in rejects["reason"][0]


class TestPaths:
    def test_references_below_the_root(self, pack_images, tmp_path):
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
        store = open_store(table)
        assert store.sample_ids == ["good", "bytes"]
        assert [number_of(store, row) for row in (0, 1)] == [3, 5]
        assert rejects["sample_id"].to_list() == ["up", "link", "gone"]

    def test_references_into_an_archive(self, pack_images, tmp_path):
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            for number in range(300):
                archive.writestr(f"{number}.png", picture(number) if number != 7 else b"junk")
        config = LENIENT.model_copy(update={"root": str(tmp_path / "a.zip")})
        source = [(f"id{number}", f"{number}.png") for number in reversed(range(301))]
        table, rejects = pack_images(source, config)
        store = open_store(table)
        assert [f"id{number_of(store, row)}" for row in range(len(store))] == store.sample_ids
        assert dict(rejects.iter_rows()) == {
            "id300": "reference '300.png': no such file in a.zip (which has, for example, '0.png')",
            "id7": "not a picture in one of the formats PNG, JPEG, WEBP, BMP, GIF, TIFF",
        }

    def test_a_server_is_asked_for_many_pictures_at_once(self, pack_images, server):
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
        assert [number_of(open_store(table), row) for row in range(640)] == list(range(640))
        assert 4 <= most <= 16

    def test_a_dead_server_stops_packing_at_once(self, pack_images, server, monkeypatch):
        monkeypatch.setattr("weakcl_pipeline.images.roots.remote._FIRST_PAUSE", 0.0)
        server.trouble = lambda handler: handler.send_error(503) or True
        config = LENIENT.model_copy(update={"root": server.url, "retries": 0})
        with pytest.raises(InputError, match="does not answer"):
            pack_images(((f"id{number}", f"{number}.png") for number in range(5000)), config)
        assert len(server.requested) < 64

    def test_paths_need_a_root(self, pack_images):
        with pytest.raises(InputError, match=r"images\.root is not set"):
            pack_images([("a", "a.png")], LENIENT)

    def test_mixed_rows_need_a_root_too(self, pack_images):
        with pytest.raises(InputError, match=r"images\.root is not set"):
            pack_images([("b", picture(1))] * 40 + [("a", "a.png")], LENIENT)


def test_pictures_of_the_store_have_the_configured_size(pack_images):
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (h, w, 3), dtype=np.uint8) for h, w in ((8, 8), (30, 11), (5, 70))]
    table, _ = pack_images([(str(i), encode(Image.fromarray(x))) for i, x in enumerate(images)], LENIENT)
    assert open_store(table).read([0, 1, 2]).shape == (3, 3, 8, 8)


class TestInterruption:
    """The pictures are cut into shards of ten."""

    @pytest.fixture(autouse=True)
    def small_shards(self, monkeypatch):
        monkeypatch.setattr(pack, "_SHARD_BYTES", 10 * 3 * 64)

    @pytest.fixture
    def decoded(self, monkeypatch):
        """The numbers of the pictures that were decoded."""
        numbers, original = [], pixels.decode

        def noting(encoded, config, box):
            decoded = original(encoded, config, box)
            numbers.append(int(decoded[0, 0, 1]) * 256 + int(decoded[0, 0, 0]))
            return decoded

        monkeypatch.setattr(pixels, "decode", noting)
        return numbers

    @pytest.fixture
    def folder(self, tmp_path):
        """Ninety-five pictures."""
        (tmp_path / "pictures").mkdir()
        for number in range(95):
            (tmp_path / f"pictures/{number}.png").write_bytes(picture(number))
        return tmp_path / "pictures"

    def rows(self, until=None):
        for number in range(95):
            if number == until:
                raise KeyboardInterrupt
            yield f"id{number}", f"{number}.png"

    def test_goes_on_behind_the_last_shard(self, pack_images, folder, decoded):
        config = LENIENT.model_copy(update={"root": str(folder)})
        with pytest.raises(KeyboardInterrupt):
            pack_images(self.rows(until=70), config)
        shards = len(list(folder.parent.glob("shards/*/*.arrow")))
        assert shards > 0
        decoded.clear()
        table, rejects = pack_images(self.rows(), config)
        assert sorted(decoded) == list(range(10 * shards, 95))
        store = open_store(table)
        assert [number_of(store, row) for row in range(95)] == list(range(95))
        assert rejects.is_empty()

    def test_goes_on_after_a_kill(self, pack_images, folder, decoded):
        program = """if True:
            import os, signal, sys
            from pathlib import Path
            from weakcl_pipeline.images import ImagesConfig, pack

            def rows():
                for number in range(95):
                    if number == 70:
                        os.kill(os.getpid(), signal.SIGKILL)
                    yield f"id{number}", f"{number}.png"

            pack._SHARD_BYTES = 10 * 3 * 64
            root = Path(sys.argv[1])
            pack.pack_images(rows(), ImagesConfig(size=8, root=str(root)), root.parent / "shards")
        """
        killed = subprocess.run([sys.executable, "-c", program, folder], check=False)
        assert killed.returncode == -signal.SIGKILL
        shards = len(list(folder.parent.glob("shards/*/*.arrow")))
        assert shards > 0
        table, _ = pack_images(self.rows(), LENIENT.model_copy(update={"root": str(folder)}))
        assert sorted(decoded) == list(range(10 * shards, 95))
        assert [number_of(open_store(table), row) for row in range(95)] == list(range(95))

    def test_goes_on_behind_a_url_that_was_signed_again(self, pack_images, folder, decoded, server):
        with zipfile.ZipFile(server.folder / "pictures.zip", "w") as archive:
            for file in folder.iterdir():
                archive.write(file, file.name)
        config = LENIENT.model_copy(update={"root": f"{server.url}/pictures.zip?signature=1"})
        with pytest.raises(KeyboardInterrupt):
            pack_images(self.rows(until=70), config)
        shards = len(list(folder.parent.glob("shards/*/*.arrow")))
        assert shards > 0
        decoded.clear()
        pack_images(self.rows(), config.model_copy(update={"root": f"{server.url}/pictures.zip?signature=2"}))
        assert sorted(decoded) == list(range(10 * shards, 95))

    def test_pictures_that_changed_are_decoded_again(self, pack_images, folder, decoded):
        config = LENIENT.model_copy(update={"root": str(folder)})
        before, _ = pack_images(self.rows(), config)
        (folder / "42.png").write_bytes(picture(500))
        decoded.clear()
        table, _ = pack_images(self.rows(), config)
        assert sorted(decoded) == [40, 41, *range(43, 50), 500]
        assert number_of(open_store(table), 42) == 500
        assert number_of(open_store(before), 42) == 42  # what was mapped stays

    def test_another_packing_that_ends_may_remove_what_is_being_written(self, pack_images, folder, monkeypatch):
        removed = []

        def flush_without_directory(file):
            if len(removed) < 3:
                removed.append(shutil.rmtree(file.parent))
            flush(file)

        monkeypatch.setattr(shards, "flush", flush_without_directory)
        table, rejects = pack_images(self.rows(), LENIENT.model_copy(update={"root": str(folder)}))
        assert len(removed) == 3
        assert [number_of(open_store(table), row) for row in range(95)] == list(range(95))
        assert rejects.is_empty()

    def test_what_was_packed_before_the_disk_was_full_is_not_decoded_again(
        self, pack_images, folder, decoded, monkeypatch
    ):
        config, flushed = LENIENT.model_copy(update={"root": str(folder)}), []

        def full(file):
            if len(flushed) == 4:
                raise OSError(errno.ENOSPC, "No space left on device")
            flushed.append(file)

        threads = set(threading.enumerate())
        with monkeypatch.context() as patched:
            patched.setattr(shards, "flush", full)
            with pytest.raises(InputError, match=r"shards/\w+ cannot be written: no space is left on its disk"):
                pack_images(self.rows(), config)
        assert set(threading.enumerate()) <= threads  # none is left to decode what nobody wants any more
        decoded.clear()
        table, _ = pack_images(self.rows(), config)
        assert sorted(decoded) == list(range(40, 95))
        assert [number_of(open_store(table), row) for row in range(95)] == list(range(95))

    def test_rejects_are_looked_at_again(self, pack_images, folder, decoded):
        config = LENIENT.model_copy(update={"root": str(folder)})
        broken = (folder / "7.png").read_bytes()[:-20]
        (folder / "7.png").write_bytes(broken)
        for _ in range(2):
            table, rejects = pack_images(self.rows(), config)
            assert rejects["sample_id"].to_list() == ["id7"]
            assert table.num_rows == 94
        assert len(decoded) == 94 + 9

    @pytest.mark.parametrize("change", [{"size": 16}, {"background": (0, 0, 0)}, {"max_pixels": 1000}])
    def test_another_configuration_has_other_shards(self, pack_images, folder, decoded, change):
        config = LENIENT.model_copy(update={"root": str(folder)})
        pack_images(self.rows(), config)
        decoded.clear()
        pack_images(self.rows(), config.model_copy(update=change))
        assert len(decoded) == 95

    def test_embedded_pictures(self, pack_images, decoded):
        source = [(f"id{number}", picture(number)) for number in range(95)]
        pack_images(source, LENIENT)
        source[42] = ("id42", picture(500))
        decoded.clear()
        table, _ = pack_images(source, LENIENT)
        assert 500 in decoded
        assert len(decoded) < 20
        assert number_of(open_store(table), 42) == 500

    def test_a_damaged_shard_is_made_again(self, pack_images, folder, decoded):
        config = LENIENT.model_copy(update={"root": str(folder)})
        expected, _ = pack_images(self.rows(), config)
        expected = expected.combine_chunks()
        for number, shard in enumerate(folder.parent.glob("shards/*/*.arrow")):
            shard.unlink()
            shard.write_bytes((b"", b"ARROW1\0\0junk", bytes(5000))[number % 3])
        assert pack_images(self.rows(), config)[0].equals(expected)

    def test_the_store_outlives_its_shards(self, pack_images, folder):
        table, _ = pack_images(self.rows(), LENIENT.model_copy(update={"root": str(folder)}))
        key = table.schema.metadata[b"checkpoint"].decode()
        assert [path.name for path in (folder.parent / "shards").iterdir()] == [key]
        shutil.rmtree(folder.parent / "shards")
        store = open_store(table)
        assert [number_of(store, row) for row in range(95)] == list(range(95))

    def test_shards_take_no_file_descriptors(self, pack_images, folder):
        table, _ = pack_images(self.rows(), LENIENT.model_copy(update={"root": str(folder)}))
        assert table.num_rows == 95
        assert not [fd for fd in Path("/proc/self/fd").iterdir() if fd.exists() and fd.readlink().suffix == ".arrow"]


def test_memory_does_not_grow_with_the_number_of_pictures(pack_images):
    config = ImagesConfig(size=256)
    content = encode(Image.fromarray(np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)), "BMP")
    pack_images(((f"id{number}", content) for number in range(200)), config)
    before, most = anonymous_memory(), 0

    def watched(count):
        nonlocal most
        for number in range(count):
            most = max(most, anonymous_memory())
            yield f"other{number}", content

    table, _ = pack_images(watched(1500), config)
    assert table.nbytes > 280 << 20
    assert max(most, anonymous_memory()) - before < 160 << 20


def test_memory_does_not_grow_with_the_size_of_files_that_are_kept(pack_images, tmp_path, monkeypatch):
    monkeypatch.setattr("weakcl_pipeline.images.pack.cores", lambda: 2)
    content = encode(Image.fromarray(np.random.default_rng(0).integers(0, 256, (1200, 1200, 3), np.uint8)), "BMP")
    (tmp_path / "a.bmp").write_bytes(content)
    config = ImagesConfig(size=8, storage="encoded", root=str(tmp_path))
    pack_images([(f"first{number}", "a.bmp") for number in range(16)], config)
    before, held, original = anonymous_memory(), [], encoded.decode

    def watched(*arguments):
        held.append(anonymous_memory())
        return original(*arguments)

    monkeypatch.setattr(encoded, "decode", watched)
    table, _ = pack_images([(f"id{number}", "a.bmp") for number in range(120)], config)
    assert table.nbytes > 490 << 20
    assert max(held) - before < 240 << 20


def test_files_that_are_kept_are_many_to_a_shard(pack_images, tmp_path):
    config = ImagesConfig(size=8, storage="encoded")
    table, _ = pack_images(((f"id{number}", picture(number)) for number in range(1100)), config)
    assert table["encoded"].num_chunks == 2
    assert len(list(tmp_path.glob("shards/*/*.arrow"))) == 2
    assert [number_of(open_store(table), row) for row in range(1100)] == list(range(1100))


def test_shards_of_files_are_cut_alike_after_a_kill(pack_images, monkeypatch):
    monkeypatch.setattr(pack, "_SHARD_FILES", 10)
    monkeypatch.setattr(shards, "_BATCH_BYTES", 3 * len(picture(0)))
    config = ImagesConfig(size=8, storage="encoded")
    source = [(f"id{number}", picture(number)) for number in range(95)]

    def until(stop):
        yield from source[:stop]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pack_images(until(77), config)
    resumed = pack_images(source, config)[0]
    again = pack_images(source, config)[0]
    assert [len(chunk) for chunk in resumed["encoded"].chunks] == [len(chunk) for chunk in again["encoded"].chunks]
    assert resumed.equals(again)
    assert resumed["encoded"].to_pylist() == [content for _, content in source]


def anonymous_memory():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


def test_parts_of_one_picture_are_pictures_of_their_own(pack_images, tmp_path):
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
    store = open_store(table)
    assert dict(zip(store.sample_ids, [number_of(store, row) for row in range(3)], strict=True)) == {
        "a0": 5,
        "a1": 6,
        "b0": 6,
    }
    assert rejects["sample_id"].to_list() == ["a2"]
    assert "has nothing of the picture of 16x8" in rejects["reason"][0]
    with pytest.raises(InputError, match=r"images.root is not set"):
        pack_images([("a0", Part("a.png", left))], LENIENT)


def test_a_box_that_changed_is_cut_out_again(pack_images):
    halves = Image.new("RGB", (16, 8), (5, 0, 0))
    halves.paste((6, 0, 0), (8, 0, 16, 8))
    for left, number in ((0, 5), (8, 6)):
        table, _ = pack_images([("a", Part(encode(halves), Box(left, 0, 8, 8)))], LENIENT)
        assert number_of(open_store(table), 0) == number
