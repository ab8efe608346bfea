"""WIDER Attribute as downloaded (Li et al., "Human Attribute Recognition by Deep Hierarchical Contexts", ECCV 2016)."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Literal, TypeVar

import polars as pl
from pydantic import BaseModel, FiniteFloat, ValidationError

from weakcl_pipeline.errors import InputError, some_lines
from weakcl_pipeline.sources.base import Source
from weakcl_pipeline.sources.raw_files import existing, read_bytes

PAGE = "docs/data/wider_attribute.md"
FOLDER = "wider_attribute_annotation"
FILES = {
    "wider_attribute_trainval.json": ("train", "val"),
    "wider_attribute_test.json": ("test",),
}
"""Annotation file -> the splits that it holds, which are the first folders of its pictures' paths."""
BOX = ("left", "top", "width", "height")
COLUMNS = ("sample_id", "image", "split", "event", *BOX)
"""What the raw table has beside the attributes."""

_LIMIT = 256 << 20

T = TypeVar("T")


class Target(BaseModel):
    """A person.

    Attributes:
        attribute: 1 has it, -1 has it not, 0 unspecified; in the order of the attributes' ids.
        bbox: Left, top, width and height in pixels.
    """

    attribute: list[Literal[-1, 0, 1]]
    bbox: tuple[FiniteFloat, FiniteFloat, FiniteFloat, FiniteFloat]


class Picture(BaseModel):
    """A picture with its people.

    Attributes:
        file_name: Path below `Image/`: split, event and name.
        scene_id: The event.
        targets: The people.
    """

    file_name: str
    scene_id: int
    targets: list[Target]


class Annotations(BaseModel):
    """One of the two annotation files.

    Attributes:
        images: The pictures.
        attribute_id_map: Position of an attribute in `Target.attribute` -> its name.
        scene_id_map: Event -> its name.
    """

    images: list[Picture]
    attribute_id_map: dict[str, str]
    scene_id_map: dict[str, str]


class WiderAttribute(Source):
    """WIDER Attribute; `path` holds the folders `wider_attribute_annotation` and `Image`.

    Attributes:
        path: The data set's folder.
        pictures: Whether a sample is a `whole` picture, as in the tables that were released with Cl-InfoNCE, or a
            `person`: the box of one person in a picture, with that person's attributes.
        unspecified: Whether an attribute that the annotators left open is `missing`, or taken as `absent`.
    """

    path: Path
    pictures: Literal["whole", "person"] = "whole"
    unspecified: Literal["missing", "absent"] = "missing"

    def scan(self) -> pl.LazyFrame:
        """Return a row per picture or person.

        Columns: `sample_id` (the picture's path; of a person with `#` and the position among the picture's people),
        `image` (path below `Image/`), `split`, `event`, the person's box (`left`, `top`, `width`, `height` in pixels;
        null for whole pictures), and a Boolean column per attribute. A whole picture has an attribute if one of its
        people has it, has it not if all have it not, and else it is unspecified.

        Raises:
            InputError: An annotation file is missing or not as its format says; names the file and the place.
        """
        found = {file: _read(file) for file in self.files().values()}
        names = _same_in_all({file: _attribute_names(file, content) for file, content in found.items()})
        _same_in_all({file: _events(file, content) for file, content in found.items()})
        pictures = [picture for file, content in found.items() for picture in _checked(file, content, names)]
        rows = [row for picture, event in pictures for row in self._rows(picture, event, len(names))]
        schema = dict.fromkeys(COLUMNS[:4], pl.String) | dict.fromkeys(BOX, pl.Float64) | dict.fromkeys(names, pl.Int8)
        meaning = {1: True, 0: None if self.unspecified == "missing" else False, -1: False}
        table = pl.DataFrame(rows, schema=schema, orient="row")
        return table.with_columns(table[name].replace_strict(meaning, return_dtype=pl.Boolean) for name in names).lazy()

    def files(self) -> Mapping[str, Path]:
        """Return the two annotation files."""
        return {name: existing(self.path / FOLDER / name) for name in FILES}

    def _rows(self, picture: Picture, event: str, attributes: int) -> Iterator[tuple[Any, ...]]:
        name = picture.file_name
        common = (name, PurePosixPath(name).parts[0], event)
        if self.pictures == "whole":
            # In the order -1, 0, 1 the largest value is "someone has it", "it is open", "nobody has it".
            together = (max((t.attribute[i] for t in picture.targets), default=0) for i in range(attributes))
            yield (name, *common, *[None] * len(BOX), *together)
        else:
            for number, target in enumerate(picture.targets):
                yield (f"{name}#{number}", *common, *target.bbox, *target.attribute)


def _read(file: Path) -> Annotations:
    content = read_bytes(file, _LIMIT)
    try:
        return Annotations.model_validate_json(content)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False)
        lines = some_lines([f"{_place(problem['loc'])}{problem['msg']}" for problem in problems])
        raise InputError(f"{file}: not the annotations of WIDER Attribute:\n{lines}\nSee {PAGE}.") from error


def _place(location: tuple[int | str, ...]) -> str:
    """Write `images[3].targets[0].bbox` as in Python."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    place = "".join(parts).removeprefix(".")
    return f"{place}: " if place else ""


def _attribute_names(file: Path, content: Annotations) -> list[str]:
    """Return the attributes' names in the order of their ids, which count from 0."""
    found = content.attribute_id_map
    ids = [str(number) for number in range(len(found))]
    if not found or set(found) != set(ids):
        raise InputError(
            f"{file}: attribute_id_map has the ids {', '.join(sorted(found)) or '(none)'}; they must count from 0. See"
            f" {PAGE}."
        )
    names = [found[number] for number in ids]
    for name, count in Counter(names).items():
        if not name:
            raise InputError(f"{file}: attribute_id_map gives {ids[names.index(name)]} an empty name. See {PAGE}.")
        if count > 1 or name in COLUMNS:
            raise InputError(
                f"{file}: attribute_id_map has the name '{name}' twice, or it is one of the other columns' names"
                f" ({', '.join(COLUMNS)}). See {PAGE}."
            )
    return names


def _events(file: Path, content: Annotations) -> dict[str, str]:
    """Return the events' names, which must tell them apart."""
    events = content.scene_id_map
    if len(set(events.values())) < len(events):
        raise InputError(f"{file}: scene_id_map gives two events one name. See {PAGE}.")
    return events


def _same_in_all(found: dict[Path, T]) -> T:
    (first, value), *others = found.items()
    for file, other in others:
        if other != value:
            raise InputError(
                f"{file}: attribute_id_map or scene_id_map differs from that of {first}. Take both files from one"
                f" download; see {PAGE}."
            )
    return value


def _checked(file: Path, content: Annotations, names: list[str]) -> Iterator[tuple[Picture, str]]:
    """Yield the pictures with the names of their events, each checked for what the format's types cannot say."""
    splits = FILES[file.name]
    first_with: dict[str, int] = {}
    for number, picture in enumerate(content.images):
        where = f"{file}: images[{number}] ('{picture.file_name}')"
        if PurePosixPath(picture.file_name).parts[:1] not in {(split,) for split in splits}:
            raise InputError(f"{where}: file_name must begin with {' or '.join(f'{split}/' for split in splits)}.")
        if first_with.setdefault(picture.file_name, number) != number:
            raise InputError(f"{where}: is images[{first_with[picture.file_name]}] again. Remove one of them.")
        event = content.scene_id_map.get(str(picture.scene_id))
        if event is None:
            raise InputError(f"{where}: scene_id {picture.scene_id} is not in scene_id_map.")
        for position, target in enumerate(picture.targets):
            if len(target.attribute) != len(names):
                raise InputError(
                    f"{where}: targets[{position}].attribute has {len(target.attribute)} values; attribute_id_map names"
                    f" {len(names)} attributes."
                )
        yield picture, event
