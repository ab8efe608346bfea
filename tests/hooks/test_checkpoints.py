import polars as pl
import pyarrow as pa
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Node

from weakcl_pipeline.datasets import CheckpointsDataset
from weakcl_pipeline.hooks import CheckpointsHook


def train(samples, checkpoints): ...


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "checkpoints"
    for key in ("mine", "other"):
        (folder / key).mkdir(parents=True)
        (folder / key / "epoch.safetensors").write_text("weights")
    return folder


def keys(folder):
    return sorted(path.name for path in folder.iterdir())


def started(folder, inputs=("samples", "attribute.checkpoints")) -> CheckpointsHook:
    catalog = DataCatalog(
        {"samples": MemoryDataset(1), "attribute.checkpoints": CheckpointsDataset(filepath=folder.as_posix())}
    )
    node = Node(train, [*inputs], ["attribute.encoder", "attribute.history"], name="train", namespace="attribute")
    hook = CheckpointsHook()
    hook.before_node_run(node=node, catalog=catalog, inputs={"samples": 1, "attribute.checkpoints": folder})
    return hook


def test_checkpoints_go_when_the_last_output_is_saved_and_not_before(folder):
    hook = started(folder)
    hook.after_dataset_saved(dataset_name="attribute.encoder", data=({}, {"checkpoint": "mine"}))
    assert keys(folder) == ["mine", "other"]  # the history is not safe yet
    hook.after_dataset_saved(dataset_name="attribute.history", data="table")
    assert keys(folder) == ["other"]


@pytest.mark.parametrize(
    "data",
    [
        ({}, {"checkpoint": "mine"}),
        pl.DataFrame({"checkpoint": ["mine", "mine"]}),
        pa.table({"pixels": [1]}).replace_schema_metadata({"checkpoint": "mine"}),
    ],
    ids=["pair", "table", "arrow"],
)
def test_each_kind_of_output_may_name_them(folder, data):
    hook = started(folder)
    hook.after_dataset_saved(dataset_name="attribute.encoder", data=data)
    hook.after_dataset_saved(dataset_name="attribute.history", data=pa.table({"loss": [1.0]}))
    assert keys(folder) == ["other"]


@pytest.mark.parametrize("metadata", [{}, {"checkpoint": None}, {"checkpoint": ".."}, {"checkpoint": "../other"}, None])
def test_nothing_else_is_removed(folder, metadata):
    hook = started(folder)
    hook.after_dataset_saved(dataset_name="attribute.encoder", data=({}, metadata))
    hook.after_dataset_saved(dataset_name="attribute.history", data="table")
    assert keys(folder) == ["mine", "other"]


def test_a_node_without_checkpoints_removes_none(folder):
    hook = started(folder, inputs=("samples", "samples2"))
    hook.after_dataset_saved(dataset_name="attribute.encoder", data=({}, {"checkpoint": "mine"}))
    hook.after_dataset_saved(dataset_name="attribute.history", data="table")
    assert keys(folder) == ["mine", "other"]
