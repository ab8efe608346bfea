"""WIDER Attribute: the reader against its official format, and the environment through all stages."""

import json
import re

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sources.official import SMALL
from tests.sources.official import wider_attribute as official
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.sources import WiderAttribute

COLUMNS = ("sample_id", "image", "split", "event", "left", "top", "width", "height")


@pytest.fixture
def folder(tmp_path):
    official.make(tmp_path, train=2, val=1, test=1)
    return tmp_path


@pytest.fixture
def trainval(folder):
    return folder / "wider_attribute_annotation" / "wider_attribute_trainval.json"


def scan(path, **options):
    return WiderAttribute(path=path, **options).scan().collect()


def change(file, function):
    """Change a file's JSON in place."""
    content = json.loads(file.read_text())
    function(content)
    file.write_text(json.dumps(content))


def refused(path):
    with pytest.raises(InputError) as error:
        scan(path)
    return str(error.value)


def test_a_whole_picture_has_what_one_of_its_people_has(folder, trainval):
    people = [[1, -1, 0, 0] + [-1] * 10, [0, -1, -1, 1] + [-1] * 10]
    change(
        trainval,
        lambda content: content["images"][0].update(targets=[{"bbox": [0, 0, 9, 9], "attribute": a} for a in people]),
    )
    table = scan(folder)
    assert table.columns == [*COLUMNS, *official.ATTRIBUTES]
    first = table.row(0, named=True)
    assert first["sample_id"] == first["image"] == "train/0--Parade/0_Parade_parade_0_2.jpg"
    assert (first["split"], first["event"], first["left"]) == ("train", "Parade", None)
    assert [first[name] for name in official.ATTRIBUTES[:5]] == [True, False, None, True, False]
    absent = scan(folder, unspecified="absent").row(0, named=True)
    assert [absent[name] for name in official.ATTRIBUTES[:5]] == [True, False, False, True, False]


def test_a_picture_without_people_tells_nothing(folder):
    change(
        folder / "wider_attribute_annotation" / "wider_attribute_test.json",
        lambda content: content["images"][0].update(targets=[]),
    )
    attributes = pl.col(official.ATTRIBUTES)
    empty = scan(folder).filter(split="test").head(1)
    assert empty.select(pl.all_horizontal(attributes.is_null())).item()
    assert empty.height == 1
    assert scan(folder, pictures="person").filter(image=empty["image"][0]).is_empty()


def test_every_person_is_a_sample_of_its_own(folder, trainval):
    table = scan(folder, pictures="person")
    written = [
        (f"{image['file_name']}#{number}", target)
        for file in (trainval, trainval.with_name("wider_attribute_test.json"))
        for image in json.loads(file.read_text())["images"]
        for number, target in enumerate(image["targets"])
    ]
    assert table["sample_id"].to_list() == [name for name, _ in written]
    assert table.select("left", "top", "width", "height").rows() == [tuple(t["bbox"]) for _, t in written]
    meaning = {1: True, 0: None, -1: False}
    assert table.select(official.ATTRIBUTES).rows() == [tuple(meaning[a] for a in t["attribute"]) for _, t in written]


def test_splits_and_events_are_the_official_ones(folder):
    sizes = {"train": 2, "val": 1, "test": 1}
    expected = {(split, event, size) for split, size in sizes.items() for event in official.EVENTS.values()}
    assert set(scan(folder).group_by("split", "event").len().rows()) == expected


def test_a_missing_file_is_named(folder, trainval):
    trainval.unlink()
    assert f"{trainval}: there is no such file" in refused(folder)


def test_broken_json_is_named_with_its_line(folder, trainval):
    trainval.write_text('{"images": [\n  {"file_name": }]}')
    message = refused(folder)
    assert str(trainval) in message
    assert "line 2 column 17" in message


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda c: c["images"][1].pop("targets"), "images[1].targets: Field required"),
        (lambda c: c["images"][1]["targets"][0]["bbox"].pop(), "images[1].targets[0].bbox[3]: Field required"),
        (
            lambda c: c["images"][0]["targets"][0]["attribute"].__setitem__(5, 2),
            "images[0].targets[0].attribute[5]: Input should be -1, 0 or 1",
        ),
        (
            lambda c: c["images"][0]["targets"][0]["attribute"].append(1),
            "images[0] ('train/0--Parade/0_Parade_parade_0_2.jpg'): targets[0].attribute has 15 values;"
            " attribute_id_map names 14 attributes",
        ),
        (lambda c: c["images"][4].update(scene_id=99), "scene_id 99 is not in scene_id_map"),
        (lambda c: c["images"][4].update(file_name="test/a.jpg"), "file_name must begin with train/ or val/"),
        (lambda c: c["images"][4].update(file_name=""), "file_name must begin with train/ or val/"),
        (
            lambda c: c["images"].append(c["images"][0]),
            "images[9] ('train/0--Parade/0_Parade_parade_0_2.jpg'): is images[0] again",
        ),
        (lambda c: c["attribute_id_map"].pop("3"), "attribute_id_map has the ids 0, 1, 10, 11, 12, 13, 2, 4"),
        (lambda c: c["attribute_id_map"].clear(), "attribute_id_map has the ids (none)"),
        (lambda c: c["attribute_id_map"].update({"3": "Male"}), "has the name 'Male' twice"),
        (lambda c: c["attribute_id_map"].update({"3": ""}), "attribute_id_map gives 3 an empty name"),
        (lambda c: c["attribute_id_map"].update({"3": "split"}), "one of the other columns' names"),
        (lambda c: c["scene_id_map"].update({"5": "Parade"}), "scene_id_map gives two events one name"),
        (lambda c: c["scene_id_map"].update({"5": "Car"}), "differs from that of"),
    ],
)
def test_what_is_not_the_format_is_named_with_its_place(folder, trainval, broken, message):
    change(trainval, broken)
    found = refused(folder)
    assert "wider_attribute_annotation/wider_attribute_" in found
    assert message in found


def test_a_huge_file_is_not_read(folder, trainval, monkeypatch):
    monkeypatch.setattr("weakcl_pipeline.sources.wider_attribute._LIMIT", 1000)
    assert f"{trainval}: more than 1,000 bytes" in refused(folder)


def test_many_problems_are_counted(folder, trainval):
    change(trainval, lambda content: [image.pop("scene_id") for image in content["images"]])
    assert "... and 4 more" in refused(folder)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def paths(value, path=()):
    """The places in a JSON value."""
    yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inside:
        yield from paths(item, (*path, key))


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_whatever_is_in_a_file_it_is_read_or_explained(folder, data):
    """Random bytes, or one place of the real thing replaced by a random value."""
    file = folder / "wider_attribute_annotation" / data.draw(st.sampled_from(sorted(official.FILES)))
    good = file.read_bytes()
    if data.draw(st.booleans()):
        broken = data.draw(st.binary())
    else:
        content = json.loads(good)
        *parents, last = data.draw(st.sampled_from(list(paths(content))[1:]))
        holder = content
        for key in parents:
            holder = holder[key]
        holder[last] = data.draw(JSON)
        broken = json.dumps(content).encode()
    try:
        file.write_bytes(broken)
        for pictures in ("whole", "person"):
            try:
                scan(folder, pictures=pictures)
            except InputError as error:
                assert re.search("wider_attribute_(trainval|test).json: ", str(error))  # noqa: PT017 - either is right
    finally:
        file.write_bytes(good)


def test_the_environment_runs_through_all_stages(project_factory):
    project = project_factory()
    written = official.make(project.path / "data/01_raw/wider_attribute")
    project.run("full", env="wider_attribute", params=SMALL)
    assert project.artifact("samples").load().height == sum(len(content["images"]) for content in written.values())
    assert project.artifact("attributes").load().collect_schema().names() == [
        "sample_id",
        "split",
        *official.ATTRIBUTES,
    ]
    assert project.artifact("clusters").load()["top_7"].drop_nulls().len() == project.artifact("samples").load().height
    assert set(project.artifact("comparison").load()["label"]) == {"event"}


def test_people_are_cut_out_of_their_pictures(project_factory):
    project = project_factory()
    written = official.make(project.path / "data/01_raw/wider_attribute")
    catalog = project.path / "conf/wider_attribute/catalog.yml"
    catalog.write_text(catalog.read_text().replace("pictures: whole", "pictures: person"))
    params = {"images": {"size": 16, "max_bad_fraction": 0.05}}
    project.run("ingestion", "clustering", env="wider_attribute", params=params)
    people = sum(len(image["targets"]) for content in written.values() for image in content["images"])
    samples, quarantine = project.artifact("samples").load(), project.artifact("quarantine").load()
    assert samples.height == people - 1
    assert samples["group"].n_unique() < people - 1
    assert quarantine["sample_id"].item() == f"{written['trainval']['images'][2]['file_name']}#0"
    assert "has nothing of the picture of 100x80 pixels" in quarantine["reason"].item()


@pytest.mark.timeout(60)
def test_any_number_of_attributes_is_read_in_time(tmp_path):
    official.make(tmp_path, train=1, val=1, test=1)
    for file in (tmp_path / "wider_attribute_annotation").iterdir():
        change(file, lambda content: content.update(images=[], attribute_id_map={str(i): f"a{i}" for i in range(5000)}))
    assert scan(tmp_path).width == 5008
