"""Which versions of artifacts are repeats of each other: made by the same recipe, from other seeds."""

import logging
from collections.abc import Mapping, Sequence
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
        made_by: Versions of the code and the libraries that ran.
    """

    seed: int
    record: RepeatRecord
    artifact: AtomicDataset
    made_by: Mapping[str, str]

    def load(self) -> Any:
        """Load it."""
        return self.artifact.load_version(self.record.version)


def find_repeats(origins: Sequence[Origin], catalog: DataCatalog) -> dict[str, list[Repeat]]:
    """Return for each artifact its repeats, of each other seed the newest that is whole, in the order of the seeds.

    A seed of which there is not yet all that `origins` have of it, since its own run is still going on, is left out.
    """
    found: dict[str, list[Repeat]] = {}
    for origin in origins:
        artifact = catalog.get(origin.name)
        if isinstance(artifact, AtomicDataset) and origin.recipe is not None and origin.seed is not None:
            found[origin.name] = _repeats(origin, artifact)
    finished = {origin.name: _finished(origin, origins, found) for origin in origins if origin.name in found}
    return {name: repeats for name, repeats in finished.items() if repeats}


def _finished(origin: Origin, origins: Sequence[Origin], found: Mapping[str, Sequence[Repeat]]) -> list[Repeat]:
    """Return an artifact's repeats with which there are also those of what was made together with it, or from it."""
    along = [other for other in origins if other.seed is not None and _comes_with(other, origin)]
    seeds = [{other.seed, *(repeat.seed for repeat in found.get(other.name, ()))} for other in along]
    return [repeat for repeat in found[origin.name] if all(repeat.seed in known for known in seeds)]


def _comes_with(other: Origin, origin: Origin) -> bool:
    return not {origin.name, *origin.siblings}.isdisjoint({*other.siblings, *other.ancestry})


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
        newest[seed] = Repeat(seed, record, artifact, lineage.made_by())
    return [newest[seed] for seed in sorted(newest)]
