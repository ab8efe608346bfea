"""The optimiser and its learning rate."""

import math
from typing import Literal

import torch
from pydantic import Field
from torch import nn

from weakcl_pipeline.config import Config


class OptimiserConfig(Config):
    """Parameters of the optimiser and its schedule.

    Attributes:
        name: ``sgd`` (Nesterov momentum, as in the paper's code) or ``adamw``.
        learning_rate: Its peak.
        momentum: For ``sgd``.
        weight_decay: Strength of weight decay.
        decay_all: Whether biases and normalisation layers decay too, as in the paper's code.
        warmup_share: The share of all steps in which the rate rises linearly to its peak (0.33 in the paper's code).
        final_share: The share of the peak at which the cosine ends (0.001 in the paper's code).
        clip_norm: Gradients are scaled down to this global L2 norm; none means no clipping.
    """

    name: Literal["sgd", "adamw"] = "sgd"
    learning_rate: float = Field(default=0.1, gt=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=1e-4, ge=0)
    decay_all: bool = False
    warmup_share: float = Field(default=0.1, ge=0, le=1)
    final_share: float = Field(default=1e-3, ge=0, le=1)
    clip_norm: float | None = Field(default=None, gt=0)


def create_optimiser(model: nn.Module, config: OptimiserConfig) -> torch.optim.Optimizer:
    """Build the optimiser over a model's trainable parameters, matrices and vectors in groups of their own."""
    trainable = [p for p in model.parameters() if p.requires_grad]
    matrices = [p for p in trainable if p.ndim > 1]
    vectors = [p for p in trainable if p.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": vectors, "weight_decay": config.weight_decay if config.decay_all else 0.0},
    ]
    if config.name == "adamw":
        return torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)
    nesterov = config.momentum > 0
    return torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum, nesterov=nesterov, fused=True)


def learning_rate_at(step: int, total_steps: int, config: OptimiserConfig) -> float:
    """Return the learning rate of a step: linear warm-up, then a cosine to ``final_share`` of the peak."""
    warmup = round(config.warmup_share * total_steps)
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    progress = (step - warmup) / max(1, total_steps - warmup)
    cosine = (1 + math.cos(math.pi * progress)) / 2
    return config.learning_rate * (config.final_share + (1 - config.final_share) * cosine)
