"""Two augmented views per picture: this package's batches against one picture at a time, and against kornia's.

The peers are the augmentation of the paper's released code, torchvision transforms on PIL pictures in a torch
DataLoader with two workers, and kornia's of whole batches. Their pictures are held decoded in memory at the training
size, which favours them: no file is read, and nothing has to be shrunk. All sides deliver normalised float32 batches of
two views; this package starts from the memory-mapped store, and like kornia has as many threads as there are cores.

Run: python benchmarks/augmentation.py [--sizes 32 64] [--seconds 3] [--rounds 5]
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import kornia
import kornia.augmentation as K
import numpy as np
import torch
import torchvision
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from measured import alternate, machine, show
from weakcl_pipeline.contrastive.device import keep_freed_memory
from weakcl_pipeline.files import map_table, write_table
from weakcl_pipeline.hardware import cores
from weakcl_pipeline.images.augment import Augmentation, AugmentationConfig
from weakcl_pipeline.images.stores import ImageStore, open_store, pixel_table

MEAN, STD = (0.8, 0.77, 0.73), (0.28, 0.29, 0.33)
VIEWS = 2
WORKERS = cores()  # as ours uses all of them
OURS = "weakcl-pipeline"

Rate = Callable[[], float]


class TwoViews(Dataset[tuple[Tensor, Tensor]]):
    """The released code's data set: each item is two random views of a PIL picture.

    Args:
        pixels: uint8 of shape (N, size, size, 3).
        length: Number of items in an epoch; pictures repeat.
    """

    def __init__(self, pixels: np.ndarray, length: int) -> None:
        self._pictures = [Image.fromarray(picture) for picture in pixels]
        self._length = length
        self._transform = transforms.Compose(
            [
                transforms.RandomResizedCrop(pixels.shape[1], scale=(0.4, 1.0)),
                transforms.RandomHorizontalFlip(),
                transforms.RandomApply([transforms.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8),
                transforms.RandomGrayscale(p=0.2),
                transforms.ToTensor(),
                transforms.Normalize(MEAN, STD),
            ]
        )

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        picture = self._pictures[index % len(self._pictures)]
        return self._transform(picture), self._transform(picture)


def loader_rate(pixels: np.ndarray, batch_size: int, seconds: float) -> Rate:
    """Return what measures the released code's views per second over one epoch of about `seconds`."""

    def loader(batches: int) -> DataLoader[tuple[Tensor, Tensor]]:
        data = TwoViews(pixels, batches * batch_size)
        return DataLoader(data, batch_size, shuffle=True, num_workers=WORKERS, persistent_workers=True)

    def measure(epoch: DataLoader[tuple[Tensor, Tensor]]) -> float:
        batches = iter(epoch)
        next(batches)  # the clock starts when the workers are in full swing
        start = time.perf_counter()
        views = sum(len(first) + len(second) for first, second in batches)
        return views / (time.perf_counter() - start)

    estimate = measure(loader(5))
    epoch = loader(max(5, round(estimate * seconds / (VIEWS * batch_size))))
    return lambda: measure(epoch)


def repeated(batch: Callable[[], Tensor], seconds: float) -> Rate:
    """Return what measures the views per second of a function that makes a batch of them, for about `seconds`."""

    def measure() -> float:
        views, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds:
            views += len(batch())
        return views / (time.perf_counter() - start)

    batch()
    return measure


def kornia_rate(pixels: np.ndarray, batch_size: int, seconds: float) -> Rate:
    """Return what measures kornia's views per second."""
    size = pixels.shape[1]
    augmentation = K.AugmentationSequential(
        K.RandomResizedCrop((size, size), scale=(0.4, 1.0)),
        K.RandomHorizontalFlip(),
        K.ColorJitter(0.4, 0.4, 0.4, 0.1, p=0.8),
        K.RandomGrayscale(p=0.2),
        K.Normalize(torch.tensor(MEAN), torch.tensor(STD)),
    )
    pictures = torch.from_numpy(pixels).permute(0, 3, 1, 2)

    @torch.no_grad()
    def batch() -> Tensor:
        chosen = pictures[torch.randint(len(pictures), (batch_size,))].float().div_(255)
        return augmentation(torch.cat([chosen] * VIEWS))

    return repeated(batch, seconds)


def our_rate(store: ImageStore, batch_size: int, seconds: float) -> Rate:
    """Return what measures this package's views per second."""
    augmentation = Augmentation(AugmentationConfig())
    generator = torch.Generator().manual_seed(0)
    mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))

    def batch() -> Tensor:
        rows = torch.randint(len(store), (batch_size,), generator=generator)
        return augmentation(torch.cat([store.read(rows)] * VIEWS), generator).sub_(mean).div_(std)

    return repeated(batch, seconds)


def mapped_store(pixels: np.ndarray, folder: str) -> ImageStore:
    """Write pictures to an Arrow file and open it as a memory map."""
    path = Path(folder) / f"{pixels.shape[1]}.arrow"
    write_table(pixel_table([str(i) for i in range(len(pixels))], pixels), path)
    return open_store(map_table(path))


def main() -> None:
    """Measure and print, one block per picture size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[32, 64, 224], help="picture sizes in pixels")
    parser.add_argument("--seconds", type=float, default=3.0, help="time per measurement")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each side")
    arguments = parser.parse_args()
    seconds = arguments.seconds
    keep_freed_memory()  # as in training; DataLoader's workers are other processes, and kornia has it as well
    print(machine(torchvision=torchvision.__version__, kornia=kornia.__version__))
    with tempfile.TemporaryDirectory() as folder:
        for size in arguments.sizes:
            count, batch_size = max(64, 4096 * 32**2 // size**2), 256 if size < 128 else 64
            pixels = np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)
            sides = {
                OURS: our_rate(mapped_store(pixels, folder), batch_size, seconds),
                f"torchvision, {WORKERS} workers": loader_rate(pixels, batch_size, seconds),
                "kornia": kornia_rate(pixels, batch_size, seconds),
            }
            print(f"\n{size} px, two views of each picture, batches of {batch_size}")
            show(alternate(sides, arguments.rounds), OURS, unit="views/s", form=",.0f")


if __name__ == "__main__":
    main()
