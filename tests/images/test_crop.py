import pytest
import torch
import torchvision.transforms.v2.functional as oracle
from scipy.stats import ks_2samp
from torchvision.transforms import RandomResizedCrop

from weakcl_pipeline.images.crop import Boxes, draw_boxes, sample, sampling_points


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def columns_of(boxes):
    return torch.stack((boxes.top, boxes.left, boxes.height, boxes.width), dim=1)


class TestDrawing:
    @pytest.mark.parametrize(
        ("height", "width", "scale", "ratio"),
        [
            (32, 32, (0.4, 1.0), (3 / 4, 4 / 3)),
            (64, 64, (0.08, 1.0), (3 / 4, 4 / 3)),
            (40, 24, (0.5, 1.0), (3 / 4, 4 / 3)),
            (32, 32, (0.9, 1.0), (0.5, 2.0)),
        ],
    )
    def test_boxes_are_distributed_as_torchvision_draws_them(self, height, width, scale, ratio):
        torch.manual_seed(0)
        picture = torch.empty(3, height, width)
        theirs = torch.tensor([RandomResizedCrop.get_params(picture, list(scale), list(ratio)) for _ in range(4000)])
        ours = columns_of(draw_boxes(4000, height, width, scale, ratio, generator()))
        numbers = {
            "top": lambda box: box[:, 0],
            "left": lambda box: box[:, 1],
            "height": lambda box: box[:, 2],
            "width": lambda box: box[:, 3],
            "area": lambda box: box[:, 2] * box[:, 3],
            "ratio": lambda box: box[:, 3] / box[:, 2],
            "right margin": lambda box: width - box[:, 1] - box[:, 3],
            "bottom margin": lambda box: height - box[:, 0] - box[:, 2],
        }
        for name, number in numbers.items():
            assert ks_2samp(number(ours), number(theirs)).pvalue > 1e-3, name

    def test_boxes_lie_inside(self):
        box = columns_of(draw_boxes(5000, 17, 29, (0.05, 1.0), (0.2, 5.0), generator()))
        assert (box[:, :2] >= 0).all()
        assert (box[:, 2:] >= 1).all()
        assert (box[:, 0] + box[:, 2] <= 17).all()
        assert (box[:, 1] + box[:, 3] <= 29).all()

    @pytest.mark.parametrize(("height", "width"), [(10, 100), (100, 10), (32, 32)])
    def test_central_box_where_none_fits(self, height, width):
        scale, ratio = (1.0, 1.0), (3 / 4, 4 / 3)
        torch.manual_seed(0)
        expected = RandomResizedCrop.get_params(torch.empty(3, height, width), list(scale), list(ratio))
        boxes = columns_of(draw_boxes(20, height, width, scale, ratio, generator()))
        assert boxes.tolist() == [list(expected)] * 20

    def test_the_generator_decides(self):
        first, again, other = (
            columns_of(draw_boxes(64, 32, 32, (0.4, 1), (0.75, 1.33), generator(s))) for s in (0, 0, 1)
        )
        assert torch.equal(first, again)
        assert not torch.equal(first, other)

    def test_only_the_given_generator_is_used(self):
        state = torch.get_rng_state()
        draw_boxes(64, 32, 32, (0.4, 1), (0.75, 1.33), generator())
        assert torch.equal(torch.get_rng_state(), state)


class TestSampling:
    @pytest.mark.parametrize(("height", "width"), [(32, 32), (20, 27), (224, 224)])
    @pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
    def test_equals_resized_crop_and_flip(self, height, width, memory_format):
        count = 12
        boxes = draw_boxes(count, height, width, (0.01, 1.0), (0.3, 3.0), generator())
        flip = torch.arange(count) % 2 == 0
        images = torch.rand((count, 3, height, width), generator=generator(1)).contiguous(memory_format=memory_format)
        result = sample(images, *sampling_points(boxes, flip, height, width))
        assert result.is_contiguous()
        for i, box in enumerate(columns_of(boxes).tolist()):
            expected = oracle.resized_crop(images[i], *box, size=[height, width], antialias=True)
            expected = oracle.horizontal_flip(expected) if flip[i] else expected
            torch.testing.assert_close(result[i], expected, atol=1e-4 if height == 224 else 2e-5, rtol=0)

    def test_nothing_outside_the_box_bleeds_in(self):
        images = torch.zeros(1, 3, 16, 16)
        images[:, :, 4:8, 6:11] = 1
        box = Boxes(*(torch.tensor([v]) for v in (4, 6, 4, 5)))
        result = sample(images, *sampling_points(box, torch.tensor([True]), 16, 16))
        torch.testing.assert_close(result, torch.ones_like(result), atol=1e-5, rtol=0)

    def test_whole_picture_is_identity(self):
        images = torch.rand((2, 3, 33, 48), generator=generator())
        whole = Boxes(*(torch.full((2,), v) for v in (0, 0, 33, 48)))
        points = sampling_points(whole, torch.tensor([False, True]), 33, 48)
        expected = torch.stack((images[0], images[1].flip(-1)))
        torch.testing.assert_close(sample(images, *points), expected, atol=2e-5, rtol=0)
