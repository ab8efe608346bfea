import pytest
from kedro.io import DatasetError

from weakcl_pipeline.datasets import DifferencesDataset, InputsLineageDataset, RepeatsDataset


@pytest.mark.parametrize("kind", [DifferencesDataset, InputsLineageDataset, RepeatsDataset])
def test_without_the_hook_nothing_is_known_and_nothing_can_be_saved(kind):
    dataset = kind()
    assert dataset.exists()
    assert dataset.load() == {}
    with pytest.raises(DatasetError, match="not made by one"):
        dataset.save({})
