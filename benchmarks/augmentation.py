"""Two augmented views per picture: this package's batches against the usual loader of one picture at a time.

The peer is the augmentation of the paper's released code: torchvision transforms on PIL pictures in a torch
DataLoader with two workers. Its pictures are held decoded in memory at the training size, which favours it: no file
is read, and nothing has to be shrunk. Both sides deliver normalised float32 batches of two views; this package starts
from the memory-mapped store, with as many threads as there are cores. The two run in alternation, so that a machine
that others use as well is equally slow for both; the ratio is taken round by round.

Run: python benchmarks/augmentation.py [--sizes 32 64] [--seconds 3] [--rounds 5]
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
import torchvision
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from measured import machine, spread
from weakcl_pipeline.images.augment import Augmentation, AugmentationConfig
from weakcl_pipeline.images.stores import ImageStore, open_store, pixel_table

MEAN, STD = (0.8, 0.77, 0.73), (0.28, 0.29, 0.33)
VIEWS = 2
WORKERS = 2


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


def peer_rate(pixels: np.ndarray, batch_size: int, seconds: float) -> Callable[[], float]:
    """Return a function that measures the peer's views per second over one epoch of about `seconds`."""

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


def our_rate(store: ImageStore, batch_size: int, seconds: float) -> Callable[[], float]:
    """Return a function that measures this package's views per second for about `seconds`."""
    augmentation = Augmentation(AugmentationConfig())
    generator = torch.Generator().manual_seed(0)
    mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))

    def batch() -> Tensor:
        rows = torch.randint(len(store), (batch_size,), generator=generator)
        return augmentation(torch.cat([store.read(rows)] * VIEWS), generator).sub_(mean).div_(std)

    def measure() -> float:
        views, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds:
            views += len(batch())
        return views / (time.perf_counter() - start)

    batch()
    return measure


def mapped_store(pixels: np.ndarray, folder: str) -> ImageStore:
    """Write pictures to an Arrow file and open it as a memory map."""
    path = str(Path(folder) / f"{pixels.shape[1]}.arrow")
    table = pixel_table([str(i) for i in range(len(pixels))], pixels)
    with pa.OSFile(path, "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return open_store(pa.ipc.open_file(pa.memory_map(path)).read_all())


def compare(size: int, seconds: float, rounds: int, folder: str) -> tuple[list[float], list[float]]:
    """Return views per second of this package and of the peer, one pair per round."""
    count = max(64, 4096 * 32**2 // size**2)
    pixels = np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    batch_size = 256 if size < 128 else 64
    peer = peer_rate(pixels, batch_size, seconds)
    ours = our_rate(mapped_store(pixels, folder), batch_size, seconds)
    pairs = [(ours(), peer()) for _ in range(rounds)]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def main() -> None:
    """Measure and print one row per picture size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[32, 64, 224], help="picture sizes in pixels")
    parser.add_argument("--seconds", type=float, default=3.0, help="time per measurement")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each side")
    arguments = parser.parse_args()
    print(machine(torchvision=torchvision.__version__))
    print("views per second, median (range); two views of each picture")
    print(f"{'size':>5}  {'weakcl-pipeline':>26}  {f'DataLoader, {WORKERS} workers':>26}  {'ratio':>20}")
    with tempfile.TemporaryDirectory() as folder:
        for size in arguments.sizes:
            ours, peer = compare(size, arguments.seconds, arguments.rounds, folder)
            ratios = [mine / other for mine, other in zip(ours, peer, strict=True)]
            print(f"{size:>5}  {spread(ours, ',.0f'):>26}  {spread(peer, ',.0f'):>26}  {spread(ratios, '.1f'):>20}")


if __name__ == "__main__":
    main()
