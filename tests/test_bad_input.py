"""What users give that cannot be used: each is named, and nothing that was there before is lost."""

import io
import struct
import zlib

import polars as pl
import pytest
from PIL import Image

from weakcl_pipeline.errors import InputError

RAW = "data/01_raw/emoji/emoji.parquet"


@pytest.fixture(scope="module")
def finished(tmp_path_factory, full_run):
    """A project of its own, since the runs here spoil the raw table again and again."""
    return full_run.copy(tmp_path_factory.mktemp("bad") / "project")


@pytest.fixture(scope="module")
def unspoilt(tmp_path_factory, full_run):
    """A project whose data is as it was; runs that are refused late may leave new versions of what they began with."""
    return full_run.copy(tmp_path_factory.mktemp("bad") / "project")


@pytest.fixture
def project(finished):
    table = (finished.path / RAW).read_bytes()
    yield finished
    (finished.path / RAW).write_bytes(table)


def spoil(project, change):
    change(pl.read_parquet(project.path / RAW)).write_parquet(project.path / RAW)


def bomb():
    """A PNG that says it is 30,000 x 30,000 pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


def truncated():
    encoded = io.BytesIO()
    Image.effect_noise((64, 64), 90).convert("RGB").save(encoded, "PNG")
    return encoded.getvalue()[:2000]


def first_picture(content):
    return lambda table: table.with_columns(
        image=pl.when(pl.int_range(pl.len()) == 0).then(pl.lit(content)).otherwise("image")
    )


TABLES = {
    "missing column": (lambda t: t.rename({"split": "splt"}), r"split.*did you mean.*splt|split.*splt"),
    "duplicate ids": (lambda t: pl.concat([t, t.head(1)]), r"image_id.*fluent3d|image_id.*twice|duplicate"),
    "unknown split": (
        lambda t: t.with_columns(split=pl.when(pl.int_range(pl.len()) == 3).then(pl.lit("dev")).otherwise("split")),
        r"split.*dev",
    ),
    "a label of one value": (lambda t: t.with_columns(group=pl.lit("flags")), r"group"),
    "tags of the wrong type": (lambda t: t.with_columns(tags=pl.lit(3.5)), r"tags"),
    "an empty table": (lambda t: t.clear(), r"no rows|empty"),
    "no train split": (lambda t: t.with_columns(split=pl.lit("test")), r"train"),
}


@pytest.mark.parametrize("case", TABLES)
def test_a_bad_table_is_refused_by_name_before_any_picture_is_read(project, case):
    change, message = TABLES[case]
    spoil(project, change)
    before = {name: project.versions(name) for name in ("samples", "image_store", "sample_table")}
    with pytest.raises(InputError, match=message):
        project.run("ingestion")
    assert {name: project.versions(name) for name in before} == before


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        pytest.param(truncated(), "truncated", id="truncated"),
        pytest.param(bomb(), r"too large.*images\.max_pixels", id="bomb"),
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
    spoil(project, first_picture(truncated()))
    with pytest.raises(InputError, match=rf"(?s){name}.*max_bad_fraction|max_bad_fraction.*{name}"):
        project.run("ingestion", params={"images": {"max_bad_fraction": 0.0}})


@pytest.mark.parametrize(
    ("pipeline", "parameters", "message"),
    [
        (
            "clustering",
            {"clustering": {"granularities": [5000], "granularity": 5000}},
            r"clustering\.granularities: 5000",
        ),
        ("clustering", {"training": {"batch_size": 100_000}}, r"training\.batch_size: 100000"),
        ("training", {"training": {"batch_size": 100_000}}, r"training\.batch_size: 100000"),
        ("iterative", {"iterative": {"k": 100_000}}, r"iterative\.k: 100000"),
    ],
)
def test_parameters_that_do_not_fit_the_data_are_named(unspoilt, pipeline, parameters, message):
    with pytest.raises(InputError, match=message):
        unspoilt.run(pipeline, params=parameters)


def test_the_user_sees_one_message_and_no_traceback(project):
    spoil(project, TABLES["unknown split"][0])
    done = project.kedro("--pipelines=ingestion")
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert "dev" in done.stderr
