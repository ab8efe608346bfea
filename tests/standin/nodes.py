import time
from pathlib import Path
from typing import Any

import polars as pl
import torch

from weakcl_pipeline.config import Config
from weakcl_pipeline.errors import InputError


class Optimiser(Config):
    learning_rate: float = 0.1


class Training(Config):
    epochs: int = 1
    wait_for: str | None = None  # a file without which the training does not end
    fail: str | None = None  # the message of an error, after the checkpoint
    optimiser: Optimiser = Optimiser()


def type_samples(raw_samples: pl.LazyFrame) -> tuple[pl.DataFrame, dict[str, Any]]:
    raw = raw_samples.collect()
    return raw.select(pl.col("image_id").alias("sample_id"), "split"), {"columns": raw.columns}


def accept_samples(sample_table: pl.LazyFrame, attribute_schema: dict[str, Any]) -> pl.DataFrame:
    return sample_table.with_columns(columns=pl.lit(len(attribute_schema["columns"]))).collect()


def count_pictures(raw_samples: pl.LazyFrame, sample_table: pl.LazyFrame) -> dict[str, int]:
    return {"pictures": raw_samples.select("image").collect().height, "samples": sample_table.collect().height}


def form_clusters(samples: pl.DataFrame, clusters: int) -> pl.DataFrame:
    return samples.select("sample_id", cluster=pl.int_range(pl.len()) % clusters)


def train(
    samples: pl.DataFrame, clusters: pl.DataFrame, training: Training, seed: int, checkpoints: Path
) -> tuple[tuple[dict[str, torch.Tensor], dict[str, Any]], pl.DataFrame]:
    (checkpoints / "key").mkdir(exist_ok=True)
    (checkpoints / "key" / "epoch.txt").write_text("1")
    if training.fail:
        raise InputError(training.fail)
    while training.wait_for and not Path(training.wait_for).exists():
        time.sleep(0.05)
    weights = {"weights": torch.tensor([float(clusters["cluster"].sum()), float(seed)])}
    return (weights, {"checkpoint": "key"}), pl.DataFrame({"epoch": range(training.epochs)})


def evaluate(encoder: tuple[dict[str, torch.Tensor], dict[str, Any]], samples: pl.DataFrame) -> dict[str, float]:
    return {"score": encoder[0]["weights"].sum().item() / len(samples)}


def compare(metrics: dict[str, float], seed: int, repeats: dict[str, dict[int, dict[str, float]]]) -> pl.DataFrame:
    by_seed = repeats.get("attribute.metrics", {seed: metrics})
    return pl.DataFrame({"seed": sorted(by_seed), "score": [by_seed[seed]["score"] for seed in sorted(by_seed)]})


def write_report(metrics: dict[str, float], clusters: pl.DataFrame, lineage: dict[str, dict[str, str]]) -> str:
    number = clusters["cluster"].n_unique()
    return f"<p>{metrics['score']} with {number} clusters of {lineage['clusters']['version']}</p>"
