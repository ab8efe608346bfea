from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
import torch

from weakcl_pipeline.errors import InputError
from weakcl_pipeline.images.decode import ImagesConfig
from weakcl_pipeline.images.stores import PixelStore, open_store, pixel_table

SIZE = 8


def pixels_of(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8)


def table_of(pixels, cuts=()):
    ids = [f"s{i}" for i in range(len(pixels))]
    bounds = [0, *cuts, len(pixels)]
    tables = [pixel_table(ids[a:b], pixels[a:b]) for a, b in pairwise(bounds)]
    return pa.concat_tables(tables)


def everything(store):
    return store.read(np.arange(len(store)))


def as_store_pixels(tensor):
    return tensor.permute(0, 2, 3, 1).numpy()


@pytest.mark.parametrize("cuts", [(), (3,), (1, 1, 7), (2, 4, 6, 8)], ids=str)
class TestReading:
    def test_read(self, cuts):
        pixels = pixels_of(10)
        store = open_store(table_of(pixels, cuts))
        rows = np.array([9, 0, 3, 3, 7, 1])
        for asked in (rows, torch.from_numpy(rows), rows.tolist(), rows.astype(np.int32)):
            batch = store.read(asked)
            assert batch.shape == (6, 3, SIZE, SIZE)
            assert batch.dtype == torch.uint8
            assert batch.is_contiguous(memory_format=torch.channels_last)
            assert np.array_equal(as_store_pixels(batch), pixels[rows])

    def test_all_pictures_and_ids(self, cuts):
        pixels = pixels_of(10)
        store = open_store(table_of(pixels, cuts))
        assert len(store) == 10
        assert store.size == SIZE
        assert store.sample_ids == [f"s{i}" for i in range(10)]
        assert np.array_equal(as_store_pixels(everything(store)), pixels)

    def test_slice_of_a_table(self, cuts):
        pixels = pixels_of(10)
        store = open_store(table_of(pixels, cuts).slice(2, 5))
        assert np.array_equal(as_store_pixels(everything(store)), pixels[2:7])
        assert store.sample_ids[0] == "s2"

    def test_rows_outside_are_refused(self, cuts):
        store = open_store(table_of(pixels_of(10), cuts))
        for bad in ([10], [-1], [0, 99]):
            with pytest.raises(IndexError, match="10 rows"):
                store.read(bad)

    def test_statistics(self, cuts):
        pixels = pixels_of(10)
        store = open_store(table_of(pixels, cuts))
        rows = np.array([1, 4, 9])
        mean, std = store.channel_statistics(rows)
        scaled = pixels[rows].reshape(-1, 3) / 255.0
        np.testing.assert_allclose(mean, scaled.mean(0), rtol=1e-12)
        np.testing.assert_allclose(std, scaled.std(0), rtol=1e-12)


def test_reading_copies():
    table = table_of(pixels_of(4))
    store = open_store(table)
    before = everything(store)
    store.read([0, 1]).zero_()
    assert torch.equal(everything(store), before)


def test_empty_reads():
    store = open_store(table_of(pixels_of(4), (2,)))
    assert store.read([]).shape == (0, 3, SIZE, SIZE)
    empty = open_store(PixelStore.schema(ImagesConfig(size=SIZE)).empty_table())
    assert len(empty) == 0
    assert everything(empty).shape == (0, 3, SIZE, SIZE)


def test_fractional_rows_are_refused():
    with pytest.raises(IndexError, match="integers"):
        open_store(table_of(pixels_of(4))).read(np.array([0.5]))


def test_statistics_do_not_depend_on_chunks_or_passes(monkeypatch):
    pixels = pixels_of(50)
    reference = open_store(table_of(pixels)).channel_statistics(np.arange(50))
    monkeypatch.setattr("weakcl_pipeline.images.stores.base._STATISTICS_BYTES", 1000)
    assert open_store(table_of(pixels, (7, 30))).channel_statistics(np.arange(50)[::-1].copy()) == reference


def test_statistics_of_nothing_are_refused():
    with pytest.raises(InputError, match="at least one picture"):
        open_store(table_of(pixels_of(4))).channel_statistics([])


def test_memory_map_is_used_without_copying(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (2000, 64, 64, 3), dtype=np.uint8)
    path = tmp_path / "store.arrow"
    tables = [pixel_table([str(i) for i in range(a, a + 500)], pixels[a : a + 500]) for a in range(0, 2000, 500)]
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, tables[0].schema) as writer:
        for table in tables:
            writer.write_table(table)
    del tables, table
    allocated = pa.total_allocated_bytes()
    with pa.memory_map(str(path)) as source:
        table = pa.ipc.open_file(source).read_all()
        store = open_store(table)
        assert pa.total_allocated_bytes() - allocated < 1 << 20
        assert [
            np.shares_memory(view, buffer_of(chunk))
            for view, chunk in zip(store._chunks, table["pixels"].chunks, strict=True)
        ] == [True] * 4
        assert all(not view.flags.writeable for view in store._chunks)
        rows = np.array([1999, 0, 731])
        assert np.array_equal(as_store_pixels(store.read(rows)), pixels[rows])
        assert table.schema.metadata[b"image_size"] == b"64"


def buffer_of(chunk):
    return np.frombuffer(chunk.buffers()[1], np.uint8)


class TestForeignTables:
    def test_without_metadata(self):
        with pytest.raises(InputError, match="image_size"):
            open_store(table_of(pixels_of(2)).replace_schema_metadata(None))

    def test_wrong_pixel_width(self):
        table = table_of(pixels_of(2)).replace_schema_metadata({"image_size": "16"})
        with pytest.raises(InputError, match="column 'pixels' must be"):
            open_store(table)

    def test_missing_column(self):
        with pytest.raises(InputError, match="'sample_id' must be string, but is missing"):
            open_store(table_of(pixels_of(2)).drop_columns("sample_id"))

    def test_nulls(self):
        schema = pa.schema(
            [pa.field("sample_id", pa.string()), pa.field("pixels", pa.binary(SIZE * SIZE * 3))],
            metadata={"image_size": str(SIZE)},
        )
        table = pa.table(
            {"sample_id": ["a", "b"], "pixels": pa.array([b"\0" * SIZE * SIZE * 3, None], schema.field(1).type)},
            schema=schema,
        )
        with pytest.raises(InputError, match="nulls"):
            open_store(table)
