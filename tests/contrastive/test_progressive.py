import pytest

from weakcl_pipeline.contrastive.progressive import ProgressiveConfig, view_size
from weakcl_pipeline.errors import InputError


@pytest.mark.parametrize(("share", "small"), [(0, 0), (0.5, 5), (0.64, 6), (1, 10)])
def test_the_first_epochs_are_small(share, small):
    config = ProgressiveConfig(size=16, share=share)
    assert [view_size(config, epoch, 10, 32) for epoch in range(10)] == [16] * small + [32] * (10 - small)


def test_without_it_every_epoch_has_the_stored_size():
    assert {view_size(None, epoch, 4, 48) for epoch in range(4)} == {48}


def test_small_views_larger_than_the_pictures_are_refused():
    with pytest.raises(InputError, match=r"training\.progressive\.size: 64 px is more than the 32 px"):
        view_size(ProgressiveConfig(size=64, share=0.5), 0, 10, 32)
