"""Shards are written batch by batch, whole or not at all, and each is mapped once."""

import errno
import resource
import shutil
from pathlib import Path

import pyarrow as pa
import pytest

from weakcl_pipeline.errors import InputError
from weakcl_pipeline.images import shards
from weakcl_pipeline.images.decode import DecodeError, ImagesConfig
from weakcl_pipeline.images.shards import Shards


@pytest.fixture
def config():
    return ImagesConfig(storage="encoded")


@pytest.fixture
def some_shards(tmp_path, config, monkeypatch):
    """Shards whose batches are closed at ten bytes."""
    monkeypatch.setattr(shards, "_BATCH_BYTES", 10)
    return Shards(tmp_path / "shards", config)


OUTCOMES = [(f"id{number}", (bytes([number]) * 4, None)) for number in range(8)]


def files_of(some_shards):
    return [batch["encoded"].to_pylist() for batch in some_shards.batches]


def maps_of(folder):
    return sum(str(folder) in line for line in Path("/proc/self/maps").read_text().splitlines())


def test_batches_are_closed_by_their_bytes_and_share_a_map(some_shards, tmp_path):
    saved = some_shards.save("a", iter(OUTCOMES))
    assert [len(batch) for batch in saved.batches] == [3, 3, 2]
    assert [file for files in files_of(saved) for file in files] == [kept for _, (kept, _) in OUTCOMES]
    assert maps_of(tmp_path) == 1
    found = some_shards.find("a")
    assert found.rejects == []
    assert files_of(found) == files_of(saved)


def test_is_written_as_it_comes(some_shards, tmp_path):
    sizes = []

    def outcomes():
        for sample_id, (kept, box) in OUTCOMES:
            sizes.extend(file.stat().st_size for file in tmp_path.glob("shards/*/.*"))
            yield sample_id, (kept * 10_000, box)

    some_shards.save("a", outcomes())
    assert sizes[-1] >= 6 * 40_000


@pytest.mark.parametrize("full", [True, False], ids=["all after a full batch", "alone"])
def test_rejects_are_kept_in_their_order(some_shards, full):
    bad = [(f"bad{number}", DecodeError(f"reason {number}")) for number in range(5)]
    saved = some_shards.save("a", [bad[0], *(OUTCOMES[:3] if full else []), *bad[1:]])
    assert saved.rejects == [(f"bad{number}", f"reason {number}") for number in range(5)]
    assert sum(map(len, saved.batches)) == (3 if full else 0)
    assert some_shards.find("a") is None


def test_another_packing_may_remove_the_directory_between_two_batches(some_shards, tmp_path, config):
    def outcomes():
        for number, outcome in enumerate(OUTCOMES):
            if number == 5:
                shutil.rmtree(tmp_path / "shards")
            yield outcome

    saved = some_shards.save("a", outcomes())
    assert files_of(saved) == files_of(Shards(tmp_path / "others", config).save("a", OUTCOMES))
    assert files_of(some_shards.find("a")) == files_of(saved)


def test_what_fails_in_a_picture_is_not_said_of_the_shards_and_leaves_nothing(some_shards, tmp_path):
    def outcomes():
        yield from OUTCOMES[:5]
        raise PermissionError(errno.EACCES, "the root")

    with pytest.raises(PermissionError, match="the root"):
        some_shards.save("a", outcomes())
    assert [path.is_file() for path in tmp_path.glob("shards/**/*")] == [False]


def test_a_shard_of_an_earlier_release_is_made_again(some_shards, tmp_path):
    batch = some_shards.save("a", OUTCOMES).batches[0]
    (path,) = tmp_path.glob("shards/*/a.arrow")
    path.unlink()
    schema = batch.schema.with_metadata({**batch.schema.metadata, b"rejects": b"[]"})
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        writer.write_batch(batch.replace_schema_metadata(schema.metadata))
    assert some_shards.find("a") is None


def test_no_room_for_maps_is_not_taken_for_no_shard(some_shards, tmp_path):
    some_shards.save("a", OUTCOMES)
    (path,) = tmp_path.glob("shards/*/a.arrow")
    with path.open("r+b") as file:
        file.truncate(64 << 30)  # a hole: nothing is on the disk
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (8 << 30), limits[1]))
    try:
        with pytest.raises(InputError, match=r"more files than the system maps .*vm\.max_map_count"):
            some_shards.find("a")
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
    assert some_shards.find("a") is None  # damaged
