"""Splits and labels."""

import polars as pl

from tests.broken.case import Case, ingest, nothing, rows, table
from tests.broken.parameters import parameters

SPECIES = ["cat", "dog", "cat", "dog", "cat", "dog"]


def split(*values):
    return table(rows(species=SPECIES).with_columns(split=pl.Series(values)))


def roles(**ingestion):
    return ingest("table.parquet", ingestion={"labels": ["species"], **ingestion})


CASES = [
    Case(
        "A split has another name",
        split("train", "train", "train", "dev", "val", "test"),
        roles(),
        ("'split'", "'dev'", "row 3"),
    ),
    Case("Nothing is in the train split", split("val", "val", "val", "val", "val", "test"), roles(), ("train",)),
    Case("Nothing is in the test split", split("train", "train", "train", "val", "val", "val"), roles(), ("test",)),
    Case(
        "Photos of one object are in several splits",
        table(rows(species=SPECIES, animal=["Tom", "Rex", "Kit", "Ace", "Tom", "Bo"])),
        roles(group_column="animal"),
        ("'animal'", "'Tom'", "ingestion.group_column"),
    ),
    Case(
        "A label has one value", table(rows(species=["cat"] * 6)), roles(), ("'species'", "'cat'", "ingestion.labels")
    ),
    Case(
        "No test picture has a label",
        table(rows(species=[*SPECIES[:5], "?"])),
        roles(),
        ("'species'", "test"),
    ),
    Case(
        "The shares of the splits do not add up",
        nothing,
        parameters(ingestion={"split_column": None, "split": {"train": 0.8, "val": 0.2, "test": 0.2}}),
        ("ingestion.split", "1.2"),
    ),
    Case(
        "Splits are both given and made",
        nothing,
        parameters(ingestion={"split": {"stratify": "group"}}),
        ("ingestion", "split_column"),
    ),
    Case(
        "A label is listed twice",
        nothing,
        parameters(ingestion={"labels": ["group", "subgroup", "group"]}),
        ("ingestion", "labels"),
    ),
]
