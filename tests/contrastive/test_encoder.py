import json
import threading
from urllib.error import URLError

import pytest
import timm
import torch
from pydantic import ValidationError
from safetensors.torch import save_file
from torch import nn

from weakcl_pipeline.contrastive import Encoder, EncoderConfig, load_encoder
from weakcl_pipeline.contrastive.encoder import METADATA_FILE, WEIGHTS_FILE, HeadConfig
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.seeding import seeded_torch

TINY = {"layers": [1, 1, 1, 1], "channels": [8, 8, 16, 24]}
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.3, 0.1)


def tiny(seed=0, **config):
    return Encoder.create(EncoderConfig(backbone="resnet18", backbone_kwargs=TINY, **config), MEAN, STD, seed)


def write(encoder, directory):
    directory.mkdir(parents=True)
    weights, metadata = encoder.state()
    save_file(weights, directory / WEIGHTS_FILE)
    (directory / METADATA_FILE).write_text(json.dumps(metadata))


def test_features_and_normalised_projection():
    encoder = tiny().eval()
    features = encoder(torch.rand(3, 3, 32, 32))
    assert features.shape == (3, encoder.feature_dim) == (3, 24)
    projected = encoder.project(features)
    assert projected.shape == (3, 128)
    torch.testing.assert_close(projected.norm(dim=1), torch.ones(3))


@pytest.mark.parametrize(
    "pictures", [torch.rand(3, 32, 32), torch.rand(2, 4, 32, 32), torch.randint(0, 256, (2, 3, 32, 32))]
)
def test_what_are_no_pictures_is_refused(pictures):
    with pytest.raises(ValueError, match=r"expected pictures \(N, 3, H, W\), float in \[0, 1\], got"):
        tiny()(pictures)


def test_pictures_are_normalised_inside():
    encoder = tiny().eval()
    mean_picture = torch.tensor(MEAN).view(1, 3, 1, 1).expand(1, 3, 32, 32)
    seen = []
    encoder.backbone.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    encoder(mean_picture)
    encoder(mean_picture + torch.tensor(STD).view(1, 3, 1, 1))
    torch.testing.assert_close(seen[0], torch.zeros(1, 3, 32, 32))
    torch.testing.assert_close(seen[1], torch.ones(1, 3, 32, 32))


@pytest.mark.parametrize(("stem", "size"), [("small", 32), ("half", 16), ("original", 8)])
def test_stems_keep_the_resolution_they_promise(stem, size):
    encoder = tiny(stem=stem).eval()
    seen = []
    encoder.backbone.layer1.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[-1]))
    encoder(torch.rand(1, 3, 32, 32))
    assert seen == [size]


def test_the_stem_shrinks_whichever_its_backbones_arguments_build():
    kwargs = {"stem_type": "", "stem_width": 64, "channels": [8, 8, 8, 8]}  # by default resnet10t's stem is deep
    config = EncoderConfig(backbone="resnet10t", backbone_kwargs=kwargs, stem="half")
    conv = Encoder.create(config, MEAN, STD, 0).backbone.conv1
    assert (conv.kernel_size, conv.stride) == ((3, 3), (2, 2))


def test_head_is_the_papers_by_default():
    kinds = [type(layer) for layer in tiny().head]
    assert kinds == [nn.Linear, nn.ReLU, nn.Linear]
    head = tiny(head=HeadConfig(hidden_layers=2, hidden_dim=7, output_dim=5)).head
    assert [layer.out_features for layer in head if isinstance(layer, nn.Linear)] == [7, 7, 5]
    assert len(tiny(head=HeadConfig(hidden_layers=0)).head) == 1


@pytest.mark.parametrize("backbone", ["test_vit", "test_convnext", "test_efficientnet"])
def test_any_family_of_timm_works_with_its_own_arguments(backbone):
    kwargs = {"img_size": 32, "patch_size": 8} if backbone == "test_vit" else {}
    encoder = Encoder.create(EncoderConfig(backbone=backbone, backbone_kwargs=kwargs, stem="original"), MEAN, STD, 0)
    assert encoder.eval()(torch.rand(2, 3, 32, 32)).shape == (2, encoder.feature_dim)


def test_weights_depend_on_the_seed_alone_and_leave_the_global_generator_as_it_was():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, again, other = tiny(seed=1), tiny(seed=1), tiny(seed=2)
    assert torch.equal(torch.rand(3), expected)
    pairs = zip(first.state_dict().values(), again.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert not torch.equal(first.head[0].weight, other.head[0].weight)


def test_state_rebuilds_the_same_encoder(tmp_path):
    encoder = tiny(seed=3).eval()
    pictures = torch.rand(2, 3, 32, 32)
    newest = tmp_path / "encoder" / "2026-01-01T00.00.00.000Z"
    write(encoder, newest)
    write(tiny(seed=4), tmp_path / "encoder" / "2025-01-01T00.00.00.000Z")
    for path in (tmp_path / "encoder", newest, newest / WEIGHTS_FILE):
        loaded = load_encoder(path)
        assert not loaded.training
        assert torch.equal(loaded(pictures), encoder(pictures))


def test_loading_does_not_disturb_a_training_in_another_thread():
    state = tiny().state()
    drawing, drawn = threading.Event(), []

    def draw():
        with seeded_torch(7, "epoch"):
            drawn.append(torch.rand(2))
            drawing.set()
            loader.join(timeout=1)  # loading either waits for this, or gets into its way
            drawn.append(torch.rand(2))

    loader = threading.Thread(target=lambda: drawing.wait(20) and Encoder.from_state(*state))
    trainer = threading.Thread(target=draw)
    loader.start()
    trainer.start()
    trainer.join()
    loader.join()
    with seeded_torch(7, "epoch"):
        assert torch.equal(torch.cat(drawn), torch.cat([torch.rand(2), torch.rand(2)]))


def test_a_loaded_encoder_reads_and_downloads_nothing_else(tmp_path, monkeypatch):
    encoder = tiny()
    weights, metadata = encoder.state()
    kwargs = {"pretrained": True, "checkpoint_path": str(tmp_path / "other.bin"), "pretrained_cfg": {"url": "x"}}
    metadata["encoder"]["backbone_kwargs"] |= kwargs
    given, create = {}, timm.create_model
    monkeypatch.setattr(timm, "create_model", lambda name, **kwargs: given.update(kwargs) or create(name, **kwargs))
    loaded = Encoder.from_state(weights, metadata)
    assert given == {"num_classes": 0, **TINY}
    assert torch.equal(loaded.head[0].weight, encoder.head[0].weight)


def test_what_cannot_be_loaded_is_named(tmp_path):
    with pytest.raises(InputError, match=r"no encoder here.*kedro run --pipelines=training"):
        load_encoder(tmp_path)
    directory = tmp_path / "broken"
    write(tiny(), directory)
    (directory / WEIGHTS_FILE).write_bytes(b"\x00" * 40)
    with pytest.raises(InputError, match=r"broken: this encoder cannot be read"):
        load_encoder(directory)
    weights, metadata = tiny().state()
    weights.pop("head.0.bias")
    with pytest.raises(InputError, match=r"head\.0\.bias"):
        Encoder.from_state(weights, metadata)
    metadata["encoder"]["backbone"] = "resnet18x"
    with pytest.raises(InputError, match="did you mean resnet18"):
        Encoder.from_state(weights, metadata)


def test_wrong_parameters_are_named():
    with pytest.raises(ValidationError, match="did you mean resnet18"):
        EncoderConfig(backbone="resnet18x")
    with pytest.raises(
        ValidationError, match=r"backbone_kwargs\n.*checkpoint_path: an encoder cannot start from files"
    ):
        EncoderConfig(backbone_kwargs={"checkpoint_path": "weights.bin"})
    with pytest.raises(ValidationError, match=r"backbone_kwargs\n.*timm cannot build 'resnet18' with them: .*'layerz'"):
        EncoderConfig(backbone="resnet18", backbone_kwargs={"layerz": [1]})
    with pytest.raises(ValidationError, match=r"backbone_kwargs\n.*timm cannot build 'resnet18' with them: .*wavy"):
        EncoderConfig(backbone="resnet18", backbone_kwargs={"act_layer": "wavy"})
    with pytest.raises(ValidationError, match=r"stem\n.*'test_vit' has no convolutional stem .* use `original`"):
        EncoderConfig(backbone="test_vit")


def test_a_backbone_without_features_is_refused():
    with pytest.raises(ValidationError, match=r"backbone_kwargs\n.*gives no features with them, but a FeatureListNet"):
        EncoderConfig(backbone="resnet18", backbone_kwargs={"features_only": True})


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"global_pool": ""}, r"training\.encoder\.backbone_kwargs: 'resnet18' gives \(2, 24, 2, 2\) for two pictures"),
        ({"drop_path_rate": 1.5}, r"training\.encoder\.backbone: 'resnet18' cannot take pictures of 16 px: .*\[0, 1\]"),
    ],
)
def test_a_backbone_that_would_fail_in_the_first_step_is_refused_before(kwargs, message):
    encoder = Encoder.create(EncoderConfig(backbone="resnet18", backbone_kwargs=TINY | kwargs), MEAN, STD, 0)
    with pytest.raises(InputError, match=message):
        encoder.is_large_enough(16)


def test_weights_are_not_fetched_to_check_parameters(monkeypatch):
    given, create = [], timm.create_model
    monkeypatch.setattr(timm, "create_model", lambda name, **kwargs: given.append(kwargs) or create(name, **kwargs))
    config = EncoderConfig(backbone="resnet18", backbone_kwargs={"pretrained": True, **TINY})
    assert given
    assert all(kwargs == {"num_classes": 0, **TINY} for kwargs in given)
    monkeypatch.setattr(timm, "create_model", unreachable)
    with pytest.raises(InputError, match=r"training\.encoder\.backbone_kwargs: timm cannot .*URLError: .*unreachable"):
        Encoder.create(config, MEAN, STD, 0)


def unreachable(*_, **__):
    raise URLError("the server is unreachable")


def test_a_backbone_that_needs_memory_to_be_built_is_none_the_worse(monkeypatch):
    create = timm.create_model

    def demanding(name, **kwargs):
        torch.zeros(1).item()  # not there on the meta device
        return create(name, **kwargs)

    monkeypatch.setattr(timm, "create_model", demanding)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    config = EncoderConfig(backbone="resnet18", backbone_kwargs={**TINY, "drop_rate": 0.1})  # not checked before
    assert torch.equal(torch.rand(3), expected)
    assert Encoder.create(config, MEAN, STD, 0).feature_dim == 24


@pytest.mark.parametrize(("stem", "smallest"), [("small", 5), ("half", 9), ("original", 17)])
def test_pictures_are_large_enough_until_a_strided_convolution_meets_one_pixel(stem, smallest):
    encoder = tiny(stem=stem).train()
    assert [encoder.is_large_enough(size) for size in (smallest - 1, smallest, 32)] == [False, True, True]
    assert encoder.training


def test_a_size_that_a_backbone_was_not_built_for_is_named():
    kwargs = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 1, "num_heads": 2}
    config = EncoderConfig(backbone="vit_tiny_patch16_224", backbone_kwargs=kwargs, stem="original")
    encoder = Encoder.create(config, MEAN, STD, 0)
    assert encoder.is_large_enough(32)
    with pytest.raises(InputError, match=r"training\.encoder\.backbone: 'vit_tiny_patch16_224' .* 24 px"):
        encoder.is_large_enough(24)
