import pytest
from kedro.io import DatasetError

from weakcl_pipeline.datasets import CheckpointsDataset


def test_loading_gives_the_folder_and_makes_it(tmp_path):
    dataset = CheckpointsDataset(filepath=(tmp_path / "models" / "checkpoints").as_posix())
    assert not dataset.exists()
    assert dataset.load() == tmp_path / "models" / "checkpoints"
    assert dataset.exists()
    (dataset.load() / "key").mkdir()
    assert [path.name for path in dataset.load().iterdir()] == ["key"]


def test_saving_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="a node writes into the folder"):
        CheckpointsDataset(filepath=tmp_path.as_posix()).save("anything")
