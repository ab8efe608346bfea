"""ImageNet-100: some classes of ILSVRC 2012 as downloaded (Russakovsky et al. 2015), with their place in WordNet."""

import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

import polars as pl
from pydantic import Field

from weakcl_pipeline.errors import InputError
from weakcl_pipeline.sources.base import Source
from weakcl_pipeline.sources.hold_out import held_out
from weakcl_pipeline.sources.matlab import read_structures
from weakcl_pipeline.sources.raw_files import existing, read_bytes
from weakcl_pipeline.sources.records import NUMBER, read_csv, read_records
from weakcl_pipeline.sources.wordnet import IS_A, WNID, WORDS, hierarchy

logger = logging.getLogger(__name__)

PAGE = "docs/data/imagenet100.md"
LAYOUTS = (PurePosixPath(), PurePosixPath("ILSVRC/Data/CLS-LOC"))
"""Where `train` and `val` are: as the archives of image-net.org are unpacked, and as in Kaggle's archive."""
SOLUTION = "LOC_val_solution.csv"
DEVKIT = PurePosixPath("ILSVRC2012_devkit_t12/data")
TRUTH, META = "ILSVRC2012_validation_ground_truth.txt", "meta.mat"

_LIMIT = 64 << 20
_PICTURE = re.compile(r"[\w.-]+\.jpe?g", re.ASCII | re.IGNORECASE)


class ImageNet100(Source):
    """Classes of ILSVRC 2012; `path` holds the folders `train` and `val`, or Kaggle's `ILSVRC/Data/CLS-LOC`.

    The pictures of `train` are in a folder per class. Those of `val`, which are the test split here, are so too, or all
    in one folder; then `path` holds their classes, as `LOC_val_solution.csv` (Kaggle's archive) or as the development
    kit, `ILSVRC2012_devkit_t12`.

    Attributes:
        path: The data set's folder.
        classes: File with a synset, such as `n02084071`, per line.
        wordnet: Folder with `wordnet.is_a.txt` and `words.txt`.
        validation_share: Share of `train` that is the validation split, by a hash of the picture's name.
    """

    path: Path
    classes: Path
    wordnet: Path
    validation_share: float = Field(default=0.02, gt=0, lt=1)

    def scan(self) -> pl.LazyFrame:
        """Return a row per picture of the classes, those of a class together.

        Columns: `sample_id` (the picture's name), `image` (path below `path`), `split`, `wnid`, `class` (first word and
        synset, `dog (n02084071)`), and `wordnet` (the way to the class in the hierarchy, the root first and the class
        itself last).

        Raises:
            InputError: A file or folder is missing or not as its format says; names the place.
        """
        wnids = _read_classes(self.classes)
        places = hierarchy(self.wordnet, wnids)
        base = self._base()
        test = list(self._test(base, wnids))
        if not test:
            raise InputError(
                f"{self.path / base / 'val'}: there are no pictures of the {len(wnids)} classes. See {PAGE}."
            )
        of_class = pl.DataFrame(
            {"wnid": wnids, "class": [places[wnid][-1] for wnid in wnids], "wordnet": [places[wnid] for wnid in wnids]},
            schema={"wnid": pl.String, "class": pl.String, "wordnet": pl.List(pl.String)},
        )
        pictures = pl.concat([*self._train(base, wnids), *test])
        return pictures.lazy().join(of_class.lazy(), on="wnid", how="left", maintain_order="left")

    def files(self) -> Mapping[str, Path]:
        """Return the files of classes, WordNet and, where it is in files, of the classes of `val`."""
        truth = self._truth(self._base()) or ()
        files = {"classes": self.classes} | {
            file.name: file for file in (self.wordnet / IS_A, self.wordnet / WORDS, *truth)
        }
        return {name: existing(file) for name, file in files.items()}

    def _base(self) -> PurePosixPath:
        for base in LAYOUTS:
            if (self.path / base / "train").is_dir():
                return base
        looked_for = " nor ".join((base / "train").as_posix() for base in LAYOUTS)
        raise InputError(f"{self.path}: there is no folder {looked_for} in it. {PAGE} says what belongs there.")

    def _truth(self, base: PurePosixPath) -> list[Path] | None:
        """Return the files that give the classes of `val`; none where it has a folder per class."""
        folder = self.path / base / "val"
        if any(entry.is_dir() and re.fullmatch(WNID, entry.name) for entry in _entries(folder)):
            return None
        solution, devkit = self.path / SOLUTION, [self.path / DEVKIT / name for name in (TRUTH, META)]
        if solution.is_file():
            return [solution]
        if all(file.is_file() for file in devkit):
            return devkit
        raise InputError(
            f"{folder}: has no folder per class, and neither {solution} is there nor {devkit[0]} with {META}, which say"
            f" what classes the pictures have. See {PAGE}."
        )

    def _train(self, base: PurePosixPath, wnids: Sequence[str]) -> Iterator[pl.DataFrame]:
        for wnid in wnids:
            pictures = self._of_class(base / "train", wnid)
            held = pl.Series(held_out(pictures["sample_id"], self.validation_share))
            split = pl.select(pl.when(held).then(pl.lit("val")).otherwise(pl.lit("train"))).to_series()
            yield pictures.with_columns(split=split)

    def _test(self, base: PurePosixPath, wnids: Sequence[str]) -> Iterator[pl.DataFrame]:
        truth = self._truth(base)
        if truth is None:
            found = [self._of_class(base / "val", wnid) for wnid in wnids]
        else:
            flat = _pictures(self.path, base / "val")
            classes = _read_solution(*truth) if len(truth) == 1 else _read_devkit(*truth)
            unknown = flat.filter(~pl.col("sample_id").is_in(list(classes)))
            if unknown.height:
                raise InputError(f"{truth[0]}: has no class for {self.path / unknown['image'][0]}. See {PAGE}.")
            labelled = flat.with_columns(wnid=pl.col("sample_id").replace_strict(classes, return_dtype=pl.String))
            found = labelled.filter(pl.col("wnid").is_in(wnids)).partition_by("wnid", maintain_order=True)
        for pictures in found:
            yield pictures.with_columns(split=pl.lit("test"))

    def _of_class(self, folder: PurePosixPath, wnid: str) -> pl.DataFrame:
        pictures = _pictures(self.path, folder / wnid)
        if pictures.is_empty():
            raise InputError(f"{self.path / folder / wnid}: there are no pictures. See {PAGE}.")
        return pictures.with_columns(wnid=pl.lit(wnid))


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError as error:
        raise InputError(f"{folder}: this folder cannot be read: {error.strerror}. See {PAGE}.") from error


def _pictures(root: Path, folder: PurePosixPath) -> pl.DataFrame:
    """Return a folder's pictures by name, `sample_id` and `image`; other files are told of and left."""
    names: list[str] = []
    others: list[str] = []
    for entry in _entries(root / folder):
        (names if _PICTURE.fullmatch(entry.name) and entry.is_file() else others).append(entry.name)
    if others:
        logger.warning(
            "%s: left out %d files that are no pictures, such as %r", root / folder, len(others), min(others)
        )
    names.sort()
    return pl.DataFrame(
        {"sample_id": [name.rpartition(".")[0] for name in names], "image": [f"{folder}/{name}" for name in names]},
        schema={"sample_id": pl.String, "image": pl.String},
    )


def _read_classes(file: Path) -> list[str]:
    records = read_records(file, {"wnid": WNID})
    records.check_unique("wnid")
    if records.rows.height < 2:
        raise InputError(f"{file}: has {records.rows.height} classes; at least two are needed.")
    return records["wnid"].to_list()


def _read_solution(file: Path) -> dict[str, str]:
    """Return picture -> class from Kaggle's table, whose second column is a class and a box, again and again."""
    records = read_csv(file, ["ImageId", "PredictionString"])
    records.check_unique("ImageId")
    wnids = records["PredictionString"].str.extract(f"^({WNID}) ")
    wrong = records.rows.filter(wnids.is_null())
    if wrong.height:
        text = wrong["PredictionString"][0]
        raise InputError(f"{file}, line {wrong['line'][0]}: expected a synset and a box, found {text[:80]!r}.")
    return dict(zip(records["ImageId"], wnids, strict=True))


def _read_devkit(truth: Path, meta: Path) -> dict[str, str]:
    """Return picture -> class: line n has the number of the class of picture n, and `meta.mat` the classes' synsets."""
    records, synsets = read_records(truth, {"number": NUMBER}), _read_meta(meta)
    unknown = ~records["number"].is_in(list(synsets))
    if unknown.any():
        number, line = records.rows.filter(unknown).row(0)
        raise InputError(f"{truth}, line {line}: {meta} has no class of the number {number}.")
    return {
        f"ILSVRC2012_val_{position:08d}": synsets[number] for position, number in enumerate(records["number"], start=1)
    }


def _read_meta(file: Path) -> dict[int, str]:
    """Return class number -> synset."""
    content = read_bytes(file, _LIMIT)
    try:
        synsets = read_structures(content, "synsets", ["ILSVRC2012_ID", "WNID"])
        return {int(number): str(wnid) for number, wnid in synsets}
    except (ValueError, OverflowError) as error:  # the second is of an infinite number
        raise InputError(f"{file}: not the table of synsets of the development kit: {error}. See {PAGE}.") from error
