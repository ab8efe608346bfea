import hashlib
from pathlib import Path

import pytest

from weakcl_pipeline.datasets.lineage import CodeRecord, FileRecord, Lineage, Provenance, hash_of, hash_of_path


def test_a_file_is_hashed_by_its_content(tmp_path):
    file = tmp_path / "raw.parquet"
    file.write_bytes(b"abc")
    assert hash_of_path(file) == f"sha256:{hashlib.sha256(b'abc').hexdigest()}"
    file.write_bytes(b"abcd")
    assert hash_of_path(file) == f"sha256:{hashlib.sha256(b'abcd').hexdigest()}"


def test_a_file_that_has_not_changed_is_read_once(tmp_path, monkeypatch):
    file = tmp_path / "staged"
    file.write_bytes(b"abc")
    digest = hash_of_path(file)
    file = file.rename(tmp_path / "published")
    monkeypatch.setattr(Path, "open", None)  # it cannot be read any more
    assert hash_of_path(file) == digest


def test_a_folder_is_hashed_by_names_and_contents(tmp_path):
    def build(name: str, files: dict[str, str]) -> str:
        for path, text in files.items():
            (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / path).write_text(text)
        return hash_of_path(tmp_path / name)

    one = build("one", {"a": "1", "b/c": "2"})
    assert build("same", {"b/c": "2", "a": "1"}) == one
    assert len({one, build("text", {"a": "1", "b/c": "3"}), build("name", {"a": "1", "b/d": "2"})}) == 3


def test_there_is_no_hash_of_nothing(tmp_path):
    with pytest.raises(FileNotFoundError):
        hash_of_path(tmp_path / "missing")


def test_hash_of_parameters_ignores_the_order_of_keys():
    assert hash_of({"a": 1, "b": [1, 2]}) == hash_of({"b": [1, 2], "a": 1})
    assert hash_of({"a": 1}) != hash_of({"a": 2})


def test_what_is_written_is_read(tmp_path):
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "w.bin").write_bytes(b"abc")
    provenance = Provenance(dataset="encoder", node="train", parameters={"params:seed": 1}, seed=1)
    lineage = Lineage.describe(tmp_path, provenance, version="v1")
    lineage.write(tmp_path)
    assert Lineage.read(tmp_path) == lineage
    digest = hashlib.sha256(b"abc").hexdigest()
    assert lineage.files == (FileRecord(name="weights/w.bin", bytes=3, sha256=digest),)


def test_fields_of_a_later_release_are_ignored(tmp_path):
    lineage = Lineage.describe(tmp_path, Provenance(dataset="samples"), version="v1")
    text = lineage.model_dump_json().replace('{"dataset"', '{"weather":"fine","dataset"', 1)
    (tmp_path / "lineage.json").write_text(text)
    assert Lineage.read(tmp_path) == lineage


@pytest.mark.parametrize(
    ("revision", "dirty", "told"),
    [(None, None, "of no commit"), ("a1b2c3d4e5", False, "a1b2c3d"), ("a1b2c3d4e5", True, "a1b2c3d with changes")],
)
def test_code_is_told_by_its_commit(revision, dirty, told):
    made = Provenance(
        dataset="a", code=CodeRecord(package="0", revision=revision, dirty=dirty), libraries={"torch": "2"}
    )
    assert made.made_by() == {"code": told, "torch": "2"}
    assert Provenance(dataset="a").made_by() == {}
