"""What packing takes: memory that does not grow with the number of pictures, and all cores.

Run ``python benchmarks/packing.py [pictures] [side]``. The pictures are JPEG files of 500 x 375 pixels in a folder.
Peak memory is that which the process alone holds (RssAnon); pages of mapped files are the system's to drop.
"""

import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import PIL
from PIL import Image

from measured import machine
from weakcl_pipeline.images.decode import ImagesConfig
from weakcl_pipeline.images.pack import pack_images

DISTINCT = 64


def anonymous_memory() -> int:
    """Return the memory of this process that no file backs, in MiB."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("RssAnon"))


class Peak(threading.Thread):
    """The largest value of `anonymous_memory` while it runs."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.value = 0
        self.done = threading.Event()

    def run(self) -> None:
        """Look every hundredth of a second."""
        while not self.done.wait(0.01):
            self.value = max(self.value, anonymous_memory())


def write_pictures(folder: Path) -> None:
    """Write smooth pictures with some noise, about as large as photographs."""
    generator = np.random.default_rng(0)
    for number in range(DISTINCT):
        coarse = Image.fromarray(generator.integers(0, 256, (12, 16, 3), np.uint8)).resize((500, 375))
        noisy = np.asarray(coarse) + generator.normal(0, 6, (375, 500, 3))
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / f"{number}.jpg", quality=90)


def measure(count: int, size: int) -> str:
    """Pack `count` pictures, then again with all shards there."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_pictures(folder)
        config = ImagesConfig(size=size, root=name)
        rows = [(f"p{number}", f"{number % DISTINCT}.jpg") for number in range(count)]
        peak = Peak()
        peak.start()
        wall, cpu = time.perf_counter(), time.process_time()
        store, _ = pack_images(rows, config, folder / "shards")
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        peak.done.set()
        again = time.perf_counter()
        pack_images(rows, config, folder / "shards")
        again = time.perf_counter() - again
    speed, busy = count / wall, cpu / wall
    return (
        f"{count:>7,} pictures at {size}: store {store.nbytes >> 20:>5} MiB, peak memory {peak.value:>4} MiB, "
        f"{speed:,.0f} pictures/s, {busy:.2f} of {os.cpu_count()} cores busy; with all shards there {again:.1f} s"
    )


if __name__ == "__main__":
    most = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    side = int(sys.argv[2]) if len(sys.argv) > 2 else 224
    print(machine(Pillow=PIL.__version__))
    print(f"before packing: {anonymous_memory()} MiB")
    for pictures in (most // 4, most // 2, most):
        print(measure(pictures, side))
