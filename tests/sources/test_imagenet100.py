"""ImageNet-100: the reader against the official formats, and the environment through all stages."""

import os
import shutil

import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.io import savemat

from tests.conftest import ROOT
from tests.sources.official import SMALL
from tests.sources.official import imagenet100 as official
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.sources import ImageNet100

LAYOUTS = ("folders", "kaggle", "devkit")
TRUTH = "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt"
META = "ILSVRC2012_devkit_t12/data/meta.mat"


def source(path, **options):
    return ImageNet100(path=path, classes=path / "classes.txt", wordnet=path / "wordnet", **options)


def scan(path, **options):
    return source(path, **options).scan().collect()


def refused(path):
    with pytest.raises(InputError) as error:
        scan(path)
    return str(error.value)


@pytest.fixture(params=LAYOUTS)
def layout(request):
    return request.param


@pytest.fixture
def folder(tmp_path, layout):
    official.make(tmp_path, layout, train=5, val=2)
    return tmp_path


def test_the_validation_pictures_are_the_test_split_with_their_classes(tmp_path, layout):
    classes = official.make(tmp_path, layout, train=5, val=4)
    test = scan(tmp_path).filter(split="test")
    assert dict(test.select("sample_id", "wnid").iter_rows()) == {
        name: wnid for name, wnid in classes.items() if wnid != official.OTHER
    }
    assert all((tmp_path / image).is_file() for image in test["image"])


def test_train_is_read_by_class_and_a_share_of_it_held_out(folder, layout):
    table = scan(folder, validation_share=0.3)
    train = table.filter(pl.col("split") != "test")
    assert train["wnid"].unique(maintain_order=True).to_list() == list(official.CLASSES)
    assert train.group_by("wnid").len()["len"].unique().to_list() == [5]
    assert set(train["split"]) == {"train", "val"}
    first = table.row(0, named=True)
    base = "ILSVRC/Data/CLS-LOC/" if layout == "kaggle" else ""
    assert first["sample_id"] == "n02012849_20"
    assert first["image"] == f"{base}train/n02012849/n02012849_20.JPEG"
    assert table.columns == ["sample_id", "image", "wnid", "split", "class", "wordnet"]


def test_the_split_does_not_depend_on_where_the_pictures_are(tmp_path):
    tables = []
    for name in LAYOUTS:
        official.make(tmp_path / name, name, train=5, val=2)
        tables.append(
            scan(tmp_path / name, validation_share=0.3).select("sample_id", "split", "wnid").sort("sample_id")
        )
    assert tables[0].equals(tables[1])
    assert tables[0].equals(tables[2])


def test_classes_of_one_name_stay_apart_and_know_their_ancestors(tmp_path):
    official.make(tmp_path, train=5, val=2)
    table = scan(tmp_path)
    places = dict(table.select("class", "wordnet").unique("class").iter_rows())
    assert len(places) == len(official.CLASSES)
    assert {"crane (n02012849)", "crane (n03126707)"} <= set(places)
    assert [node.split(" (")[0] for node in places["tabby (n02123045)"]] == [
        *("entity", "physical entity", "object", "whole", "living thing", "organism", "animal"),
        *("domestic animal", "domestic cat", "tabby"),
    ]


def test_other_files_in_a_class_are_left_and_told_of(tmp_path, caplog):
    official.make(tmp_path, train=5, val=2)
    before = scan(tmp_path)
    (tmp_path / "train" / official.CLASSES[0] / "copy of x.JPEG").touch()
    (tmp_path / "train" / official.CLASSES[0] / "a.JPEG").mkdir()
    assert scan(tmp_path).equals(before)
    assert "left out 3 files that are no pictures, such as '.DS_Store'" in caplog.text


def test_the_files_are_those_that_give_classes_and_hierarchy(folder, layout):
    found = source(folder).files()
    labels = {"folders": [], "kaggle": ["LOC_val_solution.csv"], "devkit": [TRUTH, META]}[layout]
    places = ["classes.txt", "wordnet/wordnet.is_a.txt", "wordnet/words.txt", *labels]
    assert [file.relative_to(folder).as_posix() for file in found.values()] == places
    assert list(found) == ["classes", *(place.rpartition("/")[2] for place in places[1:])]


def test_the_list_of_the_paper_has_100_classes():
    lines = (ROOT / "conf/imagenet100/classes.txt").read_text().split()
    assert len(set(lines)) == 100
    assert lines == sorted(lines)
    assert (lines[0], lines[-1]) == ("n01496331", "n13052670")


def remove(name):
    """Remove a file, or a folder with all that is in it."""
    return lambda root: shutil.rmtree(root / name) if (root / name).is_dir() else (root / name).unlink()


def empty(name):
    return lambda root: (remove(name)(root), (root / name).mkdir())


def write(name, text):
    return lambda root: (root / name).write_text(text)


@pytest.mark.parametrize("layout", ["folders"], indirect=True)
@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (remove("train"), "there is no folder"),
        (remove("train/n02085620"), "train/n02085620: this folder cannot be read: No such file or directory"),
        (empty("train/n02085620"), "train/n02085620: there are no pictures"),
        (remove("val"), "val: this folder cannot be read"),
        (remove("val/n02085620"), "val/n02085620: this folder cannot be read: No such file or directory"),
        (empty("val/n02085620"), "val/n02085620: there are no pictures"),
        (empty("val"), "val: has no folder per class, and neither"),
        (remove("classes.txt"), "classes.txt: there is no such file"),
        (write("classes.txt", "n02085620\n"), "classes.txt: has 1 classes; at least two"),
        (write("classes.txt", "n02085620\n2085620\n"), "classes.txt, line 2: expected `<wnid>`"),
        (write("classes.txt", "n02085620\n" * 2), "classes.txt, line 2: wnid n02085620 is there already"),
        (write("classes.txt", "n02085620\nn00000001"), "is_a.txt: the class n00000001 lies below nothing"),
        (remove("wordnet/words.txt"), "words.txt: there is no such file"),
        (write("wordnet/wordnet.is_a.txt", official.IS_A + "n02084071 n00015388\n"), "a synset is above itself"),
    ],
)
def test_what_is_missing_or_wrong_is_named(folder, broken, message):
    broken(folder)
    assert message in refused(folder)


@pytest.mark.parametrize("layout", ["kaggle"], indirect=True)
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("ImageId,Prediction\n", "line 1: there is no column 'PredictionString'"),
        ("ImageId,PredictionString\nILSVRC2012_val_00000001,spoon 1 2 3 4\n", "line 2: expected a synset and a box"),
        ("ImageId,PredictionString\nILSVRC2012_val_00000001\n", "line 2: expected 2 columns"),
        (
            "ImageId,PredictionString\n" + "ILSVRC2012_val_00000001,n02085620 1 2 3 4\n" * 2,
            "line 3: ImageId ILSVRC2012",
        ),
        (
            "ImageId,PredictionString\nILSVRC2012_val_00000001,n02085620 1 2 3 4\n",
            "LOC_val_solution.csv: has no class for",
        ),
    ],
)
def test_a_broken_solution_is_named_with_its_line(folder, content, message):
    (folder / "LOC_val_solution.csv").write_text(content)
    found = refused(folder)
    assert "LOC_val_solution.csv" in found
    assert message in found


@pytest.mark.parametrize("layout", ["devkit"], indirect=True)
class TestDevkit:
    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("1\n99\n", "line 2:"),
            ("1\none\n", "line 2: expected `<number>`"),
            ("1\n", "has no class for"),
            ("", "has no class for"),
        ],
    )
    def test_a_broken_ground_truth_is_named_with_its_line(self, folder, content, message):
        (folder / TRUTH).write_text(content)
        found = refused(folder)
        assert TRUTH in found
        assert message in found

    @pytest.mark.parametrize("content", [b"", b"MATLAB 5.0 MAT-file" + b"\0" * 200, b"\x1f\x8b"])
    def test_other_bytes_are_no_table_of_synsets(self, folder, content):
        (folder / META).write_bytes(content)
        assert f"{META}: not the table of synsets of the development kit" in refused(folder)

    def test_another_table_is_none_either(self, folder):
        savemat(folder / META, {"synsets": [[1, 2], [3, 4]]})
        assert f"{META}: not the table of synsets" in refused(folder)


def test_no_picture_of_the_classes_in_val(tmp_path):
    official.make(tmp_path, "kaggle", train=5, val=2)
    solution = tmp_path / "LOC_val_solution.csv"
    lines = solution.read_text().splitlines()
    solution.write_text(
        "\n".join([lines[0], *(f"{line.split(',')[0]},{official.OTHER} 1 2 3 4" for line in lines[1:])])
    )
    assert "val: there are no pictures of the 6 classes" in refused(tmp_path)


def test_a_share_of_nothing_or_all_is_refused(tmp_path):
    for share in (0, 1):
        with pytest.raises(ValidationError, match="validation_share"):
            source(tmp_path, validation_share=share)


FILES = ("classes.txt", "wordnet/wordnet.is_a.txt", "wordnet/words.txt", "LOC_val_solution.csv", TRUTH, META)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A data set per way of naming the classes of `val`."""
    roots = {}
    for layout in ("kaggle", "devkit"):
        roots[layout] = tmp_path_factory.mktemp(layout)
        official.make(roots[layout], layout, train=2, val=1)
    return roots


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(FILES), st.binary() | st.text().map(str.encode), st.integers(0, 400), st.integers(0, 60))
@example(META, b"", 0, 0)
def test_whatever_is_in_a_file_it_is_read_or_explained(whole, name, inserted, start, dropped):
    """Some bytes of a file replaced by others."""
    root = whole["kaggle" if name == "LOC_val_solution.csv" else "devkit"]
    file = root / name
    good = file.read_bytes()
    try:
        file.write_bytes(good[:start] + inserted + good[start + dropped :])
        try:
            scan(root)
        except InputError as error:
            assert str(root) in str(error)  # noqa: PT017 - either is right
    finally:
        file.write_bytes(good)


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(min_size=1, max_size=40).filter(lambda name: not set(name) & set(b"/\0") and name not in (b".", b".."))
)
def test_a_file_of_any_name_is_a_picture_or_left_out(whole, name):
    file = os.path.join(os.fsencode(whole["devkit"]), b"train", official.CLASSES[0].encode(), name)  # noqa: PTH118
    with open(file, "xb"):  # noqa: PTH123
        pass
    try:
        assert scan(whole["devkit"]).height >= 6 * 3
    finally:
        os.unlink(file)  # noqa: PTH108


def test_the_environment_runs_through_all_stages(project_factory):
    project = project_factory()
    raw = project.path / "data/01_raw/imagenet100"
    official.make(raw, "devkit")
    shutil.copy(raw / "classes.txt", project.path / "conf/imagenet100/classes.txt")
    catalog = project.path / "conf/imagenet100/catalog.yml"
    catalog.write_text(catalog.read_text().replace("validation_share: 0.02", "validation_share: 0.2"))  # of 30 a class
    project.run("full", env="imagenet100", params=SMALL)
    samples = project.artifact("samples").load()
    assert samples.height == 6 * 36
    assert project.artifact("quarantine").load().is_empty()
    assert set(project.artifact("comparison").load()["label"]) == {"class"}
