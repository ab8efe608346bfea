"""The trainer that all methods share: what differs between them is only who is a positive of whom."""

import logging
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, NoReturn, Self

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from pydantic import Field, model_validator
from rich.progress import Progress
from torch import Tensor

from weakcl_pipeline import __version__
from weakcl_pipeline.config import Config
from weakcl_pipeline.contrastive.checkpoint import CheckpointStore, Saved
from weakcl_pipeline.contrastive.device import DeviceConfig
from weakcl_pipeline.contrastive.embedding import embed
from weakcl_pipeline.contrastive.encoder import Encoder, EncoderConfig, EncoderState
from weakcl_pipeline.contrastive.feed import Feed
from weakcl_pipeline.contrastive.group import ALONE, Group, LauncherConfig, Shard
from weakcl_pipeline.contrastive.launchers import launch
from weakcl_pipeline.contrastive.learner import Learner
from weakcl_pipeline.contrastive.objectives import (
    OBJECTIVES,
    ClInfoNCEConfig,
    ObjectiveConfig,
    Setting,
    SideInformation,
)
from weakcl_pipeline.contrastive.objectives.base import SmallCrops
from weakcl_pipeline.contrastive.optimiser import OptimiserConfig, learning_rate_at
from weakcl_pipeline.contrastive.positives import Positives
from weakcl_pipeline.contrastive.progress import silent, training_progress
from weakcl_pipeline.contrastive.progressive import ProgressiveConfig, view_size
from weakcl_pipeline.contrastive.sampler import SamplerConfig, draw_batches, partner_share
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.images import AugmentationConfig, ImageStore
from weakcl_pipeline.seeding import numpy_generator, seeded_torch, torch_generator

logger = logging.getLogger(__name__)

Rows = npt.NDArray[np.int64]

_LOOKED_AT = 32  # pictures by whose features it is told whether the weights are still sound
_REFRESH_SECONDS = 1.0  # reading the loss waits for the device, so the bar asks for it seldom


class TrainingConfig(Config):
    """Everything the methods share, so that a comparison of methods compares one thing.

    Attributes:
        epochs: Passes over the train split.
        batch_size: Pictures in a batch; each gives two views.
        encoder: The architecture.
        augmentation: How views are made.
        progressive: Small views in the first epochs; none means the stored size in all.
        objective: What is minimised by all methods but the rivals, which have their own objectives.
        sampler: How batches are drawn.
        optimiser: The optimiser and its schedule.
        device: Where and in which precision to compute.
        launcher: In how many processes.
    """

    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=2)
    encoder: EncoderConfig = EncoderConfig()
    augmentation: AugmentationConfig = AugmentationConfig()
    progressive: ProgressiveConfig | None = None
    objective: ClInfoNCEConfig = ClInfoNCEConfig()
    sampler: SamplerConfig = SamplerConfig()
    optimiser: OptimiserConfig = OptimiserConfig()
    device: DeviceConfig = DeviceConfig()
    launcher: LauncherConfig = LauncherConfig()

    @model_validator(mode="after")
    def _partners_fit_into_a_batch(self) -> Self:
        self.sampler.require_room(self.batch_size, "batch_size")
        return self


@dataclass(frozen=True)
class TrainingResult:
    """What a training leaves.

    Attributes:
        encoder: In evaluation mode, on the CPU.
        history: A row an epoch: ``epoch`` (from 1), ``loss`` (nats), ``learning_rate``, ``view_size`` (pixels),
            ``images_per_second``, ``seconds``, ``alignment`` and ``uniformity`` (Wang and Isola 2020) of the
            embeddings, or of the features where the objective trains no projection head, ``partner_share``, and what
            the positives add.
        clusters: The clusters of the last epoch, int64 (N,), negative for none.
        checkpoint: Name of the directory of its checkpoints; none where there were none.
    """

    encoder: Encoder
    history: pl.DataFrame
    clusters: Rows
    checkpoint: str | None

    def __reduce__(self) -> tuple[Any, ...]:
        """Be pickled with the encoder's weights alone: its layers may know a group of workers that is gone by then."""
        return _restore, (self.encoder.state(), self.history, self.clusters, self.checkpoint)


def _restore(state: EncoderState, *others: Any) -> TrainingResult:
    return TrainingResult(Encoder.from_state(*state), *others)


@dataclass(frozen=True)
class TrainingJob:
    """What is to be trained, and from what.

    Attributes:
        images: The store.
        rows: Rows of the train split in the store, int64 (N,).
        positives: Who is a positive of whom.
        config: The shared parameters.
        seed: Of the initialisation, the batches and the augmentation.
        method: What is trained, for the log.
        objective: What is minimised.
        side: What is known of the train split beside clusters.
        checkpoints: Directory of the method's checkpoints; none means no checkpoints.
    """

    images: ImageStore
    rows: Rows
    positives: Positives
    config: TrainingConfig
    seed: int
    method: str
    objective: ObjectiveConfig
    side: SideInformation
    checkpoints: Path | None = None

    @property
    def name(self) -> str:
        """The method and the seed."""
        return f"{self.method}, seed {self.seed}"

    def run(self, group: Group) -> TrainingResult:
        """Train, going on from the last checkpoint of the same training where there is one."""
        trainer = Trainer(self, group)
        with trainer.checkpoints() as store:
            return trainer.run(store)


class Trainer:
    """One training: what learns, from what, and the epochs done so far.

    Args:
        job: What is to be trained.
        group: The workers that train together.

    Raises:
        InputError: If the batch is larger than the train split, or smaller than the group, or views are too small for
            the encoder.
    """

    def __init__(self, job: TrainingJob, group: Group = ALONE) -> None:
        images, config, rows, objective = job.images, job.config, job.rows, job.objective
        if config.batch_size > len(rows):
            msg = f"training.batch_size: {config.batch_size} is more than the {len(rows)} samples of the train split"
            raise InputError(msg)
        if config.batch_size < group.size:
            msg = f"training.launcher.workers: {group.size} are more than the {config.batch_size} pictures of a batch"
            raise InputError(msg)
        self._images, self._rows, self._positives, self._group = images, rows, job.positives, group
        self._config, self._seed, self._name = config, job.seed, job.method
        self._folder = job.checkpoints
        self._clusters = job.positives.initial()
        self._described = (
            __version__,
            config.model_dump_json(),
            job.seed,
            job.positives.describe(),
            objective.model_dump_json(),
            job.side.describe(),
        )
        # Of all pictures, so measured once: where they are stored as they came, that decodes them.
        mean, std = group.tell(images.channel_statistics(rows) if group.leads else ((), ()))
        encoder = Encoder.create(config.encoder, mean, std, job.seed)
        with seeded_torch(job.seed, "objective"):
            setting = Setting(encoder, self._clusters, job.side, job.seed)
            built = OBJECTIVES[objective.name].build(objective, setting)
        key = "training.objective" if objective is config.objective else objective.name
        self._temperature = f"{key}.temperature" if "temperature" in type(objective).model_fields else None
        self._view_sizes = [
            view_size(config.progressive, epoch, config.epochs, images.size) for epoch in range(config.epochs)
        ]
        self._require_views(encoder, built.small_crops, f"{key}.small_size")
        self._warn_of_no_clustering(max(job.positives.warmup_epochs, built.warmup_epochs))
        self._feed = Feed(images, rows, config.device)
        self._learner = Learner(encoder, built, config.augmentation, config.optimiser, config.device, group)
        self._history: list[dict[str, float]] = []
        self._steps_per_epoch = len(rows) // config.batch_size

    def _require_views(self, encoder: Encoder, crops: SmallCrops | None, crops_key: str) -> None:
        """Refuse views that the pictures are too small for, or that are too small for the encoder."""
        sizes = {"images.size": self._images.size, "training.progressive.scale": min(self._view_sizes)}
        if crops is not None:
            sizes[crops_key] = crops.size
            if crops.size > self._images.size:
                msg = f"{crops_key}: {crops.size} px is more than the {self._images.size} px of the pictures"
                raise InputError(msg)
        for key, size in sizes.items():
            if not encoder.is_large_enough(size):
                msg = (
                    f"{key}: views of {size} px are too small for {encoder.config.backbone!r}: a convolution with a "
                    "stride would meet a map of one pixel. Make them larger, or shrink less (training.encoder.stem)"
                )
                raise InputError(msg)

    def _warn_of_no_clustering(self, warmup_epochs: int) -> None:
        if warmup_epochs >= self._config.epochs and self._group.leads:
            logger.warning(
                "%s: all %d epochs are warm-up, so nothing will be clustered and this is self-supervision; lower"
                " %s.warmup_epochs, or raise training.epochs", self._name, self._config.epochs, self._name,
            )  # fmt: skip

    def checkpoints(self) -> AbstractContextManager[CheckpointStore | None]:
        """Return where the checkpoints of this training are, below the method's folder: of the worker that leads."""
        folder = self._folder if self._group.leads else None
        return CheckpointStore(folder, self._fingerprint()) if folder else nullcontext()

    def _fingerprint(self) -> str:
        """Digest what determines the result: this package, parameters, seed, pictures, positives, side information."""
        digest = sha256(repr(self._described).encode())
        for part in self._images.digests(self._rows):
            digest.update(part)
        return digest.hexdigest()[:16]

    def run(self, store: CheckpointStore | None) -> TrainingResult:
        """Train the epochs that are not done yet.

        Args:
            store: What :meth:`checkpoints` returned.

        Raises:
            InputError: If the loss stops being finite, or the features do.
        """
        self._resume(self._group.tell(store.load() if store else None))
        # Every worker's result names it: the one whose result is saved need not be the one that leads.
        checkpoint = self._group.tell(store.directory.name if store else None)
        with training_progress() if self._group.leads else silent() as progress:
            for epoch in range(len(self._history), self._config.epochs):
                self._run_epoch(epoch, progress)
                self._refuse_broken_weights(epoch)
                if store is not None:
                    store.save(epoch + 1, *self._state())
        return TrainingResult(
            encoder=self._learner.encoder.cpu().to(memory_format=torch.contiguous_format).eval(),
            history=pl.DataFrame(self._history, infer_schema_length=None),
            clusters=self._clusters,
            checkpoint=checkpoint,
        )

    def _resume(self, saved: Saved | None) -> None:
        if saved is None:
            return
        tensors, metadata = saved
        self._learner.restore(tensors, metadata)
        self._clusters = tensors["clusters"].numpy()
        self._history = metadata["history"]
        done, epochs = len(self._history), self._config.epochs
        if done == epochs:
            logger.info("%s: trained before, all %d epochs; taken from its last checkpoint", self._name, epochs)
        else:
            logger.info("%s: going on after epoch %d of %d", self._name, done, epochs)

    def _state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tensors, metadata = self._learner.state()
        return tensors | {"clusters": torch.from_numpy(self._clusters)}, metadata | {"history": self._history}

    def _run_epoch(self, epoch: int, progress: Progress) -> None:
        started = time.perf_counter()  # clustering is a part of the training's cost
        embed_train_split = partial(self._embed_train_split, self._view_sizes[epoch])
        embed_features = partial(embed_train_split, self._learner.encoder)
        found, figures = self._positives.update(epoch, self._clusters, embed_features)
        self._clusters = self._group.tell(found)
        figures |= self._learner.objective.begin_epoch(epoch, partial(embed_train_split, features="projection"))
        self._group.agree(self._learner.objective.kept_buffers())
        generator = numpy_generator(self._seed, "batches", epoch)
        batches = draw_batches(self._clusters, self._config.batch_size, self._config.sampler, generator)
        measured = self._run_batches(epoch, batches, progress)
        seconds = time.perf_counter() - started
        row = {
            "epoch": epoch + 1,
            "loss": measured[0],
            "learning_rate": self._learning_rate(epoch, len(batches) - 1),
            "view_size": self._view_sizes[epoch],
            "images_per_second": sum(map(len, batches)) / seconds,
            "seconds": seconds,
            "alignment": measured[1],
            "uniformity": measured[2],
            "partner_share": partner_share(batches, self._clusters),
        }
        self._history.append(row | figures)
        if not self._group.leads:
            return
        logger.info(
            "%s: epoch %d of %d, loss %.3f, %.0f images/s, %s left",
            self._name,
            epoch + 1,
            self._config.epochs,
            row["loss"],
            row["images_per_second"],
            _clock(seconds * (self._config.epochs - epoch - 1)),
        )

    def _run_batches(self, epoch: int, batches: list[Rows], progress: Progress) -> list[float]:
        """Train on each batch; return the means of loss, alignment and uniformity."""
        self._learner.train()
        generator = torch_generator(self._seed, "augmentation", epoch)
        measured = torch.zeros(len(batches), 3, device=self._learner.device)
        bar = progress.add_task(
            f"{self._name} {epoch + 1}/{self._config.epochs}", total=len(batches), loss=0, images_per_second=0
        )
        started = refreshed = time.perf_counter()
        with seeded_torch(self._seed, "epoch", epoch) as release_generator_if_unused:
            own = (batch[self._group.part(len(batch))] for batch in batches)
            pictures = self._feed.batches(own)
            for step, (batch, read) in enumerate(zip(batches, pictures, strict=True)):
                measured[step] = self._learner.step(
                    read,
                    batch,
                    self._clusters[batch],
                    size=self._view_sizes[epoch],
                    learning_rate=self._learning_rate(epoch, step),
                    generator=generator,
                )
                if step == 0:  # what draws nothing in a step never does, and other threads may train meanwhile
                    self._learner.draws = not release_generator_if_unused()
                now = time.perf_counter()
                if now - refreshed > _REFRESH_SECONDS:
                    refreshed = now
                    rate = (step + 1) * self._config.batch_size / (now - started)
                    progress.update(bar, completed=step + 1, loss=float(measured[step, 0]), images_per_second=rate)
        progress.remove_task(bar)
        self._refuse_non_finite(epoch, measured[:, 0])
        return measured.mean(dim=0).tolist()

    def _learning_rate(self, epoch: int, step: int) -> float:
        done, total = (epochs * self._steps_per_epoch for epochs in (epoch, self._config.epochs))
        return learning_rate_at(done + step, total, self._config.optimiser)

    def _refuse_non_finite(self, epoch: int, losses: Tensor) -> None:
        finite = losses.isfinite()
        if not finite.all():
            step = int((~finite).nonzero()[0])
            self._diverged(epoch, f"the loss is {float(losses[step])} at batch {step + 1} of epoch {epoch + 1}")

    def _refuse_broken_weights(self, epoch: int) -> None:
        """Look at features: no loss tells what the last step of an epoch has done to the weights."""
        size = self._view_sizes[epoch]
        few = embed(self._learner.encoder, self._images, self._config.device, rows=self._rows[:_LOOKED_AT], size=size)
        if not np.isfinite(few).all():
            self._diverged(epoch, f"features are not finite after the last batch of epoch {epoch + 1}")

    def _diverged(self, epoch: int, what: str) -> NoReturn:
        kept = f"the checkpoint of epoch {epoch} is kept" if epoch else "no epoch was finished"
        clip = "lower" if self._config.optimiser.clip_norm else "set"
        advice = ["lower training.optimiser.learning_rate", f"{clip} training.optimiser.clip_norm"]
        advice += [f"raise {self._temperature}"] if self._temperature else []
        msg = f"{self._name}: {what}; {kept}. What may help: {', '.join(advice)}"
        raise InputError(msg)

    def _embed_train_split(self, size: int, encoder: Encoder, features: Literal["backbone", "projection"]) -> Shard:
        """Embed pictures at the size of the epoch's views: an encoder does not know other sizes yet."""
        rows = self._rows[self._group.part(len(self._rows))]
        own = embed(
            encoder,
            self._images,
            self._config.device,
            rows=rows,
            projection=features == "projection",
            size=size,
        )
        return Shard(torch.from_numpy(own).to(self._learner.device), len(self._rows), self._group)


def train(
    images: ImageStore,
    rows: Rows,
    positives: Positives,
    config: TrainingConfig,
    *,
    seed: int,
    name: str,
    objective: ObjectiveConfig | None = None,
    side: SideInformation | None = None,
    checkpoints: Path | None = None,
) -> TrainingResult:
    """Train an encoder, going on from the last checkpoint of the same training where there is one.

    Args:
        images: The store.
        rows: Rows of the train split in the store, int64 (N,).
        positives: Who is a positive of whom.
        config: The shared parameters.
        seed: Of the initialisation, the batches and the augmentation.
        name: The method, for the log.
        objective: What is minimised instead of the shared objective.
        side: What is known of the train split beside clusters, for objectives that use it.
        checkpoints: Directory of the method's checkpoints; none means no checkpoints.

    Raises:
        InputError: If the batch is larger than the train split, views are too small for the encoder, the loss stops
            being finite, or workers die more often than they may.
    """
    job = TrainingJob(
        images=images,
        rows=rows,
        positives=positives,
        config=config,
        seed=seed,
        method=name,
        objective=objective or config.objective,
        side=side or SideInformation(),
        checkpoints=checkpoints,
    )
    return launch(job, config.launcher, config.device)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
