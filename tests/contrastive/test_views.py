import torch

from weakcl_pipeline.contrastive.objectives.base import SmallCrops
from weakcl_pipeline.contrastive.views import Views
from weakcl_pipeline.images import Augmentation, AugmentationConfig

CONFIG = AugmentationConfig()


def generator():
    return torch.Generator().manual_seed(3)


def pictures(count=4, size=16):
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=generator())


def test_two_full_views_are_the_augmentation_of_the_pictures_twice():
    (views,) = Views(CONFIG)(pictures(), 12, generator())
    expected = Augmentation(CONFIG)(pictures().repeat(2, 1, 1, 1), generator(), size=(12, 12))
    assert torch.equal(views, expected)


def test_small_crops_follow_with_their_own_size_and_area():
    crops = SmallCrops(count=3, size=8, scale=(0.25, 0.25))
    drawn = generator()
    full, small = Views(CONFIG, crops)(pictures(), 16, drawn)
    assert full.shape == (8, 3, 16, 16)
    assert small.shape == (12, 3, 8, 8)
    same = generator()
    Augmentation(CONFIG)(pictures().repeat(2, 1, 1, 1), same)
    of_area = CONFIG.model_copy(update={"crop_scale": (0.25, 0.25)})
    assert torch.equal(small, Augmentation(of_area)(pictures().repeat(3, 1, 1, 1), same, size=(8, 8)))
