"""Readers of official formats, from the small data sets of the tests to the sample table."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from tests.fuzz.trial import Target
from tests.sources.official import cub_200_2011, imagenet100, ut_zappos50k, wider_attribute
from weakcl_pipeline.sources import SOURCES, IngestionConfig, ReleasedClusters, read_samples
from weakcl_pipeline.sources.wordnet import hierarchy


def read_sample_table(raw: pl.LazyFrame, **roles: Any) -> None:
    """Read a raw table to the sample table, with its attributes."""
    given = {"split_column": "split", "undeclared": "infer", "leak_tolerance": 0} | roles
    read_samples(raw, IngestionConfig.model_validate(given))[0].collect()


def _official(name: str, roles: dict[str, Any], **options: Any) -> Callable[[Path], None]:
    """Return what reads an official data set to the sample table."""

    def read(folder: Path) -> None:
        within = {key: folder / value for key, value in options.items() if isinstance(value, Path)}
        source = SOURCES[name](path=folder, **(options | within))
        source.files()
        read_sample_table(source.scan(), **roles)

    return read


def _wider(folder: Path) -> None:
    roles = {
        "id_column": "sample_id",
        "image_column": "image",
        "box_columns": ("left", "top", "width", "height"),
        "labels": ("event",),
        "group_column": "image",
    }
    for pictures in ("whole", "person"):
        _official("wider_attribute", roles, pictures=pictures)(folder)


def _imagenet(layout: str) -> Callable[[Path], object]:
    return lambda folder: imagenet100.make(folder, layout, train=3, val=1)


_READ_IMAGENET = _official(
    "imagenet100",
    {
        "id_column": "sample_id",
        "image_column": "image",
        "labels": ("class",),
        "attributes": {"wordnet": {"kind": "hierarchy", "min_count": 1, "allow_leak": True}},
        "ignore": ("wnid",),
    },
    classes=Path("classes.txt"),
    wordnet=Path("wordnet"),
    validation_share=0.3,
)


def _make_wordnet(folder: Path) -> None:
    (folder / "wordnet.is_a.txt").write_text(imagenet100.IS_A)
    (folder / "words.txt").write_text(imagenet100.WORDS)


def _make_zappos(folder: Path) -> None:
    _, places = ut_zappos50k.make_zappos(folder, products=8)
    ut_zappos50k.make_released_split(folder / "released", places)


def _read_zappos(folder: Path) -> None:
    lists = {name: {"kind": "tags", "min_count": 1, "allow_leak": True} for name in ut_zappos50k.VALUES}
    roles = {
        "id_column": "CID",
        "image_column": "image",
        "labels": ("type",),
        "attributes": lists,
        "undeclared": "ignore",
    }
    for released in (None, folder / "released"):
        _official("ut_zappos50k", roles, released_split=released, val_share=0.6)(folder)


def _make_released(folder: Path) -> None:
    (folder / "meta_data_train.csv").write_text(
        ",path,class,label_gran_3,label_gran_5\n"
        "0,Shoes/Flats/a/1.jpg,1,1,4\n3,Shoes/Flats/a/2.jpg,1,2,4\n4,Boots/b/1.jpg,2,1,0\n-1,num_per_label_gran,2,3,5\n"
    )


def _read_released(folder: Path) -> None:
    images = ["x/Shoes/Flats/a/1.jpg", "x/Shoes/Flats/a/2.jpg", "x/Boots/b/1.jpg", "x/Boots/c/1.jpg", None, "d/3.jpg"]
    raw = pl.LazyFrame({"id": range(6), "image": images, "split": ["train", "train", "train", "val", "test", "train"]})
    clusters = ReleasedClusters(path=folder / "meta_data_train.csv")
    clusters.files()
    read_sample_table(clusters.join(raw), id_column="id", image_column="image")


TARGETS: dict[str, Target] = {
    "cub_200_2011": Target(
        make=lambda folder: cub_200_2011.make_cub(folder, per_class=3),
        read=_official(
            "cub_200_2011", {"id_column": "image_id", "image_column": "image", "labels": ("class",)}, val_share=0.3
        ),
        files=("attributes.txt", "CUB_200_2011/*.txt", "CUB_200_2011/attributes/*.txt"),
        words=(b"1 1 1 4 0 1.0", b"class", b"image_id", b"1 guessing"),
    ),
    "ut_zappos50k": Target(
        make=_make_zappos,
        read=_read_zappos,
        files=("ut-zap50k-data/*.csv", "released/*.csv", "ut-zap50k-images-square/Boots/*/*/*.jpg"),
        words=(b"100627-72", b"Shoes;Boots", b"-1", b"CID", b"100627.72.jpg", b"%2E"),
    ),
    "wider_attribute": Target(
        make=lambda folder: wider_attribute.make(folder, 2, 1, 1),
        read=_wider,
        files=("wider_attribute_annotation/*.json",),
        words=(b'"bbox": [1,2,3,4]', b'"images"', b"NaN", b"1E999", b"train/", b'"\\ud800"', b"sample_id"),
    ),
    "imagenet100_folders": Target(
        make=_imagenet("folders"),
        read=_READ_IMAGENET,
        files=("classes.txt", "wordnet/*.txt", "train/*/*.JPEG", "val/*/*.JPEG"),
        words=(b"n02012849", b".jpeg"),
    ),
    "imagenet100_kaggle": Target(
        make=_imagenet("kaggle"),
        read=_READ_IMAGENET,
        files=("LOC_val_solution.csv", "ILSVRC/Data/CLS-LOC/val/*.JPEG"),
        words=(b"ImageId", b"PredictionString", b"n02012849 1 2 3 4"),
    ),
    "imagenet100_devkit": Target(
        make=_imagenet("devkit"),
        read=_READ_IMAGENET,
        files=("ILSVRC2012_devkit_t12/data/*",),
        words=(b"synsets", b"ILSVRC2012_ID", b"WNID"),
    ),
    "wordnet": Target(
        make=_make_wordnet,
        read=lambda folder: hierarchy(folder, imagenet100.CLASSES),
        files=("*.txt",),
        words=(b"n02012849", b"n00001740 n00001930\n", b"n02012849\tcrane\n"),
    ),
    "released_clusters": Target(
        make=_make_released, read=_read_released, files=("*.csv",), words=(b"label_gran_3", b"path", b"-1", b"a/1.jpg")
    ),
}
