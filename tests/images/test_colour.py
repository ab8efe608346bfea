import pytest
import torch
import torchvision.transforms.v2.functional as oracle
from hypothesis import given, settings
from hypothesis import strategies as st

from weakcl_pipeline.images import colour

RANGES = {"brightness": (0.0, 2.0), "contrast": (0.0, 2.0), "saturation": (0.0, 2.0), "hue": (-0.5, 0.5)}
TOLERANCE = {"brightness": 1e-6, "contrast": 1e-6, "saturation": 1e-6, "hue": 5e-6}


def pictures(seed=0, count=24):
    """Random colours, and pictures of few distinct values: greys, primaries, ties between channels."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand((count, 3, 9, 14), generator=generator)
    images[::2] = (images[::2] * 3).round() / 3
    return images


def strengths(name, count=24):
    low, high = RANGES[name]
    values = torch.empty(count).uniform_(low, high, generator=torch.Generator().manual_seed(1))
    values[0], values[1], values[2] = low, high, (low + high) / 2
    return values


def adjusted(name, images, values):
    result = images.clone()
    getattr(colour, f"adjust_{name}_")(result, values[:, None, None, None])
    return result


@pytest.mark.parametrize("name", RANGES)
class TestAgainstTorchvision:
    def test_each_picture(self, name):
        images, values = pictures(), strengths(name)
        result = adjusted(name, images, values)
        expected = torch.stack(
            [getattr(oracle, f"adjust_{name}")(x, v) for x, v in zip(images, values.tolist(), strict=True)]
        )
        torch.testing.assert_close(result, expected, atol=TOLERANCE[name], rtol=0)

    def test_neutral_strength_is_identity(self, name):
        images = pictures()
        neutral = torch.full((24,), 0.0 if name == "hue" else 1.0)
        torch.testing.assert_close(adjusted(name, images, neutral), images, atol=2e-6, rtol=0)

    def test_stays_in_range(self, name):
        result = adjusted(name, pictures(), strengths(name))
        assert result.min() >= 0
        assert result.max() <= 1

    def test_a_view_is_changed_in_place(self, name):
        images = pictures()
        whole = images.clone()
        getattr(colour, f"adjust_{name}_")(whole[5:9], strengths(name)[5:9, None, None, None])
        assert torch.equal(whole[:5], images[:5])
        assert torch.equal(whole[9:], images[9:])
        assert torch.equal(whole[5:9], adjusted(name, images[5:9], strengths(name)[5:9]))


def test_grey_equals_torchvision():
    images = pictures()
    result = images.clone()
    colour.to_grey_(result)
    torch.testing.assert_close(result, oracle.rgb_to_grayscale(images, num_output_channels=3), atol=1e-6, rtol=0)


channel = st.integers(0, 255).map(lambda value: value / 255)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(channel, channel, channel), min_size=1, max_size=8), st.floats(-0.5, 0.5, width=32))
def test_hue_of_any_eight_bit_colours(colours, turn):
    images = torch.tensor(colours).T.reshape(1, 3, 1, -1)
    result = adjusted("hue", images, torch.tensor([turn]))
    torch.testing.assert_close(result, oracle.adjust_hue(images, turn), atol=5e-6, rtol=0)


def test_hue_keeps_greys_and_extremes():
    greys = torch.linspace(0, 1, 7).expand(1, 3, 1, 7).contiguous()
    assert torch.equal(adjusted("hue", greys, torch.tensor([0.3])), greys)
    images = pictures()
    turned = adjusted("hue", images, strengths("hue"))
    torch.testing.assert_close(turned.amax(1), images.amax(1), atol=1e-6, rtol=0)
    torch.testing.assert_close(turned.amin(1), images.amin(1), atol=1e-6, rtol=0)
