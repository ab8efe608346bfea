import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.conftest import merge
from tests.sources.official import SMALL, change
from tests.sources.official.cub_200_2011 import ATTRIBUTES, CERTAINTIES, CLASSES, IRREGULAR, make_cub
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.sources import Cub200

TABLES = (
    "CUB_200_2011/images.txt",
    "CUB_200_2011/classes.txt",
    "CUB_200_2011/image_class_labels.txt",
    "CUB_200_2011/train_test_split.txt",
    "CUB_200_2011/attributes/certainties.txt",
    "CUB_200_2011/attributes/image_attribute_labels.txt",
    "attributes.txt",
)
IMAGES, CLASS_NAMES, LABELS, SPLITS, CERTAINTY_NAMES, SEEN, ATTRIBUTE_NAMES = TABLES


@pytest.fixture
def cub(tmp_path):
    make_cub(tmp_path / "cub", per_class=5)
    return tmp_path / "cub"


def read(folder, **options):
    return Cub200(path=folder, **options).scan().collect()


def refused(folder, **options):
    with pytest.raises(InputError) as error:
        read(folder, **options)
    return str(error.value)


def test_every_picture_has_its_class_split_and_path(tmp_path):
    make_cub(tmp_path, per_class=10)
    table = read(tmp_path)
    assert table.columns == ["image_id", "image", "class", "split", *ATTRIBUTES]
    assert table["image_id"].to_list() == list(range(1, 41))
    assert table["class"].to_list() == [name for name in CLASSES.values() for _ in range(10)]
    assert all((tmp_path / image).is_file() for image in table["image"])
    assert table["image"].str.contains(r"^CUB_200_2011/images/(001\.|002\.|014\.|200\.)").all()
    official = [line.split() for line in (tmp_path / SPLITS).read_text().splitlines()]
    tests = [int(image_id) for image_id, is_training in official if is_training == "0"]
    assert table.filter(split="test")["image_id"].to_list() == tests


def test_validation_is_drawn_from_train_alone_and_stays_when_pictures_come(tmp_path):
    make_cub(tmp_path / "few", per_class=10)
    few, many = read(tmp_path / "few", val_share=0.3), read(tmp_path / "few", val_share=0.6)
    assert set(few.filter(split="test")["image_id"]) == set(many.filter(split="test")["image_id"])
    assert set(few.filter(split="val")["image_id"]) < set(many.filter(split="val")["image_id"])
    assert set(read(tmp_path / "few", val_share=0)["split"]) == {"train", "test"}
    order = tmp_path / "few" / IMAGES
    order.write_text("\n".join(reversed(order.read_text().splitlines())))
    assert read(tmp_path / "few", val_share=0.3).sort("image_id").equals(few)


@pytest.mark.parametrize("certainty", CERTAINTIES)
def test_attributes_count_from_a_certainty_on_and_are_missing_below(tmp_path, certainty):
    truth = make_cub(tmp_path, per_class=5)
    table = read(tmp_path, certainty=certainty)
    lowest = CERTAINTIES.index(certainty) + 1
    for row in table.iter_rows(named=True):
        for attribute in ATTRIBUTES:
            present, given_certainty = truth[row["image_id"], attribute]
            assert row[attribute] is (present if given_certainty >= lowest else None)
    assert (table.select(ATTRIBUTES).null_count().sum_horizontal()[0] == 0) == (certainty == "not visible")


def test_irregular_lines_are_there_and_read(cub):
    lines = [line.split() for line in (cub / SEEN).read_text().splitlines()]
    assert {int(line[0]) for line in lines if len(line) == 6} == set(IRREGULAR)
    change(cub / SEEN, 1, "1 1 1 4 0 0 1.5")
    assert read(cub)[ATTRIBUTES[0]][0] is True


def test_the_names_of_attributes_lie_beside_the_folder_or_in_it(cub, tmp_path):
    table = read(cub)
    for place in ("CUB_200_2011/attributes.txt", "CUB_200_2011/attributes/attributes.txt"):
        copy = tmp_path / place.replace("/", "-")
        shutil.copytree(cub, copy)
        shutil.move(copy / ATTRIBUTE_NAMES, copy / place)
        assert read(copy).equals(table)
    inside = read(tmp_path / "CUB_200_2011-attributes.txt" / "CUB_200_2011")
    assert inside.drop("image").equals(table.drop("image"))
    assert inside["image"][0] == table["image"][0].removeprefix("CUB_200_2011/")


def test_the_order_of_lines_does_not_matter(cub):
    table = read(cub)
    for name in TABLES[1:]:
        lines = (cub / name).read_text().splitlines()
        (cub / name).write_text("\r\n".join(reversed(lines)))
    assert read(cub).select(table.columns).equals(table)


@pytest.mark.parametrize("name", TABLES)
def test_a_missing_file_is_named_before_any_is_read(cub, name):
    (cub / name).unlink()
    message = refused(cub)
    assert f"{cub / name}: there is no such file" in message or name == ATTRIBUTE_NAMES
    assert "attributes.txt: there is no such file" in message or name != ATTRIBUTE_NAMES
    with pytest.raises(InputError, match="there is no such file"):
        Cub200(path=cub).files()


def test_its_files_are_the_tables(cub):
    files = Cub200(path=cub).files()
    assert {file.relative_to(cub).as_posix() for file in files.values()} == set(TABLES)
    assert {"images.txt", "attributes/attributes.txt"} <= set(files)


FIRST = "001.Black_footed_Albatross"


@pytest.mark.parametrize(
    ("name", "line", "text", "message"),
    [
        (IMAGES, 2, "2", "line 2: expected `<image_id> <name>`, found '2'"),
        (IMAGES, 3, "two a.jpg", "line 3: expected `<image_id> <name>`, found 'two a.jpg'"),
        (IMAGES, 2, "1 x/y.jpg", "line 2: image_id 1 is there already, in line 1"),
        (CLASS_NAMES, 1, "1", "line 1: expected `<class_id> <class>`, found '1'"),
        (CLASS_NAMES, 2, "1 002.Laysan", "line 2: class_id 1 is there already, in line 1"),
        (CLASS_NAMES, 2, None, "line 6: class_id 2 is not in"),
        (LABELS, 4, "4 1 1", "line 4: expected `<image_id> <class_id>`, found '4 1 1'"),
        (LABELS, 4, "4 201", "line 4: class_id 201 is not in"),
        (LABELS, 4, "99 1", "line 4: image_id 99 is not in"),
        (LABELS, 4, "3 1", "line 4: image_id 3 is there already, in line 3"),
        (LABELS, 20, None, "there is no line for image_id 20, which is in"),
        (SPLITS, 1, "1 2", "line 1: expected `<image_id> <is_training>`, found '1 2'"),
        (SPLITS, 1, "0 1", "line 1: image_id 0 is not in"),
        (SPLITS, 5, None, "there is no line for image_id 5, which is in"),
        (CERTAINTY_NAMES, 2, "2", "line 2: expected `<certainty_id> <certainty>`"),
        (CERTAINTY_NAMES, 2, "2 perhaps", "there is no certainty 'guessing', which `certainty`"),
        (CERTAINTY_NAMES, 4, None, "certainty_id 4 is not in"),
        (ATTRIBUTE_NAMES, 2, "1 has_bill_shape::dagger", "line 2: attribute_id 1 is there already, in line 1"),
        (ATTRIBUTE_NAMES, 2, f"2 {ATTRIBUTES[0]}", "line 2: attribute has_bill_shape::curved_(up_or_down) is there"),
        (ATTRIBUTE_NAMES, 2, "2 class", "line 2: an attribute cannot be called class"),
        (ATTRIBUTE_NAMES, 12, None, "line 12: attribute_id 12 is not in"),
        (ATTRIBUTE_NAMES, 12, "12 b\n13 c", "image_id 1 has lines for 12 of the 13 attributes in"),
        (SEEN, 7, "1 7 1 4", "expected `<image_id> <attribute_id> <is_present> <certainty_id>`, found '1 7 1 4'"),
        (SEEN, 7, "1 7 1 4 1 1 1 1", "line 7: expected"),
        (SEEN, 7, "1 7 2 4 1.0", "line 7: expected"),
        (SEEN, 7, "1 7 1 4 soon", "line 7: expected"),
        (SEEN, 7, "1 313 1 4 1.0", "line 7: attribute_id 313 is not in"),
        (SEEN, 7, "1 0 1 4 1.0", "line 7: attribute_id 0 is not in"),
        (SEEN, 7, "11789 7 1 4 1.0", "line 7: image_id 11789 is not in"),
        (SEEN, 7, "1 7 1 5 1.0", "line 7: certainty_id 5 is not in"),
        (SEEN, 7, "1 6 1 4 1.0", "line 7: image_id 1, attribute_id 6 is there already, in line 6"),
        (SEEN, 240, None, "image_id 20 has lines for 11 of the 12 attributes in"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_line(cub, name, line, text, message):
    change(cub / name, line, text)
    found = refused(cub)
    assert message in found
    assert str(cub) in found.split(":")[0]


def test_wrong_options_are_refused(tmp_path):
    for options in ({"certainty": "sure"}, {"val_share": 1}, {"certainties": "guessing"}):
        with pytest.raises(ValidationError):
            Cub200(path=tmp_path, **options)


LINES = st.lists(
    st.one_of(
        st.lists(st.integers(-1, 22).map(str), max_size=7).map(" ".join),
        st.text(max_size=20),
        st.sampled_from(
            ["1 not visible", "2 guessing", "1 a.jpg", "1 1 1 1 0.5", "\ufeff1 1", '1 "a', "1 1\r", "1 a\x00"]
        ),
    ),
    max_size=12,
).map(lambda lines: "\n".join(lines).encode("utf-8", "surrogatepass"))


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cub")
    make_cub(folder, per_class=5)
    return folder


@pytest.mark.parametrize("name", TABLES)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=st.one_of(LINES, st.binary(max_size=80)), at=st.floats(0, 1), appended=st.booleans())
def test_any_bytes_in_any_file_are_read_or_refused_by_name(spoilt, name, content, at, appended):
    file = spoilt / name
    before = file.read_bytes()
    place = round(at * len(before))
    file.write_bytes(before[:place] + content + before[place:] if appended else content)
    try:
        error = outcome(spoilt)
    finally:
        file.write_bytes(before)
    assert error is None or str(spoilt) in error


def outcome(folder):
    """The message with which the folder is refused, or none."""
    try:
        read(folder)
    except InputError as error:
        return str(error)
    return None


def test_the_environment_runs_from_the_official_files_to_the_report(project_factory):
    project = project_factory()
    make_cub(project.path / "data/01_raw/cub_200_2011", per_class=24)
    clustering = {"granularities": [2, 3, 5], "granularity": 3}
    project.run("full", env="cub_200_2011", params=merge(SMALL, {"clustering": clustering}))
    samples = project.artifact("samples").load()
    assert samples.height == 24 * len(CLASSES)
    assert set(samples["split"]) == {"train", "val", "test"}
    assert project.artifact("quarantine").load().height == 0
    assert list(project.artifact("attribute_schema").load()) == list(ATTRIBUTES)
    assert project.artifact("clusters").load()["cluster"].null_count() == 0
    comparison = project.artifact("comparison").load()
    assert set(comparison["label"]) == {"class"}
    assert {"self_supervised", "attribute", "iterative", "supervised"} <= set(comparison["method"])
    assert project.artifact("report").load().startswith("<!")
