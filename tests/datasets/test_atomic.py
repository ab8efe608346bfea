import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from kedro.io import AbstractDataset, DataCatalog, DatasetError, Version

from weakcl_pipeline.datasets import AtomicDataset, CorruptArtifactError, Provenance
from weakcl_pipeline.datasets.atomic import NoSuchVersionError
from weakcl_pipeline.errors import InputError

OLD, NEW = "2026-01-01T00.00.00.000Z", "2026-01-02T00.00.00.000Z"
TABLE = {"type": "polars.EagerPolarsDataset", "file_format": "parquet"}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def table(number: int) -> pl.DataFrame:
    return pl.DataFrame({"number": [number], "tags": [["a", "b"]]})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "03_primary" / "samples"


@pytest.fixture
def dataset(folder: Path):
    def build(version: str | None = None, load: str | None = None, **config: Any) -> AtomicDataset:
        config = {"file": "samples.parquet", "dataset": TABLE} | config
        return AtomicDataset(filepath=folder.as_posix(), version=Version(load, version), **config)

    return build


def test_a_version_is_a_directory_with_the_file_and_its_lineage(dataset, folder):
    dataset(NEW).save(table(1))
    assert names(folder / NEW) == ["lineage.json", "samples.parquet"]
    assert names(folder.parent) == ["samples"]  # nothing staged is left
    assert dataset().load().equals(table(1))


def test_lineage_describes_the_files(dataset, folder):
    artifact = dataset(NEW)
    artifact.provenance = Provenance(dataset="samples", node="accept", ancestry={"raw": "sha256:1"})
    artifact.save(table(1))
    lineage = dataset().lineage()
    (file,) = lineage.files
    assert (file.name, file.bytes) == ("samples.parquet", (folder / NEW / "samples.parquet").stat().st_size)
    assert (lineage.version, lineage.node, lineage.ancestry) == (NEW, "accept", {"raw": "sha256:1"})
    assert abs((datetime.now(tz=UTC) - lineage.created).total_seconds()) < 60
    assert lineage.hash.startswith("sha256:")
    assert json.loads((folder / NEW / "lineage.json").read_text())["hash"] == lineage.hash


def test_equal_content_has_an_equal_hash(dataset):
    for version, number in ((OLD, 1), (NEW, 1), ("3", 2)):
        dataset(version).save(table(number))
    hashes = [dataset().lineage(version).hash for version in (OLD, NEW, "3")]
    assert hashes[0] == hashes[1] != hashes[2]


def test_newest_version_is_loaded_and_all_are_listed(dataset):
    assert not dataset().exists()
    dataset(NEW).save(table(2))
    dataset(OLD).save(table(1))
    assert dataset().exists()
    assert dataset().list_versions(full_path=False) == [NEW, OLD]
    assert dataset().resolve_load_version() == NEW
    assert dataset().load().equals(table(2))
    assert dataset(load=OLD).load().equals(table(1))


def test_a_session_loads_what_it_saved_though_another_publishes_a_newer_version(dataset):
    mine = dataset(OLD)
    mine.save(table(1))
    dataset(NEW).save(table(2))
    mine.release()
    assert mine.load().equals(table(1))
    assert mine.resolve_load_version() == OLD


def test_a_pinned_version_survives_release(dataset):
    dataset(OLD).save(table(1))
    reader = dataset("later")
    reader.pin(OLD)
    dataset(NEW).save(table(2))
    reader.release()
    assert reader.load().equals(table(1))
    reader.save(table(3))
    assert reader.load().equals(table(3))


def test_a_catalog_can_still_load_another_version(dataset):
    mine = dataset(NEW)
    dataset(OLD).save(table(1))
    mine.save(table(2))
    assert mine.load_version(OLD).equals(table(1))
    assert DataCatalog({"samples": mine}).load("samples", version=OLD).equals(table(1))
    assert mine.load().equals(table(2))


def test_an_unversioned_session_saves_a_new_version_each_time(dataset):
    notebook = dataset()
    notebook.save(table(1))
    first = notebook.resolve_load_version()
    while notebook.resolve_load_version() == first:  # versions are milliseconds
        try:
            notebook.save(table(2))
        except DatasetError:
            continue
    assert len(notebook.list_versions()) == 2
    assert notebook.load().equals(table(2))


def test_a_version_is_never_overwritten(dataset):
    dataset(NEW).save(table(1))
    with pytest.raises(DatasetError, match="must not exist"):
        dataset(NEW).save(table(2))
    assert dataset().load().equals(table(1))


def test_two_sessions_of_the_same_millisecond_do_not_mix(dataset, folder, monkeypatch):
    # The other session publishes between this one's check and its rename.
    dataset(OLD).save(table(1))
    rename = Path.rename

    def rename_late(self: Path, target: Path) -> Path:
        monkeypatch.setattr(Path, "rename", rename)
        dataset(NEW).save(table(1))
        return self.rename(target)

    monkeypatch.setattr(Path, "rename", rename_late)
    with pytest.raises(DatasetError, match="was just saved by another run"):
        dataset(NEW).save(table(2))
    assert dataset(load=NEW).load().equals(table(1))
    assert names(folder.parent) == ["samples"]


def test_a_failed_save_leaves_nothing(dataset, folder):
    dataset(OLD).save(table(1))
    with pytest.raises(DatasetError, match="write_parquet"):
        dataset(NEW).save("not a table")
    assert names(folder) == [OLD]
    assert names(folder.parent) == ["samples"]


def test_loading_nothing_says_so(dataset):
    with pytest.raises(DatasetError, match="Did not find any versions"):
        dataset().load()


@pytest.mark.parametrize("damage", [b"", b"PAR1 cut short", None])
def test_damage_is_refused_with_the_file_and_the_way_back(dataset, folder, damage):
    dataset(OLD).save(table(1))
    dataset(NEW).save(table(2))
    file = folder / NEW / "samples.parquet"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1  # one flipped bit, the size is right
    file.write_bytes(content if damage is None else damage)
    with pytest.raises(CorruptArtifactError) as error:
        dataset().load()
    assert isinstance(error.value, InputError)
    assert str(file) in str(error.value)
    assert f"--load-versions=samples:{OLD}" in str(error.value)
    assert dataset(load=OLD).load().equals(table(1))


class TwoFiles(AbstractDataset[str, str]):
    def __init__(self, filepath: str) -> None:
        self._path = Path(filepath)

    def _save(self, data: str) -> None:
        for name in ("a.txt", "b.txt"):
            self._path.with_name(name).write_text(data)

    def _load(self) -> str:
        return self._path.read_text()

    def _describe(self) -> dict[str, Any]:
        return {}


@pytest.mark.parametrize("name", ["a.txt", "b.txt"])
def test_each_file_of_a_version_is_checked(dataset, folder, name):
    dataset(NEW, file="a.txt", dataset={"type": TwoFiles}).save("whole")
    (folder / NEW / name).write_text("other")
    with pytest.raises(CorruptArtifactError, match=name):
        dataset(file="a.txt", dataset={"type": TwoFiles}).load()


def test_a_missing_file_or_lineage_is_refused(dataset, folder):
    dataset(NEW).save(table(1))
    lineage = folder / NEW / "lineage.json"
    content = lineage.read_text()
    lineage.write_text("{")
    with pytest.raises(CorruptArtifactError, match=r"lineage.json cannot be read"):
        dataset().load()
    lineage.unlink()
    with pytest.raises(CorruptArtifactError, match=r"lineage.json is missing. There is no earlier version"):
        dataset().load()
    lineage.write_text(content.replace("samples.parquet", "gone.parquet"))
    with pytest.raises(CorruptArtifactError, match=r"gone.parquet cannot be read \(No such file"):
        dataset().load()


def test_a_version_that_lost_its_file_is_damaged_and_not_passed_over(dataset, folder):
    for version in (OLD, NEW):
        dataset(version).save(table(1))
    (folder / NEW / "samples.parquet").unlink()
    assert dataset().list_versions(full_path=False) == [NEW, OLD]
    assert not dataset().exists()
    with pytest.raises(CorruptArtifactError, match=rf"samples.parquet cannot be read.*--load-versions=samples:{OLD}"):
        dataset().load()


def test_the_way_back_is_an_earlier_version(dataset, folder):
    for version in (OLD, NEW):
        dataset(version).save(table(1))
    (folder / OLD / "samples.parquet").write_bytes(b"")
    with pytest.raises(CorruptArtifactError, match="There is no earlier version: remove"):
        dataset(load=OLD).load()


@pytest.mark.parametrize("name", [f"bad-{OLD}", "2027-01-01T00.00.00.000Z"])
def test_a_copied_or_renamed_version_is_refused(dataset, folder, name):
    dataset(OLD).save(table(1))
    shutil.copytree(folder / OLD, folder / name)
    with pytest.raises(CorruptArtifactError) as error:
        dataset().load()
    assert str(error.value) == (
        f"{folder / name} was copied or renamed by hand: it holds version {OLD}, and a version lies in the folder of "
        f"its name. Rename it back, or move it out of {folder}."
    )


def test_a_version_that_is_not_there_is_told_apart_from_a_damaged_one(dataset, folder):
    with pytest.raises(InputError, match=f"samples has no version 1. There is none in {folder}$"):
        dataset(load="1").load()
    dataset(OLD).save(table(1))
    with pytest.raises(NoSuchVersionError) as error:
        dataset(load=NEW).load()
    assert str(error.value) == f"samples has no version {NEW}. The newest in {folder}:\n  {OLD}"


@pytest.mark.parametrize(
    ("filepath", "name"),
    [
        ("data/06_models/attribute/encoder", "attribute.encoder"),
        ("/home/10_me/data/03_primary/samples", "samples"),
        ("elsewhere/attribute/encoder", "encoder"),
    ],
)
def test_messages_name_an_artifact_as_the_catalog_does(filepath, name):
    dataset = AtomicDataset(filepath=filepath, file="a.parquet", dataset=TABLE)
    with pytest.raises(InputError, match=f"^{name} has no version 1"):
        dataset.lineage("1")


def test_a_url_is_refused():
    config = {"type": AtomicDataset, "filepath": "s3://me:secret@bucket/samples", "file": "a", "dataset": TABLE}
    with pytest.raises(DatasetError) as error:
        AtomicDataset.from_config("samples", config)
    cause = error.value.__cause__
    assert isinstance(cause, InputError)
    assert str(cause).startswith("filepath: s3://bucket/samples is a URL")


def test_a_misconfigured_inner_dataset_is_refused_at_once(dataset):
    with pytest.raises(DatasetError, match="file_fromat"):
        dataset(dataset={"type": "polars.EagerPolarsDataset", "file_fromat": "parquet"})
    with pytest.raises(DatasetError, match="NoSuchDataset"):
        dataset(dataset={"type": "polars.NoSuchDataset"})


def test_a_version_that_leaves_the_folder_is_refused(dataset):
    with pytest.raises(DatasetError, match="not allowed"):
        dataset(load="../elsewhere").load()


def test_versions_come_from_the_class_without_being_asked_for(folder):
    config = {"samples": {"type": AtomicDataset, "filepath": folder.as_posix(), "file": "s.parquet", "dataset": TABLE}}
    catalog = DataCatalog.from_config(config, save_version=NEW)
    catalog.save("samples", table(1))
    assert (folder / NEW / "s.parquet").exists()
