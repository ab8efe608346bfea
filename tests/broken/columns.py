"""Columns and cells."""

from datetime import timedelta

import polars as pl

from tests.broken.case import Case, ingest, picture, rows, table


def cells(*values, **spec):
    """Return a table with a column `note` of these values, and what reads it as an attribute of this kind."""
    return table(rows(len(values), note=list(values))), ingest(
        "table.parquet", ingestion={"attributes": {"note": spec}}
    )


def roles(**ingestion):
    return ingest("table.parquet", ingestion=ingestion)


def boxed(*left):
    sides = dict.fromkeys(("top", "width", "height"), [4] * len(left))
    return table(rows(len(left), left=list(left), **sides)), roles(box_columns=["left", "top", "width", "height"])


CASES = [
    Case(
        "A column is misspelt in the parameters",
        table(rows(colour=["red"] * 6)),
        roles(attributes={"color": {"kind": "categorical"}}),
        ("raw_samples", "'color'", "ingestion.attributes.color", "'colour'"),
    ),
    Case(
        "Two rows have the same id",
        table(rows().with_columns(id=pl.Series(["p0", "p1", "p2", "p1", "p4", "p5"]))),
        roles(),
        ("'id'", "'p1' in rows 1, 3"),
    ),
    Case(
        "A row has no id",
        table(rows().with_columns(id=pl.Series(["p0", "", "p2", "p3", None, "p5"]))),
        roles(),
        ("'id'", "rows 1, 4"),
    ),
    Case(
        "A list stands where a word is expected",
        table(rows(kind=[["cat"]] * 6)),
        roles(labels=["kind"]),
        ("'kind'", "ingestion.labels"),
    ),
    Case(
        "The picture column holds numbers",
        table(rows().with_columns(file=pl.Series([float(i) for i in range(6)]))),
        roles(),
        ("'file'", "ingestion.image_column"),
    ),
    Case(
        "The picture column holds objects",
        table(rows().with_columns(file=pl.Series([{"content": picture(), "path": "0.png"}] * 6))),
        roles(),
        ("'file'", "ingestion.image_column", "content, path"),
    ),
    Case(
        "An id is a span of time",
        table(rows().with_columns(id=pl.Series([timedelta(i) for i in range(6)]))),
        roles(),
        ("'id'", "ingestion.id_column"),
        remedy="Write it as text or as a number.",
    ),
    Case(
        "A yes/no column holds another word",
        *cells("yes", "no", "perhaps", "no", "yes", "no", kind="bool"),
        ("'note'", "row 2"),
    ),
    Case("A yes/no column holds nothing but a mark", *cells("x", "", "x", "", "x", "", kind="bool"), ("'note'",)),
    Case(
        "A column of numbers holds a word",
        *cells("1.5", "2", "many", "3", "4", "5", kind="continuous"),
        ("'note'", "row 2"),
    ),
    Case(
        "Numbers can be read in two ways",
        *cells("1,234", "2,500", "3,125", "1,000", "2,000", "9,999", kind="continuous"),
        ("'note'", "decimal"),
    ),
    Case(
        "Dates can be read in two ways",
        *cells("01/02/2026", "03/04/2026", "05/06/2026", "07/08/2026", "09/10/2026", "11/12/2026", kind="continuous"),
        ("'note'", "date_format"),
    ),
    Case(
        "There is no such date",
        *cells(
            "2026-02-27",
            "2026-02-28",
            "2026-02-29",
            "2026-03-01",
            "2026-03-02",
            "2026-03-03",
            kind="continuous",
            date_format="%Y-%m-%d",
        ),
        ("'note'", "row 2"),
    ),
    Case(
        "Years have two digits",
        *cells("31.12.99", "01.01.00", "15.06.24", "16.06.24", "17.06.24", "18.06.24", kind="continuous"),
        ("'note'", "row 0", "date_format"),
    ),
    Case(
        "Tags have no separator",
        *cells("red, small", "blue", "red", "", "blue, large", "red", kind="tags"),
        ("'note'", "separator"),
    ),
    Case(
        "A JSON list of tags is cut off",
        *cells('["red", "small"]', '["blue"', "[]", "[]", "[]", "[]", kind="tags"),
        ("'note'", "row 1"),
    ),
    Case(
        "A path in a hierarchy has a gap",
        *cells("land/forest", "land//taiga", "sea", "sea", "land", "land", kind="hierarchy", separator="/"),
        ("'note'", "row 1"),
    ),
    Case(
        "A level of a hierarchy is missing above one that is there",
        table(
            rows(
                order=["cats", None, "cats", "dogs", "dogs", "dogs"],
                family=["big", "small", None, "wild", "wild", "wild"],
            )
        ),
        roles(attributes={"taxon": {"kind": "hierarchy", "levels": ["order", "family"]}}),
        ("'order'", "row 1", "ingestion.attributes.taxon.levels"),
    ),
    Case(
        "Vectors have different lengths",
        *cells(*[[0.5, 0.5]] * 3, [0.5], [1.0, 0.0], [0.0, 1.0], kind="vector"),
        ("'note'", "row 3"),
    ),
    Case(
        "A vector holds a word",
        *cells("[1, 2]", "[1, two]", "[3, 4]", "[1, 1]", "[2, 2]", "[0, 1]", kind="vector"),
        ("'note'", "row 1"),
    ),
    Case("A box has three of four numbers", *boxed(0, 0, None, 0, 0, 0), ("left", "row 2", "ingestion.box_columns")),
    Case(
        "A box is given in words", *boxed("0", "0", "0", "0", "0", "0 px"), ("'left'", "row 5", "ingestion.box_columns")
    ),
    Case(
        "An attribute is called like a column of samples",
        table(rows(image=list("abcabc"))),
        roles(attributes={"image": {"kind": "categorical"}}),
        ("'image'",),
    ),
    Case(
        "A column gives the label away",
        table(rows(14, species=["cat", "dog"] * 7, folder=["animals_1", "animals_2"] * 7)),
        roles(labels=["species"], attributes={"folder": {"kind": "categorical"}}),
        ("folder", "species", "allow_leak"),
    ),
    Case(
        "Tags name the classes",
        table(
            rows(
                60,
                species=["cat", "dog", "owl"] * 20,
                words=[[["feline"], ["canine"], ["avian", "wild"]][row % 3] for row in range(60)],
            )
        ),
        roles(labels=["species"], attributes={"words": {"kind": "tags", "exclude": ["avian", "wild"]}}),
        ("words=canine, words=feline", "species", "exclude"),
    ),
    Case(
        "A column of an undeclared attribute has a type that nothing can be made of",
        table(rows(thumbnail=[picture()] * 6)),
        roles(undeclared="infer"),
        ("'thumbnail'", "ingestion.ignore"),
    ),
]
