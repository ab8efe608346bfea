"""UT-Zappos50K: 50,025 catalogue pictures of shoes, with what the shop said of each.

Yu and Grauman, "Fine-Grained Visual Comparisons with Local Learning" (CVPR 2014).
"""

import logging
import re
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

import polars as pl
from pydantic import Field

from weakcl_pipeline.errors import InputError
from weakcl_pipeline.sources.base import Source
from weakcl_pipeline.sources.hold_out import held_out
from weakcl_pipeline.sources.raw_files import existing
from weakcl_pipeline.sources.records import Records, read_csv

logger = logging.getLogger(__name__)

_ENUMS = ("HeelHeight", "Insole", "Closure", "Gender", "Material", "ToeStyle")
"""Columns that may be empty, or hold several values with semicolons between them."""
_META_DATA = "ut-zap50k-data/meta-data.csv"
_CID = "([0-9]+)-([0-9]+)"
_PICTURE = re.compile(r"([0-9]+)\.([0-9]+)\.jpg")


class UtZappos50K(Source):
    """UT-Zappos50K; `path` is where its archives were unpacked: the folder ut-zap50k-data, and one of pictures.

    Attributes:
        images: The folder of pictures: 136 x 136 pixels, or 136 x 102.
        blank: What an empty cell means: nothing is known, or the shoe has none of the values (as the zeros in
            meta-data-bin.csv say).
        released_split: Folder with meta_data_train.csv and meta_data_val.csv of the Cl-InfoNCE paper's code, whose
            second becomes the test split; without it, the test split is drawn.
        test_share: The share of the products (a shoe in all its colours) that is drawn for the test split.
        val_share: The share of the products that is drawn from what is left for the validation split.
    """

    path: Path
    images: Literal["ut-zap50k-images-square", "ut-zap50k-images"] = "ut-zap50k-images-square"
    blank: Literal["missing", "none of them"] = "missing"
    released_split: Path | None = None
    test_share: float = Field(default=0.3, ge=0, lt=1)
    val_share: float = Field(default=0.1, ge=0, lt=1)

    def scan(self) -> pl.LazyFrame:
        """Return the raw table: one row per shoe, in the order of meta-data.csv.

        Columns: those of meta-data.csv, the last six as lists; `image` (path below `path`; null where there is no
        picture), `type` (the two folders of the picture, e.g. `Shoes/Oxfords`: the paper's classes), `brand` (the
        third folder), `product` and `split`.

        Raises:
            InputError: A file is missing, a row is not of its form, or tables and pictures do not fit together.
        """
        table = read_csv(self.path / _META_DATA, ("CID", "Category", "SubCategory", *_ENUMS))
        _check_cids(table)
        products = table["CID"].str.extract(f"^{_CID}$", 1)
        test = _drawn("test", products, self.test_share) if self.released_split is None else self._released_test(table)
        val = _drawn("val", products, self.val_share)
        shoes = table.rows.drop("line").with_columns(
            *map(self._listed, _ENUMS),
            product=products,
            split=pl.when(test)
            .then(pl.lit("test"))
            .otherwise(pl.when(val).then(pl.lit("val")).otherwise(pl.lit("train"))),
        )
        shoes = shoes.join(self._pictures(), on="CID", how="left", maintain_order="left")
        if shoes["image"].null_count() == shoes.height > 0:
            raise InputError(
                f"{self.path / self.images}: there is no picture of any shoe in {table.file}. Unpack the pictures"
                " there, so that they lie like Shoes/Oxfords/Bostonian/100627.72.jpg."
            )
        return shoes.lazy()

    def files(self) -> dict[str, Path]:
        """Return meta-data.csv, and the tables of the released split."""
        return {file.name: existing(file) for file in (self.path / _META_DATA, *self._split_tables())}

    def _split_tables(self) -> list[Path]:
        if self.released_split is None:
            return []
        return [self.released_split / name for name in ("meta_data_train.csv", "meta_data_val.csv")]

    def _listed(self, column: str) -> pl.Expr:
        values = pl.col(column).str.split(";").list.eval(pl.element().str.strip_chars())
        values = values.list.eval(pl.element().filter(pl.element() != ""))
        return pl.when(values.list.len() > 0).then(values) if self.blank == "missing" else values

    def _released_test(self, table: Records) -> pl.Series:
        train, test = (_cids_of(file) for file in self._split_tables())
        for listed in (train, test):
            listed.check_unique("CID")
            listed.check_known("CID", table)
        both = test.rows.join(train.rows, on="CID")
        if both.height:
            raise InputError(
                f"{test.file}, line {both['line'][0]}: shoe {both['CID'][0]} is in {train.file} too, line"
                f" {both['line_right'][0]}. Take both files from the same download."
            )
        Records(train.file, pl.concat([train.rows, test.rows])).check_complete("CID", table)
        return table["CID"].is_in(test["CID"].implode())

    def _pictures(self) -> pl.DataFrame:
        """`CID`, `image`, `type` and `brand` of every picture that is there."""
        root = self.path / self.images
        if not root.is_dir():
            raise InputError(
                f"{root}: there is no such folder. Unpack {self.images}.zip there, or correct the catalog."
            )
        found: dict[str, tuple[str, str, str]] = {}
        for file in sorted(root.glob("*/*/*/*.jpg")):
            category, subcategory, brand, name = file.relative_to(root).parts
            numbers = _PICTURE.fullmatch(name)
            if numbers is None:
                logger.warning("%s: no picture of a shoe, whose names are like 100627.72.jpg", file)
                continue
            cid = "-".join(numbers.groups())
            image = file.relative_to(self.path).as_posix()
            if cid in found:
                raise InputError(f"{self.path}: shoe {cid} has two pictures, {found[cid][0]} and {image}. Remove one.")
            # On the disk, a last dot of a brand is %2E, since Windows has no folders that end with a dot.
            found[cid] = image, f"{category}/{subcategory}", unquote(brand)
        try:
            rows = [(cid, *picture) for cid, picture in found.items()]
            return pl.DataFrame(rows, dict.fromkeys(("CID", "image", "type", "brand"), pl.String), orient="row")
        except UnicodeEncodeError as error:
            raise InputError(f"{root}: the name of a folder, {error.object!r}, is not in UTF-8. Rename it.") from error


def _drawn(split: str, products: pl.Series, share: float) -> pl.Series:
    """Draw about a share of the products; the draws for two splits are independent."""
    return pl.Series(held_out((f"{split} {product}" for product in products), share), dtype=pl.Boolean)


def _check_cids(table: Records) -> None:
    wrong = table.rows.filter(~pl.col("CID").str.contains(f"^{_CID}$"))
    if wrong.height:
        raise InputError(
            f"{table.file}, line {wrong['line'][0]}: column CID: expected <product>-<colour>, such as 100627-72, found"
            f" '{wrong['CID'][0]}'."
        )
    table.check_unique("CID")


def _cids_of(file: Path) -> Records:
    """The shoes in one of the released tables, whose last row, numbered -1, counts the clusters instead."""
    rows = read_csv(file, ("", "path")).rows.filter(pl.col("") != "-1")
    numbers = pl.col("path").str.extract_groups(r"/(?P<product>[0-9]+)\.(?P<colour>[0-9]+)\.jpg$").struct
    rows = rows.with_columns(CID=numbers.field("product") + "-" + numbers.field("colour"))
    wrong = rows.filter(pl.col("CID").is_null())
    if wrong.height:
        raise InputError(
            f"{file}, line {wrong['line'][0]}: column path: expected a picture, such as"
            f" Shoes/Oxfords/Bostonian/100627.72.jpg, found '{wrong['path'][0]}'."
        )
    return Records(file, rows.select("line", "CID"))
