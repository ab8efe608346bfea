"""What `kedro weakcl new-data` is given."""

import polars as pl
from kedro.framework.startup import bootstrap_project

from tests.broken.case import Case, nothing, picture, rows, table
from tests.broken.pictures import LFS
from weakcl_pipeline.new_data import new_data as command


def new_data(*words):
    """Return what does `kedro weakcl new-data`; `{raw}` in a word is the case's folder."""

    def run(place):
        with place.project.entered():
            metadata = bootstrap_project(place.project.path)
            command.main([word.format(raw=place.raw) for word in words], obj=metadata, standalone_mode=False)

    return run


def on_a_table(*words):
    return new_data("mine", "--table", "{raw}/table.parquet", "--images", "{raw}/pictures", *words)


def photos(content=None, count=24, **columns):
    """Return what makes a table and its pictures, all of which are this one."""

    def make(raw):
        table(rows(count, file=[f"{i}.png" for i in range(count)], **columns))(raw)
        (raw / "pictures").mkdir()
        for i in range(count):
            (raw / f"pictures/{i}.png").write_bytes(picture() if content is None else content)

    return make


def with_tags(tags):
    """Return what makes pictures, their table and a further table."""

    def make(raw):
        photos()(raw)
        (raw / "tags.csv").write_text(tags)

    return make


def without_pictures(raw):
    (raw / "pictures/cats").mkdir(parents=True)
    (raw / "pictures/cats/readme.txt").write_text("Ask for the pictures.\n")


def absolute(raw):
    table(rows(24, file=[f"/home/me/{i}.png" for i in range(24)]))(raw)
    (raw / "pictures").mkdir()


def without_header(raw):
    (raw / "photos.csv").write_text("".join(f"{i}.png,cat\n" for i in range(6)))
    (raw / "pictures").mkdir()


def elsewhere(raw):
    table(rows(24))(raw)
    (raw / "pictures").mkdir()


CASES = [
    Case(
        "The new environment has the name of one that is there",
        photos(),
        new_data("base", "--images", "{raw}/pictures"),
        ("conf/base",),
    ),
    Case(
        "The new environment has a name with a blank",
        photos(),
        new_data("my birds", "--images", "{raw}/pictures"),
        ("'my birds'",),
    ),
    Case("Neither a table nor pictures are given", nothing, new_data("mine"), ("--table", "--images")),
    Case(
        "The table that is given is not there",
        nothing,
        new_data("mine", "--table", "{raw}/table.csv"),
        ("--table", "table.csv"),
    ),
    Case(
        "There are no pictures in the folder",
        without_pictures,
        new_data("mine", "--images", "{raw}/pictures"),
        ("pictures", ".png"),
    ),
    Case(
        "The table has no column of pictures",
        table(pl.DataFrame({"name": list("abcdef")})),
        new_data("mine", "--table", "{raw}/table.parquet"),
        ("name",),
    ),
    Case(
        "The further table has no column in common with the table",
        with_tags("photo,tag\n0.png,red\n"),
        on_a_table("--join", "{raw}/tags.csv"),
        ("--join", "tags.csv", "photo", "file"),
    ),
    Case(
        "The further table has nothing that the table has not",
        with_tags("id,file\np0,0.png\n"),
        on_a_table("--join", "{raw}/tags.csv"),
        ("--join", "tags.csv", "id, file"),
    ),
    Case(
        "The further table is not there",
        photos(),
        on_a_table("--join", "{raw}/tags.csv"),
        ("--join", "tags.csv"),
    ),
    Case("The pictures of the table lie elsewhere", elsewhere, on_a_table(), ("good.png", "--images")),
    Case(
        "The paths of the pictures are absolute", absolute, on_a_table(), ("'/home/me/0.png'", "relative", "--images")
    ),
    Case(
        "The table has no row with the names of its columns",
        without_header,
        new_data("mine", "--table", "{raw}/photos.csv", "--images", "{raw}/pictures"),
        ("'0.png'", "header"),
    ),
    Case("None of the pictures can be read", photos(LFS), on_a_table(), ("'file'", "git lfs pull")),
    Case(
        "The label is misspelt",
        photos(species=["cat", "dog"] * 12),
        on_a_table("--label", "specis"),
        ("--label", "'specis'", "species"),
    ),
    Case(
        "The label has one value",
        photos(species=["cat"] * 24),
        on_a_table("--label", "species"),
        ("--label", "'species'"),
    ),
    Case(
        "The name of the label is a star",
        photos(**{"*": ["cat", "dog"] * 12}),
        on_a_table("--label", "*"),
        ("--label", "'*'"),
    ),
    Case("The label is an id", photos(), on_a_table("--label", "id"), ("--label", "'id'")),
    Case("An option is not possible", photos(), on_a_table("--separator", ";;"), ("--separator", "';;'")),
]
