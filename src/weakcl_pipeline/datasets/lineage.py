"""What is recorded beside every artifact: what made it, from what, with which parameters, code, libraries."""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, computed_field

from weakcl_pipeline.files import sha256_of

LINEAGE_FILE = "lineage.json"


class Record(BaseModel):
    """The base of what a lineage file is made of; fields that a later release adds are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class FileRecord(Record):
    """One file of an artifact.

    Attributes:
        name: Path relative to the version directory.
        bytes: Size.
        sha256: Hexadecimal digest of the content.
    """

    name: str
    bytes: int
    sha256: str

    @classmethod
    def of(cls, path: Path, root: Path) -> Self:
        """Describe the file ``path`` of the version directory ``root``."""
        return cls(name=path.relative_to(root).as_posix(), bytes=path.stat().st_size, sha256=sha256_of(path))


class InputRecord(Record):
    """What a node read.

    Attributes:
        version: Version of the artifact; of unversioned raw data, its content hash.
        hash: Content hash, ``sha256:...``; None where the content was never written to a disk.
    """

    version: str
    hash: str | None = None


class RepeatRecord(InputRecord):
    """A repeat that went into an artifact.

    Attributes:
        seed: The seed it was made with; None in what an earlier release wrote.
    """

    seed: int | None = None


class CodeRecord(Record):
    """The code that ran.

    Attributes:
        package: Version of this package.
        revision: Commit of the repository that holds the code; None outside a repository.
        dirty: Whether the code differed from that commit.
    """

    package: str
    revision: str | None = None
    dirty: bool | None = None

    def __str__(self) -> str:
        """Return the commit as people write it."""
        if self.revision is None:
            return "of no commit"
        return self.revision[:7] + (" with changes" if self.dirty else "")


class Provenance(Record):
    """Where an artifact comes from: known before it is written.

    Attributes:
        dataset: Name in the catalog.
        node: The node that made it; None for what was saved by hand.
        siblings: All outputs of that node, which share its version.
        run_id: The run (session) that made it.
        pipelines: The pipelines that run was asked for.
        parameters: The parameters the node was given, by name.
        parameters_hash: Hash of `parameters`.
        seed: The seed the node was given, if any, else the one behind what its namespace gave it.
        seeded: Whether a seed went into it, be it through what the node read.
        recipe: Hash of all that makes it what it is, the seed aside. Where no seed went into it that is its content,
            known once it is saved; else the node, its parameters, the version of this package, and the recipes of its
            inputs. Versions of one recipe are repeats of one experiment. None where something has no recipe.
        code: The code that ran.
        libraries: Versions of Python and of the libraries that shape the numbers.
        inputs: What the node read, parameters aside.
        repeats: By name, the versions of the same recipe but other seeds that went into it too: the node read them, or
            they went into what it read.
        ancestry: Version of every artifact, and of the raw data, this one was made from, directly or not.
    """

    dataset: str
    node: str | None = None
    siblings: tuple[str, ...] = ()
    run_id: str | None = None
    pipelines: tuple[str, ...] = ()
    parameters: dict[str, Any] = Field(default_factory=dict)
    parameters_hash: str | None = None
    seed: int | None = None
    seeded: bool = False
    recipe: str | None = None
    code: CodeRecord | None = None
    libraries: dict[str, str] = Field(default_factory=dict)
    inputs: dict[str, InputRecord] = Field(default_factory=dict)
    repeats: dict[str, tuple[RepeatRecord, ...]] = Field(default_factory=dict)
    ancestry: dict[str, str] = Field(default_factory=dict)

    def made_by(self) -> dict[str, str]:
        """Return the versions of the code and the libraries that ran, as far as they are known."""
        return ({} if self.code is None else {"code": str(self.code)}) | self.libraries


class Lineage(Provenance):
    """The content of an artifact's ``lineage.json``.

    Attributes:
        version: The artifact's version.
        created: When it was written, UTC.
        files: Its files, lineage.json aside, by name.
    """

    version: str
    created: AwareDatetime
    files: tuple[FileRecord, ...]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def hash(self) -> str:
        """Content hash over all files, ``sha256:...``."""
        return hash_of([[file.name, file.sha256] for file in self.files])

    @classmethod
    def describe(cls, directory: Path, provenance: Provenance, version: str) -> Self:
        """Describe the finished content of a version directory, which is not yet in its place."""
        paths = sorted(path for path in directory.rglob("*") if path.is_file())
        lineage = cls(
            **provenance.model_dump(),
            version=version,
            created=datetime.now(tz=UTC),
            files=tuple(FileRecord.of(path, directory) for path in paths),
        )
        return lineage if lineage.seeded else lineage.model_copy(update={"recipe": lineage.hash})

    @classmethod
    def read(cls, directory: Path) -> Self:
        """Read the lineage of a version directory.

        Raises:
            OSError: The file is missing or cannot be read.
            ValueError: The file is not a lineage.
        """
        return cls.model_validate_json((directory / LINEAGE_FILE).read_bytes())

    def write(self, directory: Path) -> None:
        """Write the lineage into a version directory."""
        text = self.model_dump_json(indent=2)
        (directory / LINEAGE_FILE).write_text(text + "\n", encoding="utf-8")


def hash_of(value: Any) -> str:
    """Return ``sha256:...`` of a JSON-able value; the order of a mapping's keys does not matter."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def hash_of_path(path: Path) -> str:
    """Return the content hash of raw data: of one file, or of all files below a folder.

    Raises:
        FileNotFoundError: There is nothing at ``path``.
    """
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        return hash_of([[file.relative_to(path).as_posix(), sha256_of(file)] for file in files])
    return f"sha256:{sha256_of(path)}"
