"""Cluster tables in the released form: an unnamed index, ids with gaps, and a last row of counts."""

import numpy as np
import polars as pl
import pytest

from tests.attributes.test_measures import TABLES, load_tables, rebuild
from weakcl_pipeline.attributes import AttributeKind, AttributeSpec, FittingData
from weakcl_pipeline.attributes.measures import conditional_entropy, entropy, mutual_information
from weakcl_pipeline.attributes.rules import Given
from weakcl_pipeline.datasets import SourceDataset
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.sources import ReleasedClusters

PATHS = ["Boots/Ankle/1.jpg", "Boots/Ankle/2.jpg", "Shoes/Heels/1.jpg", "Shoes/Heels/9.jpg"]


def write_released(path, columns, paths=PATHS):
    rows = pl.DataFrame({"": [f"{7 * row + 3}" for row in range(len(paths))], "path": paths, "class": "1"} | columns)
    counts = rows[:1].with_columns(pl.lit("-1").alias(""), path=pl.lit("num_per_label_gran"))
    pl.concat([rows, counts]).write_csv(path)
    return path


@pytest.fixture
def released(tmp_path):
    return write_released(tmp_path / "meta_data_train.csv", {"label_gran_3": ["1", "4", "4", "1"]})


def raw(*images):
    return pl.LazyFrame({"id": range(len(images)), "image": images}, schema_overrides={"image": pl.String})


def joined(released, *images):
    return ReleasedClusters(path=released).join(raw(*images)).collect()


def test_pictures_are_found_below_any_folder_and_others_have_no_cluster(released):
    images = [f"ut-zap50k-images/{path}" for path in (PATHS[2], PATHS[0], "Shoes/Heels/5.jpg", PATHS[3])]
    found = joined(released, *images, None)
    assert found["label_gran_3"].to_list() == ["4", "1", None, "1", None]
    assert found["image"].to_list() == [*images, None]
    assert found["id"].to_list() == [0, 1, 2, 3, 4]


def test_names_alone_are_enough_where_folders_differ_and_names_do_not_repeat(released):
    assert joined(released, "all/2.jpg", "all/9.jpg")["label_gran_3"].to_list() == ["4", "1"]
    assert joined(released, "all/1.jpg", "all/9.jpg")["label_gran_3"].to_list() == [None, "1"]  # which 1.jpg?


def test_a_released_table_that_cannot_be_used_is_named(released, tmp_path):
    with pytest.raises(InputError, match=r"none of its pictures \(the first is Boots/Ankle/1.jpg\) .* is cat.jpg"):
        joined(released, "cat.jpg")
    with pytest.raises(InputError, match=r"no column 'picture' \(image_column\)"):
        ReleasedClusters(path=released, image_column="picture").join(raw("a.jpg"))
    with pytest.raises(InputError, match=r"column 'id' \(image_column\) does not hold paths"):
        ReleasedClusters(path=released, image_column="id").join(raw("a.jpg"))
    with pytest.raises(InputError, match=r"has a column 'label_gran_3' already"):
        ReleasedClusters(path=released).join(raw("a.jpg").with_columns(label_gran_3=1))
    with pytest.raises(InputError, match="there is no such file"):
        joined(tmp_path / "no.csv", "a.jpg")
    (tmp_path / "val.csv").write_text(",path,class\n0,a.jpg,1\n-1,num_per_latent_class,1\n")
    with pytest.raises(InputError, match=r"val.csv: .* columns 'label_gran_<k>'; this one has: , path, class"):
        joined(tmp_path / "val.csv", "a.jpg")
    (tmp_path / "odd.csv").write_text(",path,label_gran_3class\n0,a.jpg,1\n")
    with pytest.raises(InputError, match=r"odd.csv: .* this one has: , path, label_gran_3class"):
        joined(tmp_path / "odd.csv", "a.jpg")
    (tmp_path / "star.csv").write_text("*,path,label_gran_3\n0,a.jpg,1\n-1,counts,1\n")
    assert joined(tmp_path / "star.csv", "a.jpg")["label_gran_3"].to_list() == ["1"]
    twice = write_released(tmp_path / "twice.csv", {"label_gran_3": ["1"] * 5}, [*PATHS, PATHS[1]])
    with pytest.raises(InputError, match=r"the picture Boots/Ankle/2.jpg is listed more than once"):
        joined(twice, "a.jpg")
    (tmp_path / "ragged.csv").write_text(",path,label_gran_3\n0,a.jpg,1,5,6\n")
    with pytest.raises(InputError, match=r"ragged.csv: not a table of comma-separated values"):
        joined(tmp_path / "ragged.csv", "a.jpg")


def test_any_source_takes_them_and_they_are_part_of_its_version(released, tmp_path):
    table = tmp_path / "table.parquet"
    raw(*PATHS).collect().write_parquet(table)
    plain = SourceDataset(source="table", path=table.as_posix())
    dataset = SourceDataset(source="table", path=table.as_posix(), clusters={"path": released.as_posix()})
    assert dataset.load().collect()["label_gran_3"].to_list() == ["1", "4", "4", "1"]
    before = dataset.content_hash()
    assert before != plain.content_hash()
    write_released(released, {"label_gran_3": ["1", "1", "4", "1"]})
    assert dataset.content_hash() != before
    assert dataset._describe()["clusters"]["image_column"] == "image"


@pytest.mark.parametrize("name", TABLES)
def test_every_published_figure_comes_out_of_the_released_form(name, tmp_path):
    """From the file to the clusters that train; ids start at 1 and have gaps, as in the released tables."""
    tables = load_tables(name)
    columns, classes = {}, None
    for column in tables["clusters"]:
        clusters, of_class = rebuild(tables, column)
        order = np.argsort(of_class, kind="stable")
        columns[column], classes = (3 * clusters[order] + 1).astype(str), of_class[order]
    images = [f"{number}.jpg" for number in range(len(classes))]
    released = write_released(tmp_path / "meta_data_train.csv", columns, images)
    table = ReleasedClusters(path=released).join(raw(*images)).collect()
    specs = dict.fromkeys(columns, AttributeSpec(kind=AttributeKind.CATEGORICAL))
    granularities = [int(column.rpartition("_")[2]) for column in columns]
    data = FittingData(table.select(list(columns)), specs, np.ones(table.height, dtype=bool))
    found = Given(column="label_gran_{k}").fit(data, granularities).assign(table)
    assert len(found) == len(columns) == len(tables["published"]) - 2  # the classes and the pictures themselves
    for k, ids in found.items():
        measured = [
            conditional_entropy(ids, given=classes),
            conditional_entropy(classes, given=ids),
            mutual_information(ids, classes),
            entropy(ids),
        ]
        assert measured == pytest.approx(tables["published"][f"label_gran_{k}"], abs=1e-9)
        assert ids.min() == 0
        assert len(np.unique(ids)) == ids.max() + 1


@pytest.mark.timeout(60)
def test_paths_of_any_depth_are_compared(released, tmp_path):
    deep = write_released(tmp_path / "deep.csv", {"label_gran_3": ["1", "2"]}, ["a/" * 20_000 + "1.jpg", "b/2.jpg"])
    assert joined(deep, "x/1.jpg", "x/b/2.jpg")["label_gran_3"].to_list() == ["1", "2"]
    assert joined(deep, "1.jpg", "c/9.jpg")["label_gran_3"].to_list() == ["1", None]
    assert joined(deep, "/" * 20_000 + "b/2.jpg")["label_gran_3"].to_list() == ["2"]
    alike = write_released(tmp_path / "alike.csv", {"label_gran_3": ["1", "2"]}, ["a/b/c/1.jpg", "x/y/a/b/c/1.jpg"])
    assert joined(alike, "a/b/c/1.jpg")["label_gran_3"].to_list() == ["1"]  # four parts tell them apart
