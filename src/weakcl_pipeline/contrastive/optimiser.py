"""The optimiser and its learning rate."""

import math
from typing import Any, Literal

import torch
from pydantic import Field
from timm.optim.muon import Muon
from torch import nn

from weakcl_pipeline.config import Config

_SHARE = "share_of_rate"


class OptimiserConfig(Config):
    """Parameters of the optimiser and its schedule.

    Attributes:
        name: ``sgd`` (Nesterov momentum, as in the paper's code), ``adamw``, or ``muon`` (Jordan et al. 2024), which
            draws the singular values of the update of each of the encoder's matrices towards one, by the polynomials
            of Polar Express (Amsel et al. 2025), and scales it to the size of an update of AdamW (Liu et al. 2025). To
            NAdamW (AdamW at a momentum of 0) it leaves the objective's own parameters, vectors, and what timm takes for
            no matrix: a first or second side of 1, as depthwise convolutions, class tokens and position embeddings
            have, a side below 4, or one that is over 128 times the other.
        learning_rate: Its peak.
        objective_rate: The learning rate of the objective's own parameters, such as a classifier, as a share of
            ``learning_rate``. ``muon`` moves them by NAdamW, whose rates are smaller as a rule.
        momentum: For ``sgd`` and ``muon``, of Nesterov's kind unless it is 0.
        newton_schulz_steps: Iterations of ``muon``: five come within about a tenth of the nearest orthogonal matrix.
            Fewer are faster, and not near it: two leave singular values of up to 2.
        weight_decay: Strength of weight decay.
        decay_all: Whether biases and normalisation layers decay too, as in the paper's code, and what timm keeps from
            it, such as class tokens and position embeddings.
        warmup_share: The share of all steps in which the rate rises linearly to its peak (0.33 in the paper's code).
        final_share: The share of the peak towards which the cosine falls (0.001 in the paper's code). It would be there
            one step after the last.
        clip_norm: Gradients are scaled down to this global L2 norm; none means no clipping.
    """

    name: Literal["sgd", "adamw", "muon"] = "sgd"
    learning_rate: float = Field(default=0.1, gt=0)
    objective_rate: float = Field(default=1.0, gt=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    newton_schulz_steps: int = Field(default=5, ge=1)
    weight_decay: float = Field(default=1e-4, ge=0)
    decay_all: bool = False
    warmup_share: float = Field(default=0.1, ge=0, le=1)
    final_share: float = Field(default=1e-3, ge=0, le=1)
    clip_norm: float | None = Field(default=None, gt=0)


def create_optimiser(encoder: nn.Module, objective: nn.Module, config: OptimiserConfig) -> torch.optim.Optimizer:
    """Build the optimiser over all trainable parameters.

    Args:
        encoder: Its matrices are one group of parameters, its vectors another, with what timm keeps from decay.
        objective: What it trains beside the encoder, such as a classifier: two groups of its own.
        config: The optimiser.
    """
    hidden, vectors = _by_decay(encoder)
    outputs, output_vectors = _by_decay(objective)
    decay = config.weight_decay
    of_vectors = decay if config.decay_all else 0.0
    groups: list[dict[str, Any]] = [
        {"params": hidden, "weight_decay": decay, _SHARE: 1.0},
        {"params": vectors, "weight_decay": of_vectors, _SHARE: 1.0},
        {"params": outputs, "weight_decay": decay, _SHARE: config.objective_rate},
        {"params": output_vectors, "weight_decay": of_vectors, _SHARE: config.objective_rate},
    ]
    rate, momentum, nesterov = config.learning_rate, config.momentum, config.momentum > 0
    if config.name == "adamw":
        return torch.optim.AdamW(groups, lr=rate, fused=True)
    if config.name == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=momentum, nesterov=nesterov, fused=True)
    groups[2]["use_fallback"] = True  # an orthogonal update is for hidden layers, say Muon's authors
    steps = config.newton_schulz_steps
    return Muon(groups, lr=rate, momentum=momentum, nesterov=nesterov, ns_steps=steps, ns_coefficients="polar_express")


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Give every group its share of the learning rate of a step."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group[_SHARE]


def _by_decay(module: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Return the trainable matrices (and convolutions), and the trainable vectors, with what timm keeps from decay."""
    kept: set[str] = set()
    for prefix, part in module.named_modules(prefix="module"):
        kept.update(f"{prefix}.{name}" for name in getattr(part, "no_weight_decay", set)())
    decaying: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in module.named_parameters(prefix="module"):
        if parameter.requires_grad:
            (decaying if parameter.ndim > 1 and name not in kept else others).append(parameter)
    return decaying, others


def learning_rate_at(step: int, total_steps: int, config: OptimiserConfig) -> float:
    """Return the learning rate of a step: linear warm-up, then a cosine towards ``final_share`` of the peak."""
    warmup = round(config.warmup_share * total_steps)
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    progress = (step - warmup) / max(1, total_steps - warmup)
    cosine = (1 + math.cos(math.pi * progress)) / 2
    return config.learning_rate * (config.final_share + (1 - config.final_share) * cosine)
