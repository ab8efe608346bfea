from collections import Counter
from dataclasses import fields, replace

import pytest
import torch
import torchvision.transforms.v2.functional as oracle
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torchvision.transforms import ColorJitter

from weakcl_pipeline.images import augment
from weakcl_pipeline.images.augment import (
    ORDERS,
    UNJITTERED,
    Augmentation,
    AugmentationConfig,
    apply_augmentation,
    draw_parameters,
)
from weakcl_pipeline.images.crop import Boxes

PAPER = AugmentationConfig()


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def pictures(count, height=32, width=32, seed=0):
    return torch.randint(0, 256, (count, 3, height, width), dtype=torch.uint8, generator=generator(seed))


def one_by_one(images, parameters, size=None):
    """The same augmentation by torchvision, one picture at a time."""
    results = []
    boxes = parameters.boxes
    for i, image in enumerate(images.float() / 255):
        box = [int(side[i]) for side in (boxes.top, boxes.left, boxes.height, boxes.width)]
        result = oracle.resized_crop(image, *box, size=list(image.shape[-2:]), antialias=True)
        if size:
            result = oracle.resize(result, list(size), antialias=True)
        if parameters.flip[i]:
            result = oracle.horizontal_flip(result)
        if parameters.order[i] != UNJITTERED:
            for name in ORDERS[int(parameters.order[i])]:
                result = getattr(oracle, f"adjust_{name}")(result, getattr(parameters, name)[i].item())
        if parameters.grey[i]:
            result = oracle.rgb_to_grayscale(result, num_output_channels=3)
        results.append(result)
    return torch.stack(results)


def identity(count, height, width):
    drawn = draw_parameters(PAPER, count, height, width, generator())
    return replace(
        drawn,
        boxes=Boxes(*(torch.full((count,), v) for v in (0, 0, height, width))),
        flip=torch.zeros(count, dtype=torch.bool),
        brightness=torch.ones(count),
        contrast=torch.ones(count),
        saturation=torch.ones(count),
        hue=torch.zeros(count),
        grey=torch.zeros(count, dtype=torch.bool),
    )


class TestApplying:
    @pytest.mark.parametrize(("count", "height", "width"), [(150, 32, 32), (40, 64, 48), (7, 224, 224), (1, 8, 8)])
    def test_equals_torchvision_picture_by_picture(self, count, height, width):
        images = pictures(count, height, width)
        parameters = draw_parameters(PAPER, count, height, width, generator())
        result = apply_augmentation(images, parameters)
        error = (result - one_by_one(images, parameters)).abs()
        assert error.max() < 2e-3
        assert error.mean() < 1e-5

    @pytest.mark.parametrize(("stored", "size"), [((32, 32), (16, 16)), ((32, 32), (23, 23)), ((48, 64), (32, 20))])
    def test_smaller_views_equal_a_resized_crop(self, stored, size):
        images = pictures(60, *stored)
        parameters = draw_parameters(PAPER, 60, *stored, generator())
        result = apply_augmentation(images, parameters, size)
        assert result.shape == (60, 3, *size)
        assert (result - one_by_one(images, parameters, size)).abs().max() < 2e-3

    def test_every_order_in_any_sequence(self):
        images = pictures(100)
        parameters = draw_parameters(PAPER, 100, 32, 32, generator())
        scrambled = torch.randint(UNJITTERED, len(ORDERS), (100,), generator=generator(5))
        parameters = replace(parameters, order=scrambled)
        assert (apply_augmentation(images, parameters) - one_by_one(images, parameters)).abs().max() < 2e-3

    def test_chunks_change_nothing(self, monkeypatch):
        images = pictures(50)
        parameters = draw_parameters(PAPER, 50, 32, 32, generator())
        whole = apply_augmentation(images, parameters)
        monkeypatch.setattr(augment, "_CHUNK_PIXELS", 5 * 32 * 32)
        torch.testing.assert_close(apply_augmentation(images, parameters), whole, atol=1e-6, rtol=0)

    def test_memory_format_changes_nothing(self):
        images = pictures(70)
        parameters = draw_parameters(PAPER, 70, 32, 32, generator())
        result = apply_augmentation(images, parameters)
        last = apply_augmentation(images.contiguous(memory_format=torch.channels_last), parameters)
        assert torch.equal(result, last)
        assert result.is_contiguous()

    def test_neutral_parameters_are_identity(self):
        images = pictures(30, 32, 40)
        result = apply_augmentation(images, identity(30, 32, 40))
        torch.testing.assert_close(result, images / 255, atol=2e-5, rtol=0)

    def test_input_is_left_alone(self):
        images = pictures(10)
        before = images.clone()
        Augmentation(PAPER)(images, generator())
        assert torch.equal(images, before)

    def test_no_pictures(self):
        assert Augmentation(PAPER)(pictures(0), generator()).shape == (0, 3, 32, 32)

    @pytest.mark.gpu
    @pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
    def test_cuda_equals_cpu(self):
        images = pictures(200)
        parameters = draw_parameters(PAPER, 200, 32, 32, generator())
        result = apply_augmentation(images.cuda(), parameters).cpu()
        torch.testing.assert_close(result, apply_augmentation(images, parameters), atol=2e-3, rtol=0)


class TestDrawing:
    def test_strengths_are_distributed_as_torchvision_draws_them(self):
        torch.manual_seed(0)
        jitter = ColorJitter(0.4, 0.4, 0.4, 0.1)
        theirs = torch.tensor(
            [
                jitter.get_params(jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue)[1:]
                for _ in range(3000)
            ]
        )
        ours = draw_parameters(PAPER, 3000, 32, 32, generator())
        quantiles = torch.linspace(0, 1, 11)
        for column, name in enumerate(("brightness", "contrast", "saturation", "hue")):
            span = 0.2 if name == "hue" else 0.8
            difference = getattr(ours, name).quantile(quantiles) - theirs[:, column].quantile(quantiles)
            assert difference.abs().max() < 0.05 * span, name

    def test_probabilities(self):
        drawn = draw_parameters(PAPER, 20_000, 32, 32, generator())
        for share, expected in ((drawn.flip, 0.5), (drawn.grey, 0.2), (drawn.order != UNJITTERED, 0.8)):
            assert share.float().mean().item() == pytest.approx(expected, abs=0.015)

    def test_orders_are_uniform_and_shared_in_blocks_only(self):
        drawn = draw_parameters(AugmentationConfig(jitter_probability=1.0), 64 * 4800, 32, 32, generator())
        blocks = drawn.order.view(-1, 64)
        assert (blocks == blocks[:, :1]).all()
        counts = Counter(blocks[:, 0].tolist())
        assert set(counts) == set(range(24))
        assert min(counts.values()) > 140
        assert max(counts.values()) < 260

    def test_every_large_picture_has_its_own_order(self):
        drawn = draw_parameters(AugmentationConfig(jitter_probability=1.0), 240, 224, 224, generator())
        assert 0.0 < (drawn.order[1:] == drawn.order[:-1]).float().mean() < 0.12

    def test_no_strength_depends_on_another(self):
        drawn = draw_parameters(PAPER, 5000, 32, 32, generator())
        boxes = [getattr(drawn.boxes, field.name) for field in fields(drawn.boxes)]
        others = (drawn.flip, drawn.brightness, drawn.contrast, drawn.saturation, drawn.hue, drawn.grey)
        jittered = drawn.order != UNJITTERED
        correlation = torch.corrcoef(torch.stack([x.double() for x in (*others, jittered, boxes[2])]))
        assert (correlation - torch.eye(8)).abs().max() < 0.06


class TestAugmentation:
    def test_the_generator_decides(self):
        images = pictures(80)
        views = [Augmentation(PAPER)(images, generator(seed)) for seed in (0, 0, 1)]
        assert torch.equal(views[0], views[1])
        assert not torch.equal(views[0], views[2])

    def test_only_the_given_generator_is_used(self):
        state = torch.get_rng_state()
        Augmentation(PAPER)(pictures(8), generator())
        assert torch.equal(torch.get_rng_state(), state)

    def test_a_running_generator_gives_new_views(self):
        images, source = pictures(8), generator()
        augmentation = Augmentation(PAPER)
        assert not torch.equal(augmentation(images, source), augmentation(images, source))

    @settings(max_examples=30, deadline=None)
    @given(
        count=st.integers(1, 9),
        height=st.integers(2, 40),
        width=st.integers(2, 40),
        seed=st.integers(0, 2**31),
        strength=st.floats(0, 1),
        hue=st.floats(0, 0.5),
        smallest=st.floats(0.01, 1),
    )
    def test_range_shape_and_type(self, count, height, width, seed, strength, hue, smallest):
        config = AugmentationConfig(
            brightness=strength, contrast=strength, saturation=strength, hue=hue, crop_scale=(smallest, 1.0)
        )
        result = Augmentation(config)(pictures(count, height, width, seed), generator(seed))
        assert result.shape == (count, 3, height, width)
        assert result.dtype == torch.float32
        assert result.isfinite().all()
        assert result.min() >= 0
        assert result.max() <= 1

    def test_everything_off_is_identity(self):
        config = AugmentationConfig(
            crop_scale=(1, 1), crop_ratio=(1, 1), flip_probability=0, jitter_probability=0, grey_probability=0
        )
        images = pictures(20)
        torch.testing.assert_close(Augmentation(config)(images, generator()), images / 255, atol=2e-5, rtol=0)

    def test_grey_pictures_are_grey(self):
        result = Augmentation(AugmentationConfig(grey_probability=1))(pictures(20), generator())
        assert torch.equal(result[:, 0], result[:, 1])
        assert torch.equal(result[:, 0], result[:, 2])


class TestConfig:
    def test_defaults_are_the_paper(self):
        assert PAPER.model_dump() == {
            "crop_scale": (0.4, 1.0),
            "crop_ratio": (3 / 4, 4 / 3),
            "flip_probability": 0.5,
            "brightness": 0.4,
            "contrast": 0.4,
            "saturation": 0.4,
            "hue": 0.1,
            "jitter_probability": 0.8,
            "grey_probability": 0.2,
        }

    @pytest.mark.parametrize(
        "values",
        [
            {"crop_scale": (0.0, 1.0)},
            {"crop_scale": (0.9, 0.4)},
            {"crop_scale": (0.5, 1.1)},
            {"crop_ratio": (1.5, 1.0)},
            {"crop_ratio": (0.0, 1.0)},
            {"hue": 0.6},
            {"brightness": -0.1},
            {"flip_probability": 1.1},
            {"blur": 0.5},
        ],
    )
    def test_bad_values_are_refused(self, values):
        with pytest.raises(ValidationError):
            AugmentationConfig(**values)
