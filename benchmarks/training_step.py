"""A step of training end to end: this package's loop against lightly's, with the same encoder, loss and batches.

The peer is SimCLR as in the documentation of lightly: its `SimCLRTransform` on PIL pictures in a torch DataLoader with
two workers, `NTXentLoss`, SGD. It runs as it is published, in float32, and once more with bf16 and channels_last, which
this package has by itself. Here a step reads the pictures from the store, makes two views, embeds them, computes the
loss and moves the weights by SGD. The encoder alone is the forward and backward pass of the same network on views that
are ready. Pictures are random; all sides use all cores.

Run: python benchmarks/training_step.py [--sizes 32 64] [--batch 128] [--steps 40] [--rounds 5]
"""

import argparse
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
import yaml
from lightly.loss import NTXentLoss
from lightly.transforms import SimCLRTransform
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from measured import alternate, machine, show
from weakcl_pipeline.contrastive import FixedPositives, SideInformation, TrainingConfig
from weakcl_pipeline.contrastive.device import autocast, resolve_device, resolve_precision
from weakcl_pipeline.contrastive.encoder import Encoder
from weakcl_pipeline.contrastive.feed import Feed
from weakcl_pipeline.contrastive.learner import Learner
from weakcl_pipeline.contrastive.objectives import OBJECTIVES, Setting
from weakcl_pipeline.contrastive.sampler import draw_batches
from weakcl_pipeline.hardware import cores
from weakcl_pipeline.images import open_store
from weakcl_pipeline.images.stores import pixel_table

CONFIG = Path(__file__).parents[1] / "conf/base/parameters_training.yml"
WORKERS, PICTURES = cores(), 4096
MEAN, STD = (0.8, 0.77, 0.73), (0.28, 0.29, 0.33)
OURS = "weakcl-pipeline"

Rate = Callable[[], float]


def configured(batch_size: int) -> TrainingConfig:
    """Return the emoji encoder with plain SGD, which is lightly's."""
    parameters = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["training"]
    optimiser = {"name": "sgd", "learning_rate": 0.06, "momentum": 0.9, "weight_decay": 5e-4}
    return TrainingConfig.model_validate(parameters | {"batch_size": batch_size, "optimiser": optimiser})


def encoder_of(config: TrainingConfig) -> Encoder:
    """Build the encoder that all sides train."""
    return Encoder.create(config.encoder, MEAN, STD, seed=0)


def ours(pixels: np.ndarray, config: TrainingConfig, steps: int) -> Rate:
    """Return what measures images per second of this package's steps."""
    images = open_store(pixel_table([str(i) for i in range(len(pixels))], pixels))
    alone = FixedPositives(np.full(len(pixels), -1)).initial()
    encoder = encoder_of(config)
    objective = OBJECTIVES["cl_infonce"].build(config.objective, Setting(encoder, alone, SideInformation(), 0))
    learner = Learner(encoder, objective, config.augmentation, config.optimiser, config.device)
    learner.train()
    feed = Feed(images, np.arange(len(pixels)), config.device)
    generator, draws = torch.Generator().manual_seed(0), np.random.default_rng(0)

    def batches() -> Iterator[np.ndarray]:
        while True:
            yield from draw_batches(alone, config.batch_size, config.sampler, draws)

    drawn = [batch for batch, _ in zip(batches(), range(steps), strict=False)]

    def measure() -> float:
        started = time.perf_counter()
        for batch, pictures in zip(drawn, feed.batches(drawn), strict=True):
            learner.step(pictures, batch, alone[batch], size=images.size, learning_rate=0.06, generator=generator)
        return steps * config.batch_size / (time.perf_counter() - started)

    measure()
    return measure


class Pictures(Dataset[list[Tensor]]):
    """Two views of PIL pictures by lightly's transform."""

    def __init__(self, pixels: np.ndarray, length: int) -> None:
        self._pictures = [Image.fromarray(picture) for picture in pixels]
        self._transform = SimCLRTransform(input_size=pixels.shape[1], gaussian_blur=0.0)
        self._length = length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> list[Tensor]:
        return self._transform(self._pictures[index % len(self._pictures)])


def lightly(pixels: np.ndarray, config: TrainingConfig, steps: int, *, tuned: bool) -> Rate:
    """Return what measures images per second of lightly's loop; tuned, with bf16 and channels_last."""
    device = resolve_device("cpu")
    dtype = resolve_precision("auto", device) if tuned else torch.float32
    encoder = encoder_of(config).train()
    if tuned:
        encoder.to(memory_format=torch.channels_last)
    optimiser = torch.optim.SGD(encoder.parameters(), lr=0.06, momentum=0.9, weight_decay=5e-4)
    criterion = NTXentLoss(temperature=config.objective.temperature)
    data = Pictures(pixels, (steps + 1) * config.batch_size)
    loader = DataLoader(
        data, config.batch_size, shuffle=True, drop_last=True, num_workers=WORKERS, persistent_workers=True
    )

    def step(views: list[Tensor]) -> None:
        if tuned:
            views = [view.to(memory_format=torch.channels_last) for view in views]
        with autocast(device, dtype):
            first, second = (encoder.project(encoder(view)) for view in views)
        loss = criterion(first, second)
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()

    def measure() -> float:
        epoch = iter(loader)
        step(next(epoch))  # the clock starts when the workers are in full swing
        started = time.perf_counter()
        for views in epoch:
            step(views)
        return steps * config.batch_size / (time.perf_counter() - started)

    measure()
    return measure


def encoder_alone(size: int, config: TrainingConfig, steps: int) -> Rate:
    """Return what measures images per second of the network itself, two views of each."""
    device = resolve_device("cpu")
    dtype = resolve_precision("auto", device)
    encoder = encoder_of(config).train().to(memory_format=torch.channels_last)
    views = torch.rand(2 * config.batch_size, 3, size, size).to(memory_format=torch.channels_last)

    def measure() -> float:
        started = time.perf_counter()
        for _ in range(steps):
            encoder.zero_grad(set_to_none=True)
            with autocast(device, dtype):
                embedded = encoder.project(encoder(views))
            embedded.sum().backward()
        return steps * config.batch_size / (time.perf_counter() - started)

    measure()
    return measure


def main() -> None:
    """Measure and print, one block per picture size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[32, 64], help="picture sizes in pixels")
    parser.add_argument("--batch", type=int, default=128, help="pictures in a batch")
    parser.add_argument("--steps", type=int, default=40, help="in a measurement")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each side")
    arguments = parser.parse_args()
    print(machine(lightly=version("lightly"), timm=version("timm")))
    config, steps = configured(arguments.batch), arguments.steps
    for size in arguments.sizes:
        pixels = np.random.default_rng(0).integers(0, 256, (PICTURES, size, size, 3), dtype=np.uint8)
        sides = {
            OURS: ours(pixels, config, steps),
            "lightly as published": lightly(pixels, config, steps, tuned=False),
            "lightly, bf16 and channels_last": lightly(pixels, config, steps, tuned=True),
            "encoder alone": encoder_alone(size, config, steps),
        }
        print(f"\n{size} px, batches of {arguments.batch}")
        show(alternate(sides, arguments.rounds), OURS, unit="images/s", form=",.0f")


if __name__ == "__main__":
    main()
