"""What a case is, and how it is run: through the functions and commands that users run."""

import contextlib
import hashlib
import io
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from PIL import Image

from tests.conftest import Project, build_project
from weakcl_pipeline.cli import explain
from weakcl_pipeline.datasets import SourceDataset
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.images.decode import ImagesConfig
from weakcl_pipeline.pipelines.ingestion.nodes import accept_samples, pack_images, type_samples
from weakcl_pipeline.sources import IngestionConfig

NEUTRAL = "data/01_raw/mine"
"""What stands for the folder of a case in its message."""

_PORT = re.compile(r"127\.0\.0\.1:\d+")
_VERSION = re.compile(r"(?!2020)\d{4}-\d\d-\d\dT\d\d\.\d\d\.\d\d\.\d{3}Z")


@dataclass(frozen=True)
class Place:
    """Where a case is run: an empty folder `raw` for what the user brings, and a project where one is needed."""

    folder: Path
    finished: Callable[[], Project]

    @property
    def raw(self) -> Path:
        """What the user brings."""
        return self.folder / "raw"

    @cached_property
    def project(self) -> Project:
        """A project whose stages `ingestion` and `clustering` are done. Cases share it, as refusals leave it alone."""
        return self.finished()


@dataclass(frozen=True)
class Case:
    """A way to be broken.

    Attributes:
        title: In the user's words.
        make: Makes the broken input in a folder.
        run: Runs it; returns the rows that went to quarantine, or raises.
        names: What the message must name: file, row, column, key.
        remedy: What to do, where the message does not say.
    """

    title: str
    make: Callable[[Path], object]
    run: Callable[[Place], pl.DataFrame | None]
    names: tuple[str, ...]
    remedy: str = ""


@dataclass(frozen=True)
class Outcome:
    """What came of a case.

    Attributes:
        message: What the user sees; of a quarantine, its rows.
        stopped: Whether the run stopped; else rows went to quarantine.
        error: What was raised.
        changed: Files that were changed or removed, and those that were written where nothing belongs.
    """

    message: str
    stopped: bool
    error: BaseException | None
    changed: list[str] = field(default_factory=list)


Told = tuple[Case, Outcome]


def see(case: Case, place: Place) -> Outcome:
    """Run a case in an empty folder."""
    place.raw.mkdir(parents=True)
    (place.folder / "elsewhere").mkdir()
    (place.folder / "elsewhere/secret.png").write_bytes(picture())
    case.make(place.raw)
    before = _contents(place.folder)
    message, error = "", None
    with contextlib.chdir(place.folder / "elsewhere"):
        try:
            quarantine = case.run(place)
        except Exception as raised:
            error, message = raised, explain(raised) or ""
        else:
            message = "" if quarantine is None else _table(quarantine)
    after = {file: digest for file, digest in _contents(place.folder).items() if not file.startswith("shards/")}
    changed = sorted(file for file in before.keys() | after.keys() if before.get(file) != after.get(file))
    return Outcome(_neutral(message, place), error is not None, error, changed)


def ingest(
    table: str = "table.csv",
    source: dict[str, Any] | None = None,
    ingestion: dict[str, Any] | None = None,
    images: dict[str, Any] | None = None,
) -> Callable[[Place], pl.DataFrame]:
    """Return what reads a table and packs its pictures, as the pipeline `ingestion` does.

    Args:
        table: The table's path in the case's folder, or its URL.
        source: More of `raw_samples` in the catalog.
        ingestion: More of `ingestion`.
        images: More of `images`.
    """

    def run(place: Place) -> pl.DataFrame:
        path = table if "://" in table else (place.raw / table).as_posix()
        root = (images or {}).get("root", "pictures")
        given = {"root": root if root is None or "://" in root else str(place.raw / root)}
        return run_ingestion(
            SourceDataset(**({"source": "table", "path": path} | (source or {}))),
            {"id_column": "id", "image_column": "file", "split_column": "split"} | (ingestion or {}),
            {"size": 8, "max_bad_fraction": 0.5, "retries": 0, "timeout": 5.0} | (images or {}) | given,
            place.folder / "shards",
        )

    return run


def run_ingestion(
    source: SourceDataset, ingestion: dict[str, Any], images: dict[str, Any], shards: Path
) -> pl.DataFrame:
    """Return the quarantine."""
    raw, roles = source.load(), IngestionConfig.model_validate(ingestion)
    sample_table, schema = type_samples(raw, roles)
    _, rejects = pack_images(raw, sample_table, roles, ImagesConfig.model_validate(images), shards)
    return accept_samples(sample_table, rejects, schema, roles)[2]


def kedro_run(*pipelines: str, **options: Any) -> Callable[[Place], None]:
    """Return what does `kedro run` in a project; files that were there before must stay as they are."""

    def run(place: Place) -> None:
        before = _contents(place.project.path / "data")
        try:
            place.project.run(*pipelines, **options)
        finally:
            after = _contents(place.project.path / "data")
            if before.items() - after.items():
                raise AssertionError(f"earlier artifacts are changed: {before.items() - after.items()}")

    return run


def finished_project(folder: Path) -> Callable[[], Project]:
    """Return what makes the project of all cases, when it is first asked for."""
    made: list[Project] = []

    def finished() -> Project:
        if not made:
            made.append(build_project(folder / "project", rows=120))
            made[0].run("ingestion", "clustering")
        return made[0]

    return finished


def rows(count: int = 6, **columns: list[Any]) -> pl.DataFrame:
    """Return a table that is right: `id`, `file`, `split` and further columns."""
    splits = ["train"] * (count - 2) + ["val", "test"]
    return pl.DataFrame({"id": [f"p{i}" for i in range(count)], "file": "good.png", "split": splits} | columns)


def picture(kind: str = "PNG", size: tuple[int, int] = (12, 10)) -> bytes:
    """Return a picture that is right."""
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, kind)
    return encoded.getvalue()


def nothing(raw: Path) -> None:
    """Make no input."""


def text(content: str | bytes, name: str = "table.csv") -> Callable[[Path], object]:
    """Return what writes a file."""
    return lambda raw: (raw / name).write_bytes(content.encode() if isinstance(content, str) else content)


def table(frame: pl.DataFrame, name: str = "table.parquet") -> Callable[[Path], object]:
    """Return what writes a Parquet table."""
    return lambda raw: frame.write_parquet(raw / name)


def lines(*rows_: str) -> str:
    """Return rows as text."""
    return "".join(f"{row}\n" for row in rows_)


def refused(error: BaseException | None) -> bool:
    """Whether an error is one that says what the user gave."""
    while error is not None:
        if isinstance(error, InputError):
            return True
        error = error.__cause__
    return False


def _contents(folder: Path) -> dict[str, str]:
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def _table(quarantine: pl.DataFrame) -> str:
    return "\n".join(f"{sample_id} | {stage} | {reason}" for sample_id, stage, reason in quarantine.iter_rows())


def _neutral(message: str, place: Place) -> str:
    message = message.replace(str(place.raw), NEUTRAL)
    if "project" in vars(place):
        message = message.replace(f"{place.project.path}/", "").replace(str(place.project.path), "project")
    return _VERSION.sub("2026-01-31T12.00.00.000Z", _PORT.sub("example.org", message))


def tell(kinds: dict[str, list[Case]], folder: Path) -> dict[str, list[Told]]:
    """Run all cases, each in an empty folder of its own.

    Args:
        kinds: Heading -> cases.
        folder: An empty folder, outside any project.
    """
    finished = finished_project(folder)
    return {
        kind: [(case, see(case, Place(folder / f"{kind} {number}", finished))) for number, case in enumerate(cases)]
        for kind, cases in kinds.items()
    }
