"""The network: a backbone from timm, a stem for small pictures, and the projection head of contrastive training."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from difflib import get_close_matches
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import timm
import torch
import torch.nn.functional as F
from pydantic import Field, JsonValue, ValidationInfo, field_validator
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from weakcl_pipeline.config import Config
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.seeding import seeded_torch

WEIGHTS_FILE, METADATA_FILE = "encoder.safetensors", "encoder.json"

EncoderState = tuple[dict[str, Tensor], dict[str, Any]]
"""Weights, and the JSON-able metadata from which the encoder is rebuilt."""

Stem = Literal["original", "small", "half"]

_CONSTANT = 1e-4  # a standard deviation that is less is rounding: one pixel in a thousand that differs makes more
_FOREIGN_WEIGHTS = ("checkpoint_path", "pretrained_cfg", "pretrained_cfg_overlay", "cache_dir")


class HeadConfig(Config):
    """The projection head: ``hidden_layers`` of Linear and ReLU, then Linear to ``output_dim``.

    Attributes:
        hidden_layers: 1 in the authors' code; 0 makes the head linear.
        hidden_dim: Width of the hidden layers; the backbone's feature width where not given, as in the paper's code.
        output_dim: Width of the embeddings that the objective compares.
    """

    hidden_layers: int = Field(default=1, ge=0)
    hidden_dim: int | None = Field(default=None, ge=1)
    output_dim: int = Field(default=128, ge=2)


class EncoderConfig(Config):
    """The encoder's architecture.

    Attributes:
        backbone: Any model name of timm (``timm.list_models()``).
        backbone_kwargs: Passed on to ``timm.create_model``; which keys there are is up to the backbone. ``pretrained``
            starts from timm's weights, which it downloads; from files of your own an encoder cannot start, since no
            lineage would know them.
        stem: ``original`` as timm builds it; ``small`` for pictures of 32 to 64 px: the first convolution becomes
            3 x 3 with stride 1 and the max-pooling goes, as for CIFAR; ``half``: the same with stride 2, at a quarter
            of the cost.
        head: The projection head.
    """

    backbone: str = "resnet18"
    backbone_kwargs: dict[str, JsonValue] = Field(default_factory=dict)
    stem: Stem = Field(default="small", validate_default=True)
    head: HeadConfig = HeadConfig()

    @field_validator("backbone")
    @classmethod
    def _known(cls, name: str) -> str:
        if not timm.is_model(name):
            close = get_close_matches(name, timm.list_models(), n=3)
            msg = f"timm has no model {name!r}" + (f"; did you mean {', '.join(close)}?" if close else "")
            raise ValueError(msg)
        return name

    @field_validator("backbone_kwargs")
    @classmethod
    def _accepted_by_timm(cls, kwargs: dict[str, JsonValue], info: ValidationInfo) -> dict[str, JsonValue]:
        if foreign := sorted(kwargs.keys() & set(_FOREIGN_WEIGHTS)):
            msg = f"{', '.join(foreign)}: an encoder cannot start from files that no lineage knows; leave it out"
            raise ValueError(msg)
        if "backbone" in info.data and (refusal := _refusal(info.data["backbone"], json.dumps(kwargs), "original")):
            raise ValueError(refusal)
        return kwargs

    @field_validator("stem")
    @classmethod
    def _there_to_shrink(cls, stem: Stem, info: ValidationInfo) -> Stem:
        if {"backbone", "backbone_kwargs"} <= info.data.keys():
            name, kwargs = info.data["backbone"], json.dumps(info.data["backbone_kwargs"])
            if refusal := _refusal(name, kwargs, stem):
                raise ValueError(refusal)
        return stem


class Encoder(nn.Module):
    """Backbone and projection head, with the normalisation of the pictures they were trained on.

    Args:
        config: The architecture.
        mean: Mean of each channel over the train split, in [0, 1].
        std: Standard deviation of each channel over the train split, in [0, 1]; a channel without any is not scaled.

    Attributes:
        feature_dim: Width of the backbone's features.
    """

    def __init__(self, config: EncoderConfig, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.config = config
        self.backbone = _create_backbone(config)
        self.feature_dim = _feature_dim(self.backbone)
        self.head = _create_head(self.feature_dim, config.head)
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(3, 1, 1))
        # A channel that never varies but in augmented views: divided by nearly nothing, those would drown the others.
        spread = torch.tensor([value if value > _CONSTANT else 1.0 for value in std], dtype=torch.float32)
        self.register_buffer("std", spread.view(3, 1, 1))

    @classmethod
    def create(cls, config: EncoderConfig, mean: Sequence[float], std: Sequence[float], seed: int) -> "Encoder":
        """Build an encoder whose first weights depend on the seed alone."""
        with seeded_torch(seed, "encoder"):
            return cls(config, mean, std)

    def forward(self, images: Tensor) -> Tensor:
        """Compute the features that are evaluated and used downstream.

        Args:
            images: Pictures, float (N, 3, H, W) in [0, 1].

        Returns:
            Features, float (N, feature_dim).

        Raises:
            ValueError: If they are no such pictures.
        """
        if images.ndim != 4 or images.shape[1] != 3 or not images.is_floating_point():
            msg = f"expected pictures (N, 3, H, W), float in [0, 1], got {tuple(images.shape)}, {images.dtype}"
            raise ValueError(msg)
        features: Tensor = self.backbone((images - self.mean) / self.std)
        return features

    def project(self, features: Tensor) -> Tensor:
        """Map features to the embeddings that the objective compares: float32 (N, output_dim), L2-normalised."""
        return F.normalize(self.head(features).float(), dim=1)

    @torch.no_grad()
    def is_large_enough(self, size: int) -> bool:
        """Whether no convolution of the backbone would meet a map that is smaller than its stride.

        Args:
            size: Side of the pictures, in pixels.

        Raises:
            InputError: If the backbone cannot be trained on pictures of this size at all, or gives no features.
        """
        backbone, smaller = deepcopy(self.backbone).cpu().train(), []

        def compare(convolution: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            smaller.append(min(inputs[0].shape[-2:]) < max(convolution.stride))  # type: ignore[arg-type]

        for module in backbone.modules():
            if isinstance(module, nn.Conv2d):
                module.register_forward_pre_hook(compare)
        try:
            with seeded_torch(0, "trial"):  # what is dropped at random is drawn while training alone
                given = backbone(torch.zeros(2, 3, size, size))
        except (RuntimeError, AssertionError, ValueError) as error:
            msg = f"training.encoder.backbone: {self.config.backbone!r} cannot take pictures of {size} px: {error}"
            raise InputError(msg) from error
        if given.shape != (2, self.feature_dim):
            msg = (
                f"training.encoder.backbone_kwargs: {self.config.backbone!r} gives {tuple(given.shape)} for two"
                f" pictures, not {self.feature_dim} features each; leave out what changes its pooling"
            )
            raise InputError(msg)
        return not any(smaller)

    def state(self, **metadata: Any) -> EncoderState:
        """Return the weights and the JSON-able metadata from which :meth:`from_state` rebuilds the encoder."""
        weights = {name: tensor.detach().cpu().contiguous() for name, tensor in self.state_dict().items()}
        described = {
            "class": type(self.backbone).__name__,
            "feature_dim": self.feature_dim,
            "encoder": self.config.model_dump(mode="json"),
            "normalisation": {"mean": self.mean.flatten().tolist(), "std": self.std.flatten().tolist()},
        }
        return weights, described | metadata

    @classmethod
    def from_state(cls, weights: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> "Encoder":
        """Rebuild an encoder from what :meth:`state` returned, in evaluation mode.

        Nothing but the weights given is read or downloaded, whatever the metadata says.

        Raises:
            InputError: If the weights do not belong to the architecture in the metadata.
        """
        try:
            config = EncoderConfig.model_validate(_without_weights(metadata["encoder"]))
            # The first weights are overwritten, but drawing them must not get into the way of trainings.
            encoder = cls.create(config, **metadata["normalisation"], seed=0)
            encoder.load_state_dict(dict(weights))
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            msg = f"the weights do not belong to the encoder that their metadata describes: {error}"
            raise InputError(msg) from error
        return encoder.eval()


def load_encoder(path: str | Path) -> Encoder:
    """Load a trained encoder for use anywhere, in evaluation mode.

    Args:
        path: A version's directory or one of its files, or the artifact's directory, of which the newest version is
            taken.

    Raises:
        InputError: If there is no encoder, or its files are broken.
    """
    path = Path(path)
    folder = path.parent if path.is_file() else path
    found = sorted([*folder.glob(METADATA_FILE), *folder.glob(f"*/{METADATA_FILE}")])
    if not found:
        msg = f"{path}: no encoder here ({METADATA_FILE} is missing); train one with `kedro run --pipelines=training`"
        raise InputError(msg)
    directory = found[-1].parent
    try:
        metadata = json.loads((directory / METADATA_FILE).read_text())
        return Encoder.from_state(load_file(directory / WEIGHTS_FILE), metadata)
    except (OSError, ValueError, SafetensorError) as error:
        msg = f"{directory}: this encoder cannot be read ({error}); take another version"
        raise InputError(msg) from error


def _without_weights(described: Mapping[str, Any]) -> dict[str, Any]:
    """Return an encoder's description without what makes timm fetch weights."""
    kwargs = dict(described.get("backbone_kwargs", {}))
    kept = {key: value for key, value in kwargs.items() if key not in ("pretrained", *_FOREIGN_WEIGHTS)}
    return {**described, "backbone_kwargs": kept}


def _create_head(feature_dim: int, config: HeadConfig) -> nn.Sequential:
    """Build Linear, ReLU, ..., Linear; the authors' head has no batch normalisation."""
    widths = [feature_dim, *[config.hidden_dim or feature_dim] * config.hidden_layers]
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(widths):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.Linear(widths[-1], config.output_dim))


def _feature_dim(backbone: Any) -> int:
    """Return the width of what the backbone gives; a few of timm's heads widen ``num_features``."""
    return int(getattr(backbone, "head_hidden_size", backbone.num_features))


def _create_backbone(config: EncoderConfig) -> nn.Module:
    try:
        backbone = _build(config.backbone, config.backbone_kwargs)
    except ValueError as error:  # such as pretrained weights that cannot be fetched
        msg = f"training.encoder.backbone_kwargs: {error}"
        raise InputError(msg) from error
    _shrink_stem(backbone, config.stem, config.backbone)
    return backbone


def _build(name: str, kwargs: Mapping[str, Any]) -> nn.Module:
    try:
        backbone: nn.Module = timm.create_model(name, num_classes=0, **kwargs)
    except Exception as error:  # each backbone has its own
        msg = f"timm cannot build {name!r} with them: {type(error).__name__}: {error}"
        raise ValueError(msg) from error
    return backbone


@lru_cache
def _refusal(name: str, kwargs: str, stem: Stem) -> str | None:
    """Return why a backbone cannot be built with keyword arguments (JSON) or its stem not be shrunk, if so."""
    try:
        backbone = _sketch(name, json.loads(kwargs))
        if not hasattr(backbone, "num_features"):
            return f"{name!r} gives no features with them, but a {type(backbone).__name__}"
        with torch.device("meta"):
            _shrink_stem(backbone, stem, name)
    except ValueError as error:
        return str(error)
    return None


def _sketch(name: str, kwargs: Mapping[str, Any]) -> nn.Module:
    """Build a backbone without fetching weights, and without memory for them if it can be built so.

    Raises:
        ValueError: If it cannot be built.
    """
    kwargs = {key: value for key, value in kwargs.items() if key != "pretrained"}
    with suppress(ValueError), torch.device("meta"):
        return _build(name, kwargs)
    with seeded_torch(0, "sketch"):
        return _build(name, kwargs)


def _shrink_stem(backbone: Any, stem: Stem, backbone_name: str) -> None:
    """Let the first convolution keep the resolution of small pictures (or halve it), and drop the max-pooling.

    Raises:
        ValueError: If the first layer is no such convolution.
    """
    if stem == "original":
        return
    convs = ((name, module) for name, module in backbone.named_modules() if isinstance(module, nn.Conv2d))
    name, conv = next(convs, ("", None))
    if conv is None or conv.in_channels != 3 or (conv.kernel_size == conv.stride and conv.stride != (1, 1)):
        msg = (
            f"{backbone_name!r} has no convolutional stem to shrink; use `original`, and give backbone_kwargs for small"
            " pictures (for instance patch_size, img_size)"
        )
        raise ValueError(msg)
    stride = 1 if stem == "small" else 2
    parent, _, child = name.rpartition(".")
    small = nn.Conv2d(3, conv.out_channels, 3, stride=stride, padding=1, bias=conv.bias is not None)
    nn.init.kaiming_normal_(small.weight, mode="fan_out", nonlinearity="relu")
    setattr(backbone.get_submodule(parent), child, small)
    if hasattr(backbone, "maxpool"):
        backbone.maxpool = nn.Identity()
