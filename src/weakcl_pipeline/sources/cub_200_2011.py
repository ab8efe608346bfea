"""CUB-200-2011: 11,788 pictures of 200 species of birds, each looked at for 312 attributes.

Wah et al., "The Caltech-UCSD Birds-200-2011 Dataset" (CNS-TR-2011-001, 2011).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field

from weakcl_pipeline.errors import InputError
from weakcl_pipeline.sources.base import Source
from weakcl_pipeline.sources.hold_out import held_out
from weakcl_pipeline.sources.raw_files import existing
from weakcl_pipeline.sources.records import FLAG, NUMBER, TEXT, Records, read_records

_FOLDER = "CUB_200_2011"
_MORE_NUMBERS = r"(\s+[0-9.eE+-]+){1,3}"
"""After the certainty: the time. The official file has a zero before it in 606 lines (images 2275 and 9364)."""


class Cub200(Source):
    """CUB-200-2011; `path` is where CUB_200_2011.tgz was unpacked, or the folder CUB_200_2011 itself.

    Attributes:
        certainty: The lowest certainty with which an attribute counts as looked at; below it, it is missing.
        val_share: The share of the official train split that becomes the validation split, which it does not have.
    """

    path: Path
    certainty: Literal["not visible", "guessing", "probably", "definitely"] = "guessing"
    val_share: float = Field(default=0.1, ge=0, lt=1)

    def scan(self) -> pl.LazyFrame:
        """Return the raw table: one row per picture, in the order of images.txt.

        Columns: `image_id`, `image` (path below `path`), `class` (e.g. `001.Black_footed_Albatross`), `split`, and a
        nullable Boolean for each attribute (e.g. `has_bill_shape::dagger`).

        Raises:
            InputError: A file is missing, a line is not of its form, or the files do not fit together.
        """
        self.files()  # all there, before any is read
        images = self._read("images.txt", {"image_id": NUMBER, "name": TEXT})
        images.check_unique("image_id")
        images.check_unique("name")
        pictures = self._pictures(images)
        return pictures.hstack(self._attributes(images, pictures.columns)).lazy()

    def files(self) -> dict[str, Path]:
        """Return the seven tables."""
        names = ("images.txt", "classes.txt", "image_class_labels.txt", "train_test_split.txt")
        in_attributes = ("attributes.txt", "certainties.txt", "image_attribute_labels.txt")
        wanted = (*names, *map("attributes/{}".format, in_attributes))
        return {name: existing(self._file(name)) for name in wanted}

    def _pictures(self, images: Records) -> pl.DataFrame:
        classes = self._read("classes.txt", {"class_id": NUMBER, "class": TEXT})
        classes.check_unique("class_id")
        labels = self._read("image_class_labels.txt", {"image_id": NUMBER, "class_id": NUMBER})
        splits = self._read("train_test_split.txt", {"image_id": NUMBER, "is_training": FLAG})
        for records in (labels, splits):
            records.check_known("image_id", images)
            records.check_unique("image_id")
            records.check_complete("image_id", images)
        labels.check_known("class_id", classes)

        folder = (self._base().relative_to(self.path) / "images").as_posix()
        val = pl.Series(held_out(images["image_id"].cast(pl.String), self.val_share), dtype=pl.Boolean)
        train = pl.when(val).then(pl.lit("val")).otherwise(pl.lit("train"))
        return (
            images.rows.join(labels.rows.drop("line"), on="image_id", maintain_order="left")
            .join(splits.rows.drop("line"), on="image_id", maintain_order="left")
            .join(classes.rows.drop("line"), on="class_id", maintain_order="left")
            .with_columns(
                (pl.lit(f"{folder}/") + pl.col("name")).alias("image"),
                pl.when(pl.col("is_training") == 1).then(train).otherwise(pl.lit("test")).alias("split"),
            )
            .select("image_id", "image", "class", "split")
        )

    def _attributes(self, images: Records, taken: Sequence[str]) -> list[pl.Series]:
        """A nullable Boolean column per attribute, in the order of the pictures."""
        names = self._read("attributes/attributes.txt", {"attribute_id": NUMBER, "attribute": TEXT})
        names.check_unique("attribute_id")
        names.check_unique("attribute")
        clash = names.rows.filter(pl.col("attribute").is_in(list(taken)))
        if clash.height:
            raise InputError(
                f"{names.file}, line {clash['line'][0]}: an attribute cannot be called {clash['attribute'][0]}."
            )
        fields = {"image_id": NUMBER, "attribute_id": NUMBER, "is_present": FLAG, "certainty_id": NUMBER}
        seen = self._read("attributes/image_attribute_labels.txt", fields, _MORE_NUMBERS)
        seen.check_known("image_id", images)
        seen.check_known("attribute_id", names)
        lowest = self._lowest_certainty(seen)
        seen.check_unique("image_id", "attribute_id")
        _check_all_attributes(seen, images, names)

        place = _places(seen["image_id"], images["image_id"]) * names.rows.height
        place += _places(seen["attribute_id"], names["attribute_id"])
        shape = (images.rows.height, names.rows.height)
        present, unknown = np.empty(shape, np.bool_), np.empty(shape, np.bool_)
        present.reshape(-1)[place] = seen["is_present"].to_numpy()
        unknown.reshape(-1)[place] = (seen["certainty_id"] < lowest).to_numpy()
        return [
            pl.Series(name, present[:, at]).set(pl.Series(unknown[:, at]), None)
            for at, name in enumerate(names["attribute"])
        ]

    def _lowest_certainty(self, seen: Records) -> int:
        """The id of `certainty`; ids rise with it."""
        certainties = self._read("attributes/certainties.txt", {"certainty_id": NUMBER, "certainty": TEXT})
        certainties.check_unique("certainty_id")
        certainties.check_unique("certainty")
        seen.check_known("certainty_id", certainties)
        found = certainties.rows.filter(pl.col("certainty") == self.certainty)
        if not found.height:
            raise InputError(
                f"{certainties.file}: there is no certainty '{self.certainty}', which `certainty` of raw_samples in the"
                f" catalog asks for; there are: {', '.join(certainties['certainty'])}."
            )
        return int(found["certainty_id"][0])

    def _read(self, name: str, fields: Mapping[str, str], rest: str = "") -> Records:
        return read_records(self._file(name), fields, rest)

    def _file(self, name: str) -> Path:
        """Where a table is. The names of the attributes lie outside the folder in the official archive."""
        file = self._base() / name
        others = [folder / file.name for folder in (self.path, self._base())] if file.name == "attributes.txt" else []
        return next((place for place in (file, *others) if place.is_file()), file)

    def _base(self) -> Path:
        inside = self.path / _FOLDER
        return inside if inside.is_dir() else self.path


def _check_all_attributes(seen: Records, images: Records, names: Records) -> None:
    """Check that each picture was looked at for each attribute, given that no pair is there twice."""
    if seen.rows.height == images.rows.height * names.rows.height:
        return
    counts = images.rows.select("image_id").join(
        seen.rows.group_by("image_id").len("attributes"), on="image_id", how="left", maintain_order="left"
    )
    short = counts.with_columns(pl.col("attributes").fill_null(0)).filter(pl.col("attributes") < names.rows.height)
    raise InputError(
        f"{seen.file}: image_id {short['image_id'][0]} has lines for {short['attributes'][0]} of the"
        f" {names.rows.height} attributes in {names.file}. The file may be cut off; download it again."
    )


def _places(ids: pl.Series, known: pl.Series) -> npt.NDArray[np.int64]:
    """Where each id is among the known ones."""
    order = known.arg_sort().to_numpy().astype(np.int64)
    return order[np.searchsorted(known.to_numpy()[order], ids.to_numpy())]
