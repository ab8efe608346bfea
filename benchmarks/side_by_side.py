"""Two trainings on two cores: side by side with a thread each, against one after another with two threads each.

The peer is Kedro's `SequentialRunner` with torch's own number of threads, which is what a plain `kedro run` does. Both
sides run the same two nodes, each a training of the emoji data's encoder (conf/base) on random pictures of 32 px, and
alternate, so that a machine that others use as well is equally slow for both; the ratio is taken round by round.

Run: python benchmarks/side_by_side.py [--rounds 3] [--epochs 1]
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import yaml
from kedro.io import DataCatalog
from kedro.pipeline import Node, Pipeline
from kedro.runner import AbstractRunner, SequentialRunner

from measured import machine, spread
from weakcl_pipeline.contrastive import FixedPositives, TrainingConfig, train
from weakcl_pipeline.images import open_store
from weakcl_pipeline.images.stores import pixel_table
from weakcl_pipeline.runner import SideBySideRunner

SIZE, TRAININGS = 32, 2
CONFIG = Path(__file__).parents[1] / "conf/base/parameters_training.yml"


def trainings(config: TrainingConfig, pictures: int) -> Pipeline:
    """Return a pipeline of trainings that do not need each other."""
    pixels = np.random.default_rng(0).integers(0, 256, (pictures, SIZE, SIZE, 3), dtype=np.uint8)
    images = open_store(pixel_table([str(i) for i in range(pictures)], pixels))
    rows = np.arange(pictures)

    def node(seed: int) -> Node:
        def run() -> int:
            return len(train(images, rows, FixedPositives(rows // 10), config, seed=seed, name=f"{seed}").history)

        return Node(run, None, f"training_{seed}", name=f"training_{seed}")

    return Pipeline([node(seed) for seed in range(TRAININGS)])


def rate(pipeline: Pipeline, runner: Callable[[], AbstractRunner], images: int) -> float:
    """Return images per second over all trainings, which see so many of them each."""
    started = time.perf_counter()
    runner().run(pipeline, DataCatalog())
    return TRAININGS * images / (time.perf_counter() - started)


def main() -> None:
    """Measure and print both sides and their ratio: median, smallest and largest."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each side")
    parser.add_argument("--epochs", type=int, default=1, help="epochs of a training")
    parser.add_argument("--pictures", type=int, default=5_248, help="pictures of an epoch")
    arguments = parser.parse_args()
    parameters = yaml.safe_load(CONFIG.read_text())["training"] | {"epochs": arguments.epochs}
    pipeline = trainings(TrainingConfig.model_validate(parameters), arguments.pictures)
    images = arguments.epochs * arguments.pictures
    print(machine())
    pairs = [
        (rate(pipeline, SideBySideRunner, images), rate(pipeline, SequentialRunner, images))
        for _ in range(arguments.rounds)
    ]
    ours, peer = ([pair[side] for pair in pairs] for side in (0, 1))
    ratios = [mine / other for mine, other in zip(ours, peer, strict=True)]
    print(f"     side by side: {spread(ours, ',.0f')} images/s")
    print(f"one after another: {spread(peer, ',.0f')} images/s")
    print(f"            ratio: {spread(ratios, '.2f')}")


if __name__ == "__main__":
    main()
