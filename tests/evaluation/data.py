"""Small made-up data for the tests of the evaluation."""

import numpy as np
import polars as pl
import pyarrow as pa

from weakcl_pipeline.evaluation.task import Task, make_task
from weakcl_pipeline.images import ImageStore, open_store
from weakcl_pipeline.images.stores import pixel_table


def make_samples(train: int = 60, val: int = 30, test: int = 40, classes: int = 4, seed: int = 0) -> pl.DataFrame:
    """Samples with two labels: `kind` (every class in every split) and `side` (two classes)."""
    rng = np.random.default_rng(seed)
    split = ["train"] * train + ["val"] * val + ["test"] * test
    kinds = np.concatenate([rng.permutation(np.arange(size) % classes) for size in (train, val, test)])
    return pl.DataFrame(
        {
            "sample_id": [f"s{i:04d}" for i in range(len(split))],
            "split": split,
            "group": [f"g{i // 2}" if i % 5 else None for i in range(len(split))],
            "image": [""] * len(split),
            "label_kind": [f"kind {k}" for k in kinds],
            "label_side": ["left" if k % 2 else "right" for k in kinds],
        }
    )


def make_features(samples: pl.DataFrame, dim: int = 6, signal: float = 1.0, seed: int = 1) -> np.ndarray:
    """Noise plus a vector for each class of `kind`: float32 (N, dim)."""
    rng = np.random.default_rng(seed)
    kinds = samples["label_kind"].rank("dense").to_numpy() - 1
    centres = np.random.default_rng(99).normal(size=(int(kinds.max()) + 1, dim))
    return (rng.normal(size=(len(samples), dim)) + signal * centres[kinds]).astype(np.float32)


def task_of(samples: pl.DataFrame, features: np.ndarray, label: str = "kind") -> Task:
    return make_task(label, features, samples)


def make_image_store(samples: pl.DataFrame, size: int = 8, seed: int = 0) -> pa.Table:
    pixels = np.random.default_rng(seed).integers(0, 256, (len(samples), size, size, 3), dtype=np.uint8)
    return pixel_table(samples["sample_id"].to_list(), pixels)


def make_images(samples: pl.DataFrame, size: int = 8, seed: int = 0) -> ImageStore:
    return open_store(make_image_store(samples, size, seed))
