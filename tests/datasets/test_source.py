import errno
from pathlib import Path

import polars as pl
import pytest
from kedro.io import DatasetError

from weakcl_pipeline.datasets import SourceDataset
from weakcl_pipeline.errors import InputError


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "table.parquet"
    pl.DataFrame({"name": ["a", "b", "c"], "words": [["x"], [], None]}).write_parquet(path)
    return path


def test_it_loads_what_its_source_reads(table):
    loaded = SourceDataset(source="table", path=table.as_posix()).load()
    assert loaded.collect().equals(pl.read_parquet(table))


def test_the_content_is_hashed_and_not_the_place(table, tmp_path):
    elsewhere = tmp_path / "elsewhere.parquet"
    elsewhere.write_bytes(table.read_bytes())
    first, second = (SourceDataset(source="table", path=path.as_posix()) for path in (table, elsewhere))
    assert first.content_hash() == second.content_hash()
    pl.read_parquet(table).head(2).write_parquet(table)
    assert first.content_hash() != second.content_hash()


def test_how_the_content_is_read_is_part_of_its_hash(tmp_path):
    (tmp_path / "table.csv").write_text("name,kind\na;b,1\n")
    (tmp_path / "kinds.csv").write_text("kind,key,word\n1,2,x\n")

    def content(**options) -> str:
        path = (tmp_path / "table.csv").as_posix()
        return SourceDataset(source="table", path=path, **options).content_hash()

    def joined(**options) -> str:
        return content(join=[{"path": "kinds.csv", "by": "kind"} | options])

    hashes = [content(), content(separator=";"), content(encoding="latin-1"), joined(), joined(take=["word"])]
    assert len(set(hashes)) == len(hashes)
    assert content(encoding=None) == content()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "kinds.csv").rename(tmp_path / "elsewhere/kinds.csv")
    assert joined(path="elsewhere/kinds.csv") == hashes[3]


def test_preview_shows_the_first_rows(table):
    preview = SourceDataset(source="table", path=table.as_posix()).preview(nrows=2)
    assert preview["columns"] == ["name", "words"]
    assert [row[0] for row in preview["data"]] == ["a", "b"]


def test_a_source_or_an_option_that_is_not_there_is_named(table):
    with pytest.raises(InputError, match=r"source: there is no 'tabel' to choose in the catalog. Did you mean table\?"):
        SourceDataset(source="tabel", path=table.as_posix())
    with pytest.raises(
        InputError, match=r"(?s)source 'table'.*separatr: there is no such option. Did you mean separator"
    ):
        SourceDataset(source="table", path=table.as_posix(), separatr=";")


def test_a_missing_or_foreign_file_is_named(tmp_path):
    dataset = SourceDataset(source="table", path=(tmp_path / "no.parquet").as_posix())
    with pytest.raises(InputError, match=r"no.parquet: there is no such file"):
        dataset.content_hash()
    with pytest.raises(DatasetError) as error:
        dataset.load()
    assert isinstance(error.value.__cause__, InputError)  # what the command line tells of it
    (tmp_path / "no.parquet").write_text("name;words")
    with pytest.raises(DatasetError, match=r"no.parquet: not a table in Parquet"):
        dataset.load()


def test_a_file_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    def refuse(path, *arguments):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    pl.DataFrame({"name": ["a"]}).write_parquet(tmp_path / "part.parquet")
    dataset = SourceDataset(source="table", path=tmp_path.as_posix())  # whose parts nothing looks into before
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match=r"part\.parquet: cannot be read: Permission denied\.$"):
        dataset.content_hash()


def test_raw_data_is_never_written(table):
    with pytest.raises(DatasetError, match="never written"):
        SourceDataset(source="table", path=table.as_posix()).save(pl.LazyFrame())


def test_names_count_where_there_are_several_files(tmp_path):
    for part in ("a", "b"):
        (tmp_path / f"t/part={part}").mkdir(parents=True)
        pl.DataFrame({"name": [part]}).write_parquet(tmp_path / f"t/part={part}/0.parquet")
    dataset = SourceDataset(source="table", path=(tmp_path / "t").as_posix())
    before = dataset.content_hash()
    (tmp_path / "t").rename(tmp_path / "moved")
    assert SourceDataset(source="table", path=(tmp_path / "moved").as_posix()).content_hash() == before
    (tmp_path / "moved/part=b").rename(tmp_path / "moved/part=c")
    assert SourceDataset(source="table", path=(tmp_path / "moved").as_posix()).content_hash() != before
