"""Pictures without a table: what is known of them is where they lie."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl

from weakcl_pipeline.errors import InputError
from weakcl_pipeline.images.decode import SUFFIXES
from weakcl_pipeline.sources.base import Source


class Folder(Source):
    """A folder of pictures, which is listed as a table.

    Its columns are `file`, the path of each picture below the folder with `/` between folders, which also names the
    sample; and `folder_1`, `folder_2`, ... with the names of the folders that it is in, the outermost first, null where
    it is in fewer. So a folder for each split, class or place is a split, label or attribute column. Rows are in the
    order of the paths. Files with other endings than those of pictures, and hidden ones, are left out, and links to
    folders are not followed.

    Attributes:
        path: The folder; `images.root` must be the same.
    """

    path: Path

    def scan(self) -> pl.LazyFrame:
        """Return the listing."""
        names = self._names()
        folders = [name.split("/")[:-1] for name in names]
        columns = {
            f"folder_{level + 1}": [parts[level] if level < len(parts) else None for parts in folders]
            for level in range(max(map(len, folders)))
        }
        return pl.LazyFrame({"file": names, **columns}, schema_overrides=dict.fromkeys(columns, pl.String))

    def files(self) -> Mapping[str, Path | None]:
        """Return the names of the pictures."""
        return dict.fromkeys(self._names())

    def _names(self) -> list[str]:
        if not self.path.is_dir():
            raise InputError(f"{self.path}: there is no such folder. Correct `path` in the catalog.")
        names = sorted(_pictures_below(self.path))
        if not names:
            raise InputError(f"{self.path}: there is no picture in this folder ({', '.join(SUFFIXES)}).")
        return names


def _pictures_below(root: Path) -> Iterator[str]:
    for folder, inner, files in os.walk(root):
        inner[:] = [name for name in inner if not name.startswith((".", "__MACOSX"))]
        for name in files:
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                path = (Path(folder) / name).relative_to(root).as_posix()
                yield _checked(path, root)


def _checked(path: str, root: Path) -> str:
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{root}: the name of the file {path!a} is no text in UTF-8. Rename it.") from error
    return path
