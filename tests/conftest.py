"""Projects to run: temporary copies of this one, with little data and small parameters."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
import yaml
from kedro.framework.project import LOGGING
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.io import CatalogConfigResolver, DataCatalog
from kedro.runner import SequentialRunner

from tests import processes
from weakcl_pipeline.datasets import AtomicDataset, Lineage

TESTS = Path(__file__).parent
ROOT = TESTS.parent

# Kedro configures logging anew when it first meets a package, which would take pytest's handlers away during a test.
for package in ("weakcl_pipeline", "standin"):
    LOGGING.set_project_logging(package)

# What makes a run of the real pipelines take seconds. Keys are those of conf/base/parameters*.yml.
TINY: dict[str, Any] = {
    "ingestion": {"attributes": {"tags": {"min_count": 2}}},
    "images": {"size": 16},
    "clustering": {"granularities": [2, 5, 10], "granularity": 5, "shuffles": 2},
    "training": {
        "epochs": 2,
        "batch_size": 32,
        "progressive": {
            "scale": 0.75,
            "share": 0.5,
        },  # at 8 px the last stage would halve a single pixel (see docs/decisions.md)
        "encoder": {"backbone_kwargs": {"stem_width": 4, "channels": [4, 8, 8, 16]}, "head": {"output_dim": 16}},
    },
    "evaluation": {
        "linear_probe": {"costs": [0.1]},
        "knn": {"ks": [1, 5]},
        "few_label": {"shares": [0.1], "repeats": 1, "costs": [0.1]},
        "bootstrap": {"resamples": 100},
    },
    "attribute": {"completion": {"k": 5, "warmup_epochs": 1, "recluster_every": 1}},
    "iterative": {"k": 5, "warmup_epochs": 1, "recluster_every": 1},
}

ENVIRONMENT = {"PYTHONPATH": str(TESTS), "COLUMNS": "200"}  # where `standin` is, and lines that are not broken

STANDIN = {"seed": 3, "clustering": {"count": 4}, "training": {"epochs": 2}}


@dataclass(frozen=True)
class Project:
    """A temporary Kedro project."""

    path: Path

    def run(self, *pipelines: str, **options: Any) -> str:
        """Run in this process and return the run's version; options are those of `KedroSession.run`."""
        params, env = options.pop("params", None), options.pop("env", None)
        with self.entered(), KedroSession.create(self.path, runtime_params=params, env=env) as session:
            session.run(pipeline_names=list(pipelines) or None, **{"runner": SequentialRunner(), **options})
            return session.session_id

    def kedro(self, *words: str, command: tuple[str, ...] = ("kedro", "run")) -> subprocess.CompletedProcess[str]:
        """Run ``python -m kedro run ...`` and wait for it."""
        with tempfile.TemporaryDirectory() as folder:
            out, err = logs = Path(folder) / "out", Path(folder) / "err"
            process = processes.start(processes.run_module, (*command, *words), self.path, ENVIRONMENT, *logs)
            process.join(300)
            process.kill()
            return subprocess.CompletedProcess(words, process.exitcode, out.read_text(), err.read_text())

    def start(self, *words: str, command: tuple[str, ...] = ("kedro", "run")) -> subprocess.Popen[str]:
        """Start ``python -m kedro run ...``."""
        return subprocess.Popen(
            [sys.executable, "-m", *command, *words],
            cwd=self.path,
            env={**os.environ, **ENVIRONMENT},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def catalog(self) -> DataCatalog:
        """Return the catalog as a notebook has it."""
        with self.entered(), KedroSession.create(self.path) as session:
            return session.load_context().catalog

    @cached_property
    def _resolver(self) -> CatalogConfigResolver:
        return self.catalog().config_resolver

    def artifact(self, name: str) -> AtomicDataset:
        """Return an artifact's dataset, which knows of no earlier use."""
        dataset = DataCatalog(config_resolver=self._resolver).get(name)
        assert isinstance(dataset, AtomicDataset)
        return dataset

    def versions(self, name: str) -> list[str]:
        """Return an artifact's versions, newest first."""
        return self.artifact(name).list_versions(full_path=False)

    def lineage(self, name: str, version: str | None = None) -> Lineage:
        """Return an artifact's lineage, by default of the newest version."""
        return self.artifact(name).lineage(version)

    def configure(self, parameters: dict[str, Any]) -> None:
        """Override single parameters of conf/base: of a file in conf/local Kedro takes whole groups."""
        base: dict[str, Any] = {}
        for file in sorted((self.path / "conf/base").glob("parameters*.yml")):
            base |= yaml.safe_load(file.read_text()) or {}
        changed = {key: merge(base.get(key), value) for key, value in parameters.items()}
        (self.path / "conf/local/parameters.yml").write_text(yaml.safe_dump(changed))

    def copy(self, path: Path) -> "Project":
        """Return a copy that may be changed."""
        shutil.copytree(self.path, path)
        return Project(path)

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Be in the project, as `kedro` would be, and leave the process as it was."""
        with contextlib.chdir(self.path), pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
            patch.setattr(sys, "path", [str(TESTS), *sys.path])  # where `standin` is
            bootstrap_project(self.path)
            yield


def merge(base: Any, changes: Any) -> Any:
    """Return a mapping with changes at any depth."""
    if not (isinstance(base, dict) and isinstance(changes, dict)):
        return changes
    return {**base, **{key: merge(base.get(key), value) for key, value in changes.items()}}


def sample_rows(table: pl.DataFrame, rows: int) -> pl.DataFrame:
    """Take whole groups of pictures, spread evenly over the label and the splits, always the same."""
    groups = (
        table.group_by("codepoints", maintain_order=True)
        .agg(pl.len(), pl.first("split", "group"))
        .sort("split", "group", "codepoints")
    )
    every = max(1, round(len(table) / rows))
    return table.join(groups.gather_every(every), on="codepoints", how="semi")


def build_project(path: Path, package: str = "weakcl_pipeline", rows: int = 160) -> Project:
    """Make a temporary project from this one's configuration and a few of its pictures."""
    shutil.copytree(ROOT / "conf", path / "conf", ignore=shutil.ignore_patterns("local"))
    (path / "conf/local").mkdir()
    (path / "src").mkdir()  # Kedro wants one; the package itself is installed
    settings = (ROOT / "pyproject.toml").read_text().replace('name = "weakcl_pipeline"', f'name = "{package}"')
    (path / "pyproject.toml").write_text(settings)
    (path / ".telemetry").write_text("consent: false\n")
    raw = path / "data/01_raw/emoji/emoji.parquet"
    raw.parent.mkdir(parents=True)
    sample_rows(pl.read_parquet(ROOT / raw.relative_to(path)), rows).write_parquet(raw)
    project = Project(path)
    if package == "standin":
        for parameters in (path / "conf/base").glob("parameters*.yml"):
            parameters.unlink()
        (path / "conf/base/parameters.yml").write_text(yaml.safe_dump(STANDIN))
    else:
        project.configure(TINY)
    return project


@pytest.fixture
def two_threads() -> Iterator[None]:
    """Let torch have two threads, as on two cores, however many there are."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def project_factory(tmp_path: Path) -> Callable[..., Project]:
    """Return a function that makes a temporary copy of the project, ``project_factory(rows=160)``."""
    made = iter(range(1000))
    return lambda **options: build_project(tmp_path / f"project{next(made)}", **options)


@pytest.fixture
def standin(tmp_path: Path) -> Project:
    """Return a project with the real catalog and hooks, whose nodes take no time (tests/standin)."""
    return build_project(tmp_path / "standin", package="standin")


@pytest.fixture(scope="session")
def full_run(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a temporary copy of the project that has finished `full` once. Do not change it: copy it."""
    project = build_project(tmp_path_factory.mktemp("full") / "project")
    project.run("full")
    return project
