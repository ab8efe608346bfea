import os
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.conftest import merge
from tests.sources.official import SMALL, change
from tests.sources.official.ut_zappos50k import HEADER, VALUES, make_released_split, make_zappos
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.sources import UtZappos50K

TABLE = "ut-zap50k-data/meta-data.csv"
PICTURES = "ut-zap50k-images-square"


@pytest.fixture
def zappos(tmp_path):
    make_zappos(tmp_path / "zappos", products=20)
    return tmp_path / "zappos"


def read(folder, **options):
    return UtZappos50K(path=folder, **options).scan().collect()


def refused(folder, **options):
    with pytest.raises(InputError) as error:
        read(folder, **options)
    return str(error.value)


def test_every_shoe_has_its_picture_type_and_brand(tmp_path):
    rows, places = make_zappos(tmp_path)
    table = read(tmp_path)
    assert table.columns == [*HEADER, "product", "split", "image", "type", "brand"]
    assert table["CID"].to_list() == [row[0] for row in rows]
    for shoe in table.iter_rows(named=True):
        folder = places[shoe["CID"]]
        assert shoe["image"] == f"{PICTURES}/{folder}/{shoe['CID'].replace('-', '.')}.jpg"
        assert (tmp_path / shoe["image"]).is_file()
        assert shoe["type"] == "/".join(folder.split("/")[:2]) == f"{shoe['Category']}/{shoe['SubCategory']}"
        assert shoe["brand"] == folder.split("/")[2].replace("%2E", ".")
        assert shoe["product"] == shoe["CID"].split("-")[0]


@pytest.mark.parametrize(("blank", "empty"), [("missing", None), ("none of them", [])])
def test_values_are_lists_and_an_empty_cell_means_what_is_said(tmp_path, blank, empty):
    rows, _ = make_zappos(tmp_path)
    table = read(tmp_path, blank=blank)
    for at, column in enumerate(VALUES, 3):
        assert table[column].to_list() == [row[at].split(";") if row[at] else empty for row in rows]
    assert any(";" in cell for row in rows for cell in row[3:])


def test_blanks_and_empty_values_between_semicolons_are_dropped(zappos):
    change(zappos / TABLE, 2, "100627-1,Shoes,Oxfords, ; ,Leather; Poron;,,,Suede,")
    first = next(cid for cid in read(zappos)["CID"])
    assert first == "100627-1"
    assert read(zappos)["HeelHeight"][0] is None
    assert read(zappos)["Insole"][0].to_list() == ["Leather", "Poron"]


def test_all_colours_of_a_shoe_are_in_one_split_whatever_else_there_is(tmp_path):
    make_zappos(tmp_path, products=200)
    table = read(tmp_path)
    assert table.group_by("product").n_unique()["split"].max() == 1
    shares = {split: part.height / table.height for (split,), part in table.group_by("split")}
    assert abs(shares["test"] - 0.3) < 0.1
    assert abs(shares["val"] - 0.07) < 0.05
    lines = (tmp_path / TABLE).read_text().splitlines()
    (tmp_path / TABLE).write_text("\n".join([lines[0], *reversed(lines[1 : len(lines) // 2])]))
    half = read(tmp_path).select("CID", "split")
    assert half.join(table, on=("CID", "split"), how="semi").height == half.height > 50


def test_the_released_split_is_taken_where_it_is_given(tmp_path):
    _, places = make_zappos(tmp_path)
    tests = make_released_split(tmp_path / "rank_H", places)
    table = read(tmp_path, released_split=tmp_path / "rank_H", val_share=0.5)
    assert sorted(table.filter(split="test")["CID"]) == sorted(tests)
    assert set(table["split"]) == {"train", "val", "test"}
    files = UtZappos50K(path=tmp_path, released_split=tmp_path / "rank_H").files()
    assert list(files) == ["meta-data.csv", "meta_data_train.csv", "meta_data_val.csv"]


def test_the_other_pictures_serve_as_well(tmp_path):
    make_zappos(tmp_path, images="ut-zap50k-images")
    assert read(tmp_path, images="ut-zap50k-images")["image"].str.starts_with("ut-zap50k-images/").all()
    assert f"{tmp_path / PICTURES}: there is no such folder" in refused(tmp_path)


def test_a_shoe_without_a_picture_stays_for_quarantine_and_other_files_are_told(zappos, caplog):
    cid, image = read(zappos).select("CID", "image").row(0)
    (zappos / image).rename((zappos / image).with_name("thumbnail.jpg"))
    table = read(zappos)
    assert table.filter(CID=cid).select("image", "type", "brand").row(0) == (None, None, None)
    assert table["image"].null_count() == 1
    assert "thumbnail.jpg: no picture of a shoe" in caplog.text


def test_a_folder_without_any_picture_is_refused(zappos):
    shutil.rmtree(zappos / PICTURES)
    (zappos / PICTURES).mkdir()
    assert "there is no picture of any shoe in" in refused(zappos)


def test_a_shoe_with_two_pictures_is_refused(zappos):
    image = read(zappos)["image"][0]
    copy = zappos / PICTURES / "Shoes/Oxfords/Another brand" / image.split("/")[-1]
    copy.parent.mkdir(parents=True)
    shutil.copy(zappos / image, copy)
    message = refused(zappos)
    assert "has two pictures" in message
    assert image in message
    assert "Another brand" in message


def test_a_folder_whose_name_is_no_text_is_refused(zappos):
    bad = zappos / PICTURES / "Shoes/Oxfords" / os.fsdecode(b"br\xff")
    bad.mkdir(parents=True)
    (bad / "7.1.jpg").touch()
    assert "is not in UTF-8" in refused(zappos)


@pytest.mark.parametrize(
    ("line", "text", "message"),
    [
        (
            1,
            "CID,Category,SubCategory,HeelHeight,Insole,Closure,Gender,Material",
            "line 1: there is no column 'ToeStyle'",
        ),
        (3, "7-1,Shoes,Oxfords,,,,,", "line 3: expected 9 columns, as in the first line, found 8"),
        (3, "7-1,Shoes,Oxfords,,,,,,,", "line 3: expected 9 columns, as in the first line, found 10"),
        (3, '7-1,Shoes,"Oxfords,,,,,,', "line 3: not a row of a CSV table"),
        (
            3,
            "7.1,Shoes,Oxfords,,,,,,",
            "line 3: column CID: expected <product>-<colour>, such as 100627-72, found '7.1'",
        ),
        (3, ",Shoes,Oxfords,,,,,,", "line 3: column CID: expected"),
    ],
)
def test_what_is_wrong_in_the_table_is_named_with_its_line(zappos, line, text, message):
    change(zappos / TABLE, line, text)
    assert f"{zappos / TABLE}, {message}" in refused(zappos)


def test_a_shoe_twice_and_a_table_that_is_not_there(zappos):
    lines = (zappos / TABLE).read_text().splitlines()
    change(zappos / TABLE, 3, lines[1])
    assert f"{zappos / TABLE}, line 3: CID 100627-" in refused(zappos)
    (zappos / TABLE).unlink()
    assert f"{zappos / TABLE}: there is no such file" in refused(zappos)


@pytest.mark.parametrize(
    ("name", "line", "text", "message"),
    [
        ("meta_data_train.csv", 1, ",paths,class,label_gran_3", "line 1: there is no column 'path'"),
        ("meta_data_train.csv", 2, "0,a/b", "line 2: expected 4 columns, as in the first line, found 2"),
        ("meta_data_val.csv", 2, "0,Shoes/Oxfords/x/y.jpg,1", "line 2: column path: expected a picture"),
        ("meta_data_val.csv", 2, "0,Shoes/Oxfords/x/7.1.jpg,1", "line 2: CID 7-1 is not in"),
        ("meta_data_val.csv", 2, None, "is in"),
        ("meta_data_train.csv", 3, None, "line 3: CID"),
        ("meta_data_train.csv", 2, "-1,x,0,0", "there is no line for CID"),
    ],
)
def test_what_is_wrong_in_the_released_split_is_named(tmp_path, name, line, text, message):
    _, places = make_zappos(tmp_path)
    split = tmp_path / "rank_H"
    make_released_split(split, places)
    first_of_train = (split / "meta_data_train.csv").read_text().splitlines()[1]
    if text is None:  # what is in the first line of train once more
        text = first_of_train if "train" in name else first_of_train.rsplit(",", 1)[0]
    change(split / name, line, text)
    found = refused(tmp_path, released_split=split)
    assert str(split / name) in found
    assert message in found


def test_wrong_options_are_refused(tmp_path):
    for options in ({"images": "../pictures"}, {"blank": "unknown"}, {"test_share": 1}, {"shares": 0.1}):
        with pytest.raises(ValidationError):
            UtZappos50K(path=tmp_path, **options)


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory):
    folder = tmp_path_factory.mktemp("zappos")
    _, places = make_zappos(folder, products=8)
    make_released_split(folder / "rank_H", places)
    return folder


CELL = st.one_of(
    st.text(max_size=6), st.sampled_from(["100627-1", "7-1", "", "-1", ";", '"', "Flat;", "a/7.1.jpg", "\r"])
)
LINES = st.lists(st.lists(CELL, max_size=10).map(",".join), max_size=8).map(
    lambda lines: "\n".join(lines).encode("utf-8", "surrogatepass")
)


@pytest.mark.parametrize("name", [TABLE, "rank_H/meta_data_train.csv", "rank_H/meta_data_val.csv"])
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=st.one_of(LINES, st.binary(max_size=80)), at=st.floats(0, 1), inserted=st.booleans())
def test_any_bytes_in_any_file_are_read_or_refused_by_name(spoilt, name, content, at, inserted):
    file = spoilt / name
    before = file.read_bytes()
    place = round(at * len(before))
    file.write_bytes(before[:place] + content + before[place:] if inserted else content)
    try:
        error = outcome(spoilt)
    finally:
        file.write_bytes(before)
    assert error is None or str(spoilt) in error


def outcome(folder):
    """The message with which the folder is refused, or none."""
    try:
        read(folder, released_split=folder / "rank_H")
    except InputError as error:
        return str(error)
    return None


def test_the_environment_runs_from_the_official_files_to_the_report(project_factory):
    project = project_factory()
    rows, places = make_zappos(project.path / "data/01_raw/ut_zappos50k", products=80)
    lost = project.path / "data/01_raw/ut_zappos50k" / PICTURES / places[rows[5][0]]
    (lost / f"{rows[5][0].replace('-', '.')}.jpg").write_bytes(b"not a picture")
    clustering = {"granularities": [3, 5, 10], "granularity": 5}
    project.run("full", env="ut_zappos50k", params=merge(SMALL, {"clustering": clustering}))
    samples = project.artifact("samples").load()
    assert samples.height == len(rows) - 1
    assert project.artifact("quarantine").load()["sample_id"].to_list() == [rows[5][0]]
    assert samples.group_by("group").n_unique()["split"].max() == 1
    assert project.artifact("clusters").load()["cluster"].null_count() == 0
    comparison = project.artifact("comparison").load()
    assert set(comparison["label"]) == {"type"}
    assert {"self_supervised", "attribute", "iterative", "supervised"} <= set(comparison["method"])
    assert project.artifact("report").load().startswith("<!")
