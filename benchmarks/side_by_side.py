"""Two trainings on two cores: side by side with a thread each, against one after another with two threads each.

The peer is Kedro's `SequentialRunner` with torch's own number of threads, which is what a plain `kedro run` does. Both
sides run the same two nodes, each a training of the emoji data's encoder (conf/base) on random pictures of 32 px, and
alternate, so that a machine that others use as well is equally slow for both; the ratio is taken round by round.

Run: python benchmarks/side_by_side.py [--rounds 3] [--epochs 1]
"""

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
import yaml
from kedro.io import DataCatalog
from kedro.pipeline import Node, Pipeline
from kedro.runner import AbstractRunner, SequentialRunner

from weakcl_pipeline.contrastive import FixedPositives, TrainingConfig, train
from weakcl_pipeline.images import PackedImages
from weakcl_pipeline.images.store import pack_batch
from weakcl_pipeline.runner import SideBySideRunner

PICTURES, SIZE, TRAININGS = 5_248, 32, 2
CONFIG = Path(__file__).parents[1] / "conf/base/parameters_training.yml"


def trainings(config: TrainingConfig) -> Pipeline:
    """Return a pipeline of trainings that do not need each other."""
    pixels = np.random.default_rng(0).integers(0, 256, (PICTURES, SIZE, SIZE, 3), dtype=np.uint8)
    images = PackedImages.from_table(pa.Table.from_batches([pack_batch([str(i) for i in range(PICTURES)], pixels)]))
    rows = np.arange(PICTURES)

    def node(seed: int) -> Node:
        def run() -> int:
            return len(train(images, rows, FixedPositives(rows // 10), config, seed=seed, name=f"{seed}").history)

        return Node(run, None, f"training_{seed}", name=f"training_{seed}")

    return Pipeline([node(seed) for seed in range(TRAININGS)])


def rate(pipeline: Pipeline, runner: Callable[[], AbstractRunner], epochs: int) -> float:
    """Return images per second over all trainings."""
    started = time.perf_counter()
    runner().run(pipeline, DataCatalog())
    return TRAININGS * epochs * PICTURES / (time.perf_counter() - started)


def main() -> None:
    """Measure and print both sides and their ratio: median, smallest and largest."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each side")
    parser.add_argument("--epochs", type=int, default=1, help="epochs of a training")
    arguments = parser.parse_args()
    parameters = yaml.safe_load(CONFIG.read_text())["training"] | {"epochs": arguments.epochs}
    pipeline = trainings(TrainingConfig.model_validate(parameters))
    print(
        f"{os.cpu_count()} cores, {torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}, "
        f"Python {platform.python_version()}, torch {torch.__version__}"
    )
    pairs = [
        (rate(pipeline, SideBySideRunner, arguments.epochs), rate(pipeline, SequentialRunner, arguments.epochs))
        for _ in range(arguments.rounds)
    ]
    columns = {
        "side by side": [ours for ours, _ in pairs],
        "one after another": [peer for _, peer in pairs],
        "ratio": [ours / peer for ours, peer in pairs],
    }
    for name, values in columns.items():
        form = ".2f" if name == "ratio" else ",.0f"
        middle, low, high = (format(value, form) for value in (statistics.median(values), min(values), max(values)))
        print(f"{name:>18}: {middle} ({low} - {high}){'' if name == 'ratio' else ' images/s'}")


if __name__ == "__main__":
    main()
