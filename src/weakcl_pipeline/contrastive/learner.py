"""What learns: an encoder and its objective, with the optimiser that moves both and the precision they compute in."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from weakcl_pipeline.contrastive.device import (
    DeviceConfig,
    allow_tf32,
    autocast,
    keep_freed_memory,
    resolve_device,
    resolve_precision,
)
from weakcl_pipeline.contrastive.encoder import Encoder
from weakcl_pipeline.contrastive.gradients import GradientSum, average_gradients
from weakcl_pipeline.contrastive.group import ALONE, Group
from weakcl_pipeline.contrastive.metrics import alignment, uniformity
from weakcl_pipeline.contrastive.objectives import FULL_VIEWS, Batch, Objective
from weakcl_pipeline.contrastive.optimiser import OptimiserConfig, create_optimiser, set_learning_rate
from weakcl_pipeline.contrastive.state import pack_optimiser, unpack_optimiser, with_prefix
from weakcl_pipeline.contrastive.sync_batch_norm import frozen_statistics, synchronise
from weakcl_pipeline.contrastive.views import Views
from weakcl_pipeline.images import AugmentationConfig

Rows = npt.NDArray[np.int64]


class Learner:
    """An encoder and its objective, and all that a step of training changes.

    Args:
        encoder: Moved to the device.
        objective: Likewise.
        augmentation: How views are made.
        optimiser: The optimiser; its learning rate is given step by step.
        device: Where and in which precision to compute.
        group: The workers that train it together. Encoders see a worker's part of each batch, the objective the
            embeddings of all of it on every worker: so whatever it keeps, such as a queue, is the same everywhere.

    Attributes:
        encoder: On the device.
        objective: On the device.
        device: The device.
        draws: Whether a step may draw from torch's global generator, as dropout does, and so must draw again what is
            computed anew in the backward pass.
    """

    def __init__(
        self,
        encoder: Encoder,
        objective: Objective,
        augmentation: AugmentationConfig,
        optimiser: OptimiserConfig,
        device: DeviceConfig,
        group: Group = ALONE,
    ) -> None:
        self._group = group
        self.device = resolve_device(device.name)
        self.encoder, self.objective = encoder.to(self.device), objective.to(self.device)
        if group.size > 1:
            synchronise(self.encoder, group)
        if device.channels_last:
            for module in self._modules().values():  # an objective may have an encoder of its own
                module.to(memory_format=torch.channels_last)
        self._dtype = resolve_precision(device.precision, self.device)
        self._embed_views: Callable[[Tensor], tuple[Tensor, Tensor]] = (
            torch.compile(self._project) if device.compile else self._project
        )
        self._at_once = device.views_at_once
        self.draws = True
        if self.device.type == "cpu":
            keep_freed_memory()
        allow_tf32(self.device, device.tf32)
        self._views = Views(augmentation, objective.small_crops)
        self._gradients = GradientSum(self.encoder.parameters(), group)
        self._clip_norm = optimiser.clip_norm
        self._optimiser = create_optimiser(self.encoder, self.objective, optimiser)
        self._scaler = torch.amp.GradScaler(self.device.type, enabled=self._dtype == torch.float16)

    def train(self) -> None:
        """Put encoder and objective into training mode."""
        self.encoder.train()
        self.objective.train()

    def step(
        self,
        pictures: Tensor,
        samples: Rows,
        clusters: Rows,
        *,
        size: int,
        learning_rate: float,
        generator: torch.Generator,
    ) -> Tensor:
        """Take one step of the optimiser.

        Args:
            pictures: uint8 (b, 3, H, W), this worker's part of the batch, on the device.
            samples: Their positions in the train split, int64 (B,).
            clusters: Their clusters, int64 (B,); negative for none.
            size: Side of the full views in pixels.
            learning_rate: Of this step.
            generator: CPU generator of the augmentation.

        Returns:
            Loss (nats), and alignment and uniformity of the batch's embeddings, or of its features where the head is
            not trained; float32 (3,), on the device: reading them waits for it.
        """
        count = len(samples)
        part = None if self._group.size == 1 else self._group.part(count)
        views = self._views(pictures, size, generator, part, count)
        with autocast(self.device, self._dtype):
            batch = self._embed(views, samples, clusters)
            loss = self.objective.loss(batch)
        self._descend(loss, learning_rate)
        self.objective.after_step(self.encoder)
        compared = batch.z if self.objective.trains_head else F.normalize(batch.features.float(), dim=1)
        first, second = compared.detach()[: FULL_VIEWS * len(samples)].chunk(FULL_VIEWS)
        return torch.stack([loss.detach(), alignment(first, second), uniformity(first)])

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return all that steps change: tensors, and what else there is, JSON-able."""
        weights = {
            f"{name}.{key}": tensor
            for name, module in self._modules().items()
            for key, tensor in module.state_dict().items()
        }
        return weights | pack_optimiser(self._optimiser), {"scaler": self._scaler.state_dict()}

    def restore(self, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
        """Go back to what :meth:`state` returned; other names are passed over."""
        for name, module in self._modules().items():
            module.load_state_dict(with_prefix(tensors, f"{name}."))
        unpack_optimiser(self._optimiser, tensors)
        self._scaler.load_state_dict(metadata["scaler"])

    def _modules(self) -> dict[str, nn.Module]:
        return {"encoder": self.encoder, "objective": self.objective}

    def _embed(self, views: list[Tensor], samples: Rows, clusters: Rows) -> Batch:
        count = len(samples)
        embedded = ([self._group.gather(own, count) for own in self._embed_in_parts(part, count)] for part in views)
        features, z = (torch.cat(parts) for parts in zip(*embedded, strict=True))
        of_samples, of_clusters = (torch.from_numpy(ids).to(self.device) for ids in (samples, clusters))
        return Batch(self._keys(views[0], count), features, z, of_samples, of_clusters)

    @torch.no_grad()
    def _keys(self, views: Tensor, count: int) -> Tensor | None:
        """Embed the worker's full views by the objective's own encoder, if any; return the keys of all workers."""
        encoder = self.objective.key_encoder
        if encoder is None:
            return None
        parts = torch.split(views, self._at_once or len(views))
        return self._group.gather(torch.cat([encoder.project(encoder(part)) for part in parts]), count)

    def _embed_in_parts(self, views: Tensor, count: int) -> Sequence[Tensor]:
        """Embed the worker's views of a batch of so many samples, in as many parts on every worker."""
        if self._at_once is None:
            return self._embed_views(views)
        of_each = len(views) // self._group.count(count)
        most, fewest = of_each * self._group.most(count), of_each * self._group.fewest(count)
        # No part of one view on any worker: batch normalisation cannot tell its variance.
        parts = views.tensor_split(max(1, min(-(-most // self._at_once), fewest // 2)))
        embed_again = partial(
            checkpoint, self._embed_views, use_reentrant=False, preserve_rng_state=self.draws,
            context_fn=self._first_and_again,
        )  # fmt: skip
        embedded = map(embed_again, parts)
        return [torch.cat(of_parts) for of_parts in zip(*embedded, strict=True)]

    def _first_and_again(self) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        """Return what surrounds the embedding of a part, and what does when its backward pass embeds it again."""
        return nullcontext(), frozen_statistics(self.encoder)

    def _project(self, views: Tensor) -> tuple[Tensor, Tensor]:
        features = self.encoder(views)
        return features, self.encoder.project(features)

    def _descend(self, loss: Tensor, learning_rate: float) -> None:
        set_learning_rate(self._optimiser, learning_rate)
        self._optimiser.zero_grad(set_to_none=True)
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self._gradients.finish()
        average_gradients(self.objective.parameters(), self._group)
        if self._clip_norm is not None:
            self._scaler.unscale_(self._optimiser)
            parameters = chain.from_iterable(module.parameters() for module in self._modules().values())
            torch.nn.utils.clip_grad_norm_(parameters, self._clip_norm)
        self._scaler.step(self._optimiser)
        self._scaler.update()
