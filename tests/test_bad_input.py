"""What users give that cannot be used, in whole runs; tests/broken lists it."""

import polars as pl
import pytest

from tests.broken.case import picture
from tests.broken.pictures import huge
from weakcl_pipeline.errors import InputError

RAW = "data/01_raw/emoji/emoji.parquet"


@pytest.fixture(scope="module")
def finished(tmp_path_factory, full_run):
    """A project of its own, since the runs here spoil the raw table again and again."""
    return full_run.copy(tmp_path_factory.mktemp("bad") / "project")


@pytest.fixture
def project(finished):
    table = (finished.path / RAW).read_bytes()
    yield finished
    (finished.path / RAW).write_bytes(table)


def spoil(project, change):
    change(pl.read_parquet(project.path / RAW)).write_parquet(project.path / RAW)


def first_picture(content):
    return lambda table: table.with_columns(
        image=pl.when(pl.int_range(pl.len()) == 0).then(pl.lit(content)).otherwise("image")
    )


def unknown_split(table):
    return table.with_columns(split=pl.when(pl.int_range(pl.len()) == 3).then(pl.lit("dev")).otherwise("split"))


def test_a_bad_table_is_refused_before_any_picture_is_read(project):
    spoil(project, unknown_split)
    before = {name: project.versions(name) for name in ("samples", "image_store", "sample_table")}
    with pytest.raises(InputError, match=r"split.*dev"):
        project.run("ingestion")
    assert {name: project.versions(name) for name in before} == before


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        pytest.param(picture(size=(80, 60))[:2000], "truncated", id="truncated"),
        pytest.param(huge(), r"too large.*images\.max_pixels", id="bomb"),
    ],
)
def test_a_bad_picture_goes_to_quarantine_and_the_run_goes_on(project, picture, reason):
    name = pl.read_parquet(project.path / RAW)["image_id"][0]
    spoil(project, first_picture(picture))
    project.run("ingestion", params={"images": {"max_bad_fraction": 0.05}})
    quarantine = project.artifact("quarantine").load()
    assert quarantine["sample_id"].to_list() == [name]
    assert quarantine["reason"].str.contains(f"(?i){reason}").all()
    assert name not in project.artifact("samples").load()["sample_id"]
    assert len(project.artifact("image_store").load()) == len(project.artifact("samples").load())


def test_too_many_bad_pictures_stop_the_run_with_their_names(project):
    name = pl.read_parquet(project.path / RAW)["image_id"][0]
    spoil(project, first_picture(picture(size=(80, 60))[:2000]))
    with pytest.raises(InputError, match=rf"(?s){name}.*max_bad_fraction|max_bad_fraction.*{name}"):
        project.run("ingestion", params={"images": {"max_bad_fraction": 0.0}})


def test_the_user_sees_one_message_and_no_traceback(project):
    spoil(project, unknown_split)
    done = project.kedro("--pipelines=ingestion")
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert "dev" in done.stderr
