"""A folder of pictures without a table."""

import os
import re

import pytest

from weakcl_pipeline.datasets import SourceDataset
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.sources import Folder


def put(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"content")


def listed(root):
    return Folder(path=root).scan().collect()


def test_pictures_are_listed_with_the_folders_that_they_are_in(tmp_path):
    put(tmp_path, "train/cat/2.JPG", "train/cat/1.png", "test/dog/indoors/3.webp", "4.tiff")
    assert listed(tmp_path).to_dict(as_series=False) == {
        "file": ["4.tiff", "test/dog/indoors/3.webp", "train/cat/1.png", "train/cat/2.JPG"],
        "folder_1": [None, "test", "train", "train"],
        "folder_2": [None, "dog", "cat", "cat"],
        "folder_3": [None, "indoors", None, None],
    }


def test_what_is_no_picture_or_hidden_is_left_out(tmp_path):
    put(tmp_path, "1.png", "notes.txt", ".2.png", ".thumbnails/1.png", "__MACOSX/._1.png", "Thumbs.db", "png")
    assert listed(tmp_path).to_dict(as_series=False) == {"file": ["1.png"]}


def test_links_to_folders_are_not_followed(tmp_path):
    put(tmp_path, "inside/1.png", "outside/2.png")
    (tmp_path / "inside/there").symlink_to(tmp_path / "outside")
    (tmp_path / "inside/again").symlink_to(tmp_path / "inside")
    assert listed(tmp_path / "inside")["file"].to_list() == ["1.png"]


def test_the_names_are_the_version(tmp_path):
    put(tmp_path / "a", "1.png", "x/2.png")
    put(tmp_path / "b", "x/2.png", "1.png")
    (tmp_path / "b/1.png").write_bytes(b"other content")
    a, b = (SourceDataset(source="folder", path=str(tmp_path / name)) for name in "ab")
    assert a.content_hash() == b.content_hash()
    put(tmp_path / "b", "x/3.png")
    assert a.content_hash() != b.content_hash()


def test_a_folder_that_cannot_be_listed_is_named(tmp_path):
    with pytest.raises(InputError, match=f"{re.escape(str(tmp_path))}/none: there is no such folder"):
        listed(tmp_path / "none")
    put(tmp_path, "notes.txt")
    with pytest.raises(InputError, match=r"there is no picture in this folder \(\.png, \.jpg"):
        listed(tmp_path)
    (tmp_path / os.fsdecode(b"\xff.png")).write_bytes(b"")
    with pytest.raises(InputError, match=r"the name of the file '\\udcff.png' is no text in UTF-8"):
        listed(tmp_path)
