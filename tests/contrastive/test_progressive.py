import pytest
from pydantic import ValidationError

from weakcl_pipeline.contrastive.progressive import ProgressiveConfig, view_size


@pytest.mark.parametrize(("share", "small"), [(0, 0), (0.5, 5), (0.64, 6), (1, 10)])
def test_the_first_epochs_are_small(share, small):
    config = ProgressiveConfig(scale=0.5, share=share)
    assert [view_size(config, epoch, 10, 32) for epoch in range(10)] == [16] * small + [32] * (10 - small)


def test_sizes_are_whole_pixels():
    assert view_size(ProgressiveConfig(scale=0.7, share=1), 0, 1, 32) == 22
    assert view_size(ProgressiveConfig(scale=0.01, share=1), 0, 1, 32) == 1


def test_without_it_every_epoch_has_the_stored_size():
    assert {view_size(None, epoch, 4, 48) for epoch in range(4)} == {48}


def test_views_larger_than_the_pictures_are_refused():
    with pytest.raises(ValidationError, match="scale"):
        ProgressiveConfig(scale=1.5, share=0.5)
