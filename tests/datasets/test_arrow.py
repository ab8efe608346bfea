import pyarrow as pa
import pytest

from weakcl_pipeline.datasets import ArrowTableDataset
from weakcl_pipeline.files import file_of


@pytest.fixture
def store() -> pa.Table:
    pixels = pa.array([bytes([i]) * 12 for i in range(3)], pa.binary(12))
    return pa.table({"sample_id": ["a", "b", "c"], "pixels": pixels}).replace_schema_metadata({"image_size": "2"})


def test_table_comes_back_with_its_schema_metadata(tmp_path, store):
    dataset = ArrowTableDataset(filepath=(tmp_path / "store.arrow").as_posix())
    assert not dataset.exists()
    dataset.save(store)
    assert dataset.exists()
    loaded = dataset.load()
    assert loaded.equals(store)
    assert loaded.schema.metadata[b"image_size"] == b"2"


def test_a_loaded_table_knows_its_file_and_does_not_take_that_along(tmp_path, store):
    first, second = (ArrowTableDataset(filepath=(tmp_path / f"{name}.arrow").as_posix()) for name in ("a", "b"))
    assert file_of(store) is None
    first.save(store)
    assert file_of(first.load()) == tmp_path / "a.arrow"
    second.save(first.load())
    assert (tmp_path / "a.arrow").read_bytes() == (tmp_path / "b.arrow").read_bytes()
    assert file_of(second.load()) == tmp_path / "b.arrow"


def test_what_names_the_checkpoints_is_not_written(tmp_path, store):
    dataset = ArrowTableDataset(filepath=(tmp_path / "store.arrow").as_posix())
    dataset.save(store.replace_schema_metadata({"image_size": "2", "checkpoint": "key"}))
    assert dataset.load().equals(store)
    assert b"checkpoint" not in dataset.load().schema.metadata


def test_loading_maps_the_file_and_copies_nothing(tmp_path, store):
    dataset = ArrowTableDataset(filepath=(tmp_path / "store.arrow").as_posix())
    dataset.save(store)
    before = pa.total_allocated_bytes()
    loaded = dataset.load()
    assert pa.total_allocated_bytes() == before
    start, end = next(
        tuple(int(address, 16) for address in line.split()[0].split("-"))
        for line in open("/proc/self/maps")  # noqa: SIM115, PTH123
        if line.rstrip().endswith(f" {tmp_path / 'store.arrow'}")
    )
    assert start <= loaded["pixels"].chunk(0).buffers()[1].address < end


def test_preview_shows_sizes_for_bytes(tmp_path, store):
    dataset = ArrowTableDataset(filepath=(tmp_path / "store.arrow").as_posix())
    dataset.save(store)
    expected = {"index": [0, 1], "columns": ["sample_id", "pixels"], "data": [["a", "12 bytes"], ["b", "12 bytes"]]}
    assert dataset.preview(nrows=2) == expected
    dataset.save(store.slice(0, 0))
    assert dataset.preview() == {"index": [], "columns": ["sample_id", "pixels"], "data": []}
