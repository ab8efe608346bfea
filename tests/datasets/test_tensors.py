import stat

import pytest
import torch
from kedro.io import DatasetError

from weakcl_pipeline.datasets import TensorsDataset


@pytest.fixture
def dataset(tmp_path):
    return TensorsDataset(filepath=(tmp_path / "encoder.safetensors").as_posix())


def test_tensors_and_metadata_come_back(dataset):
    tensors = {
        "conv": torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last).requires_grad_(),
        "half": torch.ones(3, dtype=torch.bfloat16),
        "steps": torch.tensor(7),
    }
    metadata = {"backbone": "resnet", "mean": [0.1, 0.2], "checkpoint": "key"}
    assert not dataset.exists()
    dataset.save((tensors, metadata))
    assert dataset.exists()
    loaded, loaded_metadata = dataset.load()
    assert loaded_metadata == metadata
    assert loaded.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name], tensor)
        assert not loaded[name].requires_grad


def test_both_files_can_be_read_by_others(dataset, tmp_path):
    dataset.save(({"w": torch.zeros(1)}, {}))
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["encoder.json", "encoder.safetensors"]
    assert len({stat.S_IMODE(file.stat().st_mode) for file in files}) == 1  # what the user's umask says


@pytest.mark.parametrize("metadata", [{"loss": float("nan")}, {"device": torch.device("cpu")}])
def test_metadata_that_is_not_json_is_refused(dataset, metadata):
    with pytest.raises(DatasetError, match=r"not JSON compliant|not JSON serializable"):
        dataset.save(({"w": torch.zeros(1)}, metadata))
    assert not dataset.exists()
