"""What Kedro, the catalog and lineage cost: `full` run by Kedro, and its functions called one after another.

Both sides run the nodes of the emoji data's default run one at a time, in the same order, with the same parameters but
for fewer epochs and clusters, in a temporary copy of the project. The plain side keeps everything in memory: what
writing, hashing and checking artifacts takes is on Kedro's side. Trainings keep checkpoints on both sides.

Run: python benchmarks/overhead.py [--epochs 1] [--rounds 2] [--every 1]
"""

import argparse
import contextlib
import logging
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import polars as pl
from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.runner import SequentialRunner
from kedro.validation import TypeExtractor
from pydantic import TypeAdapter

from measured import alternate, machine, show
from weakcl_pipeline.sources import SOURCES

ROOT = Path(__file__).parents[1]
COPIED = ("conf", "pyproject.toml", "src", "data/01_raw")
RAW = "data/01_raw/emoji/emoji.parquet"
OURS = "kedro run"


def few(epochs: int) -> dict[str, Any]:
    """Return parameters for few epochs, and for as few clusters as one of eight pictures can give."""
    return {
        "training": {"epochs": epochs},
        "clustering": {"granularities": [5, 10, 20], "granularity": 20},
        "iterative": {"k": 50, "warmup_epochs": 0},
    }


def copy_project(folder: Path, every: int) -> Path:
    """Return a copy of this project without artifacts, with one of so many pictures."""
    for name in COPIED:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy(source, target)
    raw = folder / RAW
    pl.read_parquet(raw).gather_every(every).write_parquet(raw)
    (folder / ".telemetry").write_text("consent: false\n", encoding="utf-8")
    return folder


def by_kedro(project: Path, epochs: int) -> float:
    """Return the seconds that Kedro takes."""
    started = time.perf_counter()
    with KedroSession.create(project, runtime_params=few(epochs)) as session:
        session.run(pipeline_names=["full"], runner=SequentialRunner())
    return time.perf_counter() - started


def by_hand(project: Path, epochs: int) -> float:
    """Return the seconds that the functions take."""
    with KedroSession.create(project, runtime_params=few(epochs)) as session:
        config = session.load_context().config_loader
        parameters, catalog = config["parameters"], config["catalog"]
    entry = catalog["raw_samples"]
    lazy = {name for name, dataset in catalog.items() if "LazyTableDataset" in str(dataset)}
    full = pipelines["full"]
    types = TypeExtractor({"full": full}).extract_types_from_pipelines()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        values: dict[str, Any] = {
            f"params:{name}": TypeAdapter(types[name]).validate_python(value) if name in types else value
            for name, value in parameters.items()
        }
        options = {key: value for key, value in entry.items() if key in ("path",)}
        values["raw_samples"] = SOURCES[entry["source"]].model_validate(options).scan()
        for name in full.inputs() - values.keys():
            folder = name.endswith(("checkpoints", "image_shards"))
            values[name] = Path(scratch) / name if folder else {}
        for node in full.nodes:
            made = node.run({name: values[name] for name in node.inputs})
            for name, value in made.items():  # a node may stream what the catalog loads whole
                streamed = isinstance(value, pl.LazyFrame) and name not in lazy
                values[name] = value.collect() if streamed else value
        return time.perf_counter() - started


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=1, help="of each training; the default run has more")
    parser.add_argument("--every", type=int, default=1, help="take one of so many pictures")
    parser.add_argument("--rounds", type=int, default=2, help="measurements of each side")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        project = copy_project(Path(folder), arguments.every)
        bootstrap_project(project)
        logging.disable(logging.WARNING)
        sides = {
            OURS: lambda: by_kedro(project, arguments.epochs),
            "functions alone": lambda: by_hand(project, arguments.epochs),
        }
        print(machine())
        show(alternate(sides, arguments.rounds), OURS, unit="s", form=".1f")


if __name__ == "__main__":
    main()
