"""The data sets of the paper."""

import json
import shutil
from itertools import pairwise

from tests.broken.case import Case, lines, rows, table, text
from tests.sources.official import cub_200_2011, imagenet100, ut_zappos50k, wider_attribute
from weakcl_pipeline.datasets import SourceDataset

ZAPPOS, CUB, WIDER = (
    "ut-zap50k-data/meta-data.csv",
    "CUB_200_2011",
    "wider_attribute_annotation/wider_attribute_{}.json",
)


def read(source, **options):
    """Return what reads the raw table of a source whose data set lies in the case's folder."""

    def run(place):
        options_ = {name: value.format(raw=place.raw) for name, value in options.items()}
        SourceDataset(source=source, path=place.raw.as_posix(), **options_).load().collect()

    return run


def spoilt(make, change):
    """Return what makes a data set and changes it."""

    def make_and_change(raw):
        make(raw)
        change(raw)

    return make_and_change


def edit(file, change):
    """Return what changes a file's text."""
    return lambda raw: (raw / file).write_text(change((raw / file).read_text()))


def zappos(change):
    return spoilt(lambda raw: ut_zappos50k.make_zappos(raw, products=5), change)


def cub(change):
    return spoilt(lambda raw: cub_200_2011.make_cub(raw, per_class=2), change)


def wider(change):
    return spoilt(lambda raw: wider_attribute.make(raw, 2, 1, 1), change)


def imagenet(change):
    return spoilt(lambda raw: imagenet100.make(raw, train=2, val=1), change)


def devkit(change):
    return spoilt(lambda raw: imagenet100.make(raw, "devkit", train=2, val=1), change)


def one_attribute_less(annotations):
    found = json.loads(annotations)
    found["images"][0]["targets"][0]["attribute"].pop()
    return json.dumps(found)


def released(content):
    def make(raw):
        table(rows())(raw)
        text(content, "meta_data_train.csv")(raw)

    return make


def join_clusters(place):
    source = SourceDataset(
        source="table",
        path=(place.raw / "table.parquet").as_posix(),
        clusters={"path": (place.raw / "meta_data_train.csv").as_posix(), "image_column": "file"},
    )
    source.load().collect()


IMAGENET = read("imagenet100", classes="{raw}/classes.txt", wordnet="{raw}/wordnet")
PAGE = "docs/data/imagenet100.md"
META = "ILSVRC2012_devkit_t12/data/meta.mat"
NODES = [*(f"n9{number:07d}" for number in range(150)), "n00001740"]
CHAIN = lines(*(f"{above} {below}" for above, below in pairwise(NODES)))
"""What would lie above all of the hierarchy."""

CASES = [
    Case(
        "UT-Zappos50K: the pictures are not unpacked",
        zappos(lambda raw: shutil.rmtree(raw / "ut-zap50k-images-square")),
        read("ut_zappos50k"),
        ("ut-zap50k-images-square",),
    ),
    Case(
        "UT-Zappos50K: the table lacks a column",
        zappos(edit(ZAPPOS, lambda rows_: rows_.replace("HeelHeight", "Heel", 1))),
        read("ut_zappos50k"),
        ("meta-data.csv, line 1", "'HeelHeight'"),
    ),
    Case(
        "UT-Zappos50K: the table is cut off",
        zappos(edit(ZAPPOS, lambda rows_: rows_[: rows_.rindex(",") - 3])),
        read("ut_zappos50k"),
        ("meta-data.csv, line",),
    ),
    Case(
        "CUB-200-2011: a file is missing",
        cub(lambda raw: (raw / CUB / "classes.txt").unlink()),
        read("cub_200_2011"),
        ("classes.txt", "docs/data"),
    ),
    Case(
        "CUB-200-2011: the attributes are cut off",
        cub(edit(f"{CUB}/attributes/image_attribute_labels.txt", lambda seen: "".join(seen.splitlines(True)[:-3]))),
        read("cub_200_2011"),
        ("image_attribute_labels.txt", "image_id 8"),
    ),
    Case(
        "CUB-200-2011: a line is not of the official form",
        cub(edit(f"{CUB}/train_test_split.txt", lambda splits: splits.replace("2 0", "2 test", 1))),
        read("cub_200_2011"),
        ("train_test_split.txt, line 2",),
    ),
    Case(
        "CUB-200-2011: a picture is of no class",
        cub(edit(f"{CUB}/image_class_labels.txt", lambda labels: "".join(labels.splitlines(True)[1:]))),
        read("cub_200_2011"),
        ("image_class_labels.txt", "image_id 1"),
    ),
    Case(
        "WIDER Attribute: the annotations are cut off",
        wider(edit(WIDER.format("test"), lambda annotations: annotations[:500])),
        read("wider_attribute"),
        ("wider_attribute_test.json", "docs/data/wider_attribute.md"),
    ),
    Case(
        "WIDER Attribute: a person has too few attributes",
        wider(edit(WIDER.format("trainval"), one_attribute_less)),
        read("wider_attribute"),
        ("wider_attribute_trainval.json", "targets[0]"),
    ),
    Case(
        "ImageNet-100: the folder is another one",
        imagenet(lambda raw: shutil.rmtree(raw / "train")),
        IMAGENET,
        ("train", PAGE),
    ),
    Case(
        "ImageNet-100: a class has no pictures",
        imagenet(lambda raw: shutil.rmtree(raw / "train" / imagenet100.CLASSES[1])),
        IMAGENET,
        (f"train/{imagenet100.CLASSES[1]}", PAGE),
    ),
    Case(
        "ImageNet-100: WordNet goes in a circle",
        imagenet(edit("wordnet/wordnet.is_a.txt", lambda above: above + "n02084071 n00015388\n")),
        IMAGENET,
        ("wordnet.is_a.txt", "n02084071"),
    ),
    Case(
        "Released clusters: the table is that of another data set",
        released(lines(",path,class,label_gran_3", "0,Shoes/1.jpg,1,1", "1,Shoes/2.jpg,1,4")),
        join_clusters,
        ("meta_data_train.csv", "Shoes/1.jpg", "good.png"),
    ),
    Case(
        "Released clusters: the table has other columns",
        released(lines("picture,cluster", "good.png,1")),
        join_clusters,
        ("meta_data_train.csv", "'path'", "picture, cluster"),
    ),
    Case(
        "WIDER Attribute: an attribute has no name",
        wider(edit(WIDER.format("trainval"), lambda annotations: annotations.replace('"Hat"', '""'))),
        read("wider_attribute"),
        ("wider_attribute_trainval.json", "attribute_id_map", "3"),
    ),
    Case(
        "ImageNet-100: the development kit's table of synsets is cut off",
        devkit(lambda raw: (raw / META).write_bytes((raw / META).read_bytes()[:600])),
        IMAGENET,
        ("meta.mat", PAGE),
    ),
    Case(
        "ImageNet-100: the hierarchy is no WordNet's",
        imagenet(edit("wordnet/wordnet.is_a.txt", lambda above: above + CHAIN)),
        IMAGENET,
        ("wordnet.is_a.txt", "n02085620"),
    ),
]
