"""The one wrapper that gives every artifact of the catalog versions, atomic saves and a lineage."""

import re
from pathlib import Path, PurePosixPath
from typing import Any

from kedro.io import AbstractDataset, AbstractVersionedDataset, DatasetError, Version
from kedro.io.core import VersionNotFoundError

from weakcl_pipeline.datasets.lineage import LINEAGE_FILE, FileRecord, Lineage, Provenance
from weakcl_pipeline.datasets.staging import staged_directory, sweep
from weakcl_pipeline.errors import InputError, shown, some_lines


class CorruptArtifactError(InputError, DatasetError):
    """The files of a version are not those that were written."""


class NoSuchVersionError(InputError, VersionNotFoundError):
    """An artifact has no version of this name."""


class AtomicDataset(AbstractVersionedDataset[Any, Any]):
    """Versions of an artifact, each a directory that appears whole or not at all.

    The layout is ``<filepath>/<version>/<file>`` with ``lineage.json`` beside the file. Another dataset, the
    inner one, turns the value into the file and back; if it writes several files into the directory, all of
    them belong to the version.

    What a session has saved is what it loads, even if another session has published a newer one meanwhile;
    and `pin` fixes the version of what it has not saved. Neither is forgotten by ``release()``.

    Example:
        .. code-block:: yaml

            samples:
              type: weakcl_pipeline.datasets.AtomicDataset
              filepath: data/03_primary/samples
              file: samples.parquet
              dataset: {type: polars.EagerPolarsDataset, file_format: parquet}

    Args:
        filepath: Folder of the versions, on a local (or mounted) POSIX file system.
        file: Name of the file that the inner dataset writes and reads.
        dataset: Catalog configuration of the inner dataset, without a ``filepath``.
        version: The version to load and the one to save; Kedro sets it.
        metadata: For plug-ins such as Kedro-Viz.

    Attributes:
        provenance: What `save` writes into the next version's lineage; the lineage hook sets it.

    Raises:
        InputError: The folder is a URL.
    """

    versioned = True  # every artifact is; Kedro then passes `version`

    def __init__(
        self,
        *,
        filepath: str,
        file: str,
        dataset: dict[str, Any],
        version: Version | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        if "://" in filepath:
            raise InputError(
                f"filepath: {shown(filepath)} is a URL, but versions lie in a folder of a local or mounted disk, where "
                "they can be locked and renamed. Correct it in the catalog."
            )
        super().__init__(PurePosixPath(filepath), version or Version(None, None))
        self._file = file
        self._config = dataset
        self.metadata = metadata
        self.provenance = Provenance(dataset=_name(self._filepath))
        self._inner(self.directory / file)  # a misconfigured inner dataset shows now, not after the training

    @property
    def directory(self) -> Path:
        """The folder that holds the versions."""
        return Path(self._filepath)

    @property
    def path(self) -> Path:
        """The file of the version that `load` reads."""
        return Path(self._get_load_path())

    @property
    def preview(self) -> Any:
        """The inner dataset's ``preview`` of the version that `load` reads, for Kedro-Viz.

        It is the inner method itself: Kedro-Viz takes the kind of a preview from its return annotation.

        Raises:
            AttributeError: The inner dataset has no preview, or there is no version yet.
        """
        try:
            return getattr(self._inner(self.path), "preview")  # noqa: B009 (mypy: not every dataset has one)
        except VersionNotFoundError as error:
            raise AttributeError(str(error)) from error

    def require(self, version: str) -> None:
        """Refuse a version that is not there.

        Raises:
            NoSuchVersionError: Names those that are.
        """
        if not (self.directory / version).is_dir():
            versions = some_lines(self.list_versions(full_path=False))
            there_are = (
                f"The newest in {self.directory}:\n{versions}" if versions else f"There is none in {self.directory}"
            )
            raise NoSuchVersionError(f"{self.provenance.dataset} has no version {version}. {there_are}")

    def lineage(self, version: str | None = None) -> Lineage:
        """Return the lineage of a version, by default of the one that `load` reads.

        Raises:
            CorruptArtifactError: The version has no lineage that can be read, or another version's.
            NoSuchVersionError: There is no such version.
        """
        directory = self.directory / (version or self.path.parent.name)
        self.require(directory.name)
        try:
            lineage = Lineage.read(directory)
        except (OSError, ValueError) as error:
            reason = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({error})"
            raise self._corrupt(directory, f"{directory / LINEAGE_FILE} {reason}") from error
        if lineage.version != directory.name:
            raise CorruptArtifactError(
                f"{directory} was copied or renamed by hand: it holds version {lineage.version}, and a version lies in "
                f"the folder of its name. Rename it back, or move it out of {self.directory}."
            )
        return lineage

    def damage(self, version: str) -> str | None:
        """Return what is wrong with the files of a version, or None if they are those that were written.

        Raises:
            CorruptArtifactError: The version has no lineage that can be read.
            NoSuchVersionError: There is no such version.
        """
        directory = self.directory / version
        return next(filter(None, (_damage(directory, record) for record in self.lineage(version).files)), None)

    def pin(self, version: str) -> None:
        """Make `load` read this version from now on, whatever else is published."""
        self._version = Version(version, self._version and self._version.save)

    def sweep(self) -> list[Path]:
        """Remove what killed processes left half-written, and return what was removed."""
        return sweep(self.directory.parent)

    def load(self) -> Any:
        """Load a version: the pinned one, else the newest.

        Raises:
            CorruptArtifactError: A file is not what was written.
            VersionNotFoundError: There is no version, or not this one.
        """
        return self.load_version(self.path.parent.name)

    def load_version(self, version: str) -> Any:
        """Load a version, whichever is pinned.

        Raises:
            CorruptArtifactError: A file is not what was written.
            NoSuchVersionError: There is no such version.
        """
        path = Path(self._get_versioned_path(version))
        if damage := self.damage(version):
            raise self._corrupt(path.parent, damage)
        return self._inner(path).load()

    def save(self, data: Any) -> None:
        """Publish a new version, and load that one from now on.

        Raises:
            DatasetError: The version exists already, or the inner dataset cannot save the data.
        """
        target = Path(self._get_save_path()).parent
        with staged_directory(target) as staging:
            self._inner(staging / self._file).save(data)
            Lineage.describe(staging, self.provenance, version=target.name).write(staging)
        self.pin(target.name)

    def _inner(self, path: Path) -> AbstractDataset[Any, Any]:
        return AbstractDataset.from_config(self._filepath.name, {**self._config, "filepath": path.as_posix()})

    def _get_versions(self) -> list[str]:
        """Return the file of every version, newest first; one that lost its file is damaged, yet still a version."""
        files = (self._file, LINEAGE_FILE)
        versions = [path.name for path in self.directory.glob("*") if any((path / file).exists() for file in files)]
        return [str(self._get_versioned_path(version)) for version in sorted(versions, reverse=True)]

    def _get_versioned_path(self, version: str) -> PurePosixPath:
        super()._get_versioned_path(version)  # refuses a version that leaves the folder
        return self._filepath / version / self._file

    def _exists(self) -> bool:
        return self.path.exists()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath, "file": self._file, "version": self._version}

    def _corrupt(self, directory: Path, damage: str) -> CorruptArtifactError:
        earlier = [version for version in self.list_versions(full_path=False) if version < directory.name]
        name = self.provenance.dataset
        back = f"Go back to an earlier version with --load-versions={name}:{earlier[0]}" if earlier else ""
        anew = f"remove {directory} and run again what makes {name}"
        advice = f"{back}, or {anew}." if earlier else f"There is no earlier version: {anew}."
        return CorruptArtifactError(f"{damage}. {advice}")


def _name(filepath: PurePosixPath) -> str:
    """Return an artifact's name in the catalog by where it lies: ``data/<layer>/<method>/<name>``."""
    parts = filepath.parts
    layer = max((place for place, part in enumerate(parts[:-1]) if re.match(r"\d\d_", part)), default=len(parts) - 2)
    return ".".join(parts[layer + 1 :])


def _damage(directory: Path, record: FileRecord) -> str | None:
    path = directory / record.name
    try:
        found = FileRecord.of(path, directory)
    except OSError as error:
        return f"{path} cannot be read ({error.strerror})"
    if found == record:
        return None
    sizes = f"{record.bytes} bytes were written, {found.bytes} are there"
    return (
        f"{path} is damaged: {sizes if found.bytes != record.bytes else 'its content has changed since it was written'}"
    )
