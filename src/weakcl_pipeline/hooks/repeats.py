"""Which versions of artifacts are repeats of each other: made by the same recipe, from other seeds."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kedro.io import DataCatalog

from weakcl_pipeline.datasets import AtomicDataset, CorruptArtifactError
from weakcl_pipeline.datasets.lineage import RepeatRecord
from weakcl_pipeline.hooks.consistency import Origin

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Repeat:
    """A version of an artifact that differs from another one by the seed alone.

    Attributes:
        seed: The seed it was made with.
        record: Its version, content hash and seed.
        artifact: Where it lies.
    """

    seed: int
    record: RepeatRecord
    artifact: AtomicDataset

    def load(self) -> Any:
        """Load it."""
        return self.artifact.load_version(self.record.version)


def find_repeats(origins: Iterable[Origin], catalog: DataCatalog) -> dict[str, list[Repeat]]:
    """Return for each artifact its repeats, of each other seed the newest that is whole, in the order of the seeds."""
    found = {}
    for origin in origins:
        artifact = catalog.get(origin.name)
        if isinstance(artifact, AtomicDataset) and origin.recipe is not None and origin.seed is not None:
            found[origin.name] = _repeats(origin, artifact)
    return {name: repeats for name, repeats in found.items() if repeats}


def _repeats(origin: Origin, artifact: AtomicDataset) -> list[Repeat]:
    newest: dict[int, Repeat] = {}
    for version in artifact.list_versions(full_path=False):
        try:
            lineage = artifact.lineage(version)
        except CorruptArtifactError:  # nobody can say what it is
            continue
        seed = lineage.seed
        if lineage.recipe != origin.recipe or seed is None or seed == origin.seed or seed in newest:
            continue
        if damage := artifact.damage(version):
            logger.warning("%s of seed %d is left out: %s", origin.name, seed, damage)
            continue
        record = RepeatRecord(version=version, hash=lineage.hash, seed=seed)
        newest[seed] = Repeat(seed, record, artifact)
    return [newest[seed] for seed in sorted(newest)]
