"""A table of animals and their pictures, with a bit of everything that tables have."""

import random

import numpy as np
import polars as pl
import pytest
from PIL import Image

SPECIES = {"cat": ("felid", "fur"), "lynx": ("felid", "fur"), "owl": ("bird", "feathers"), "emu": ("bird", "feathers")}


def animals(rows=240):
    """A table of text, as of a CSV file, with a given split."""
    drawn = random.Random(0)  # noqa: S311 - the same table for every test
    species = [list(SPECIES)[row // 2 % 4] for row in range(rows)]
    named = [drawn.choice([[], [name]]) for name in species]
    said = [drawn.sample(["wild", "tame", "small", "loud", "quick", "night"], drawn.randint(1, 3)) for _ in species]
    return pl.DataFrame(
        {
            "nr": [str(row) for row in range(rows)],
            "file": [f"{row}.png" for row in range(rows)],
            "animal_id": [f"a{row // 2}" for row in range(rows)],
            "subset": [("train", "train", "dev", "test")[row // 8 % 4] for row in range(rows)],
            "species": species,
            "tags": [", ".join(words) for words in map(list.__add__, said, named)],
            "family": [SPECIES[name][0] for name in species],
            "indoors": [drawn.choice(["ja", "nein", ""]) for _ in species],
            "weight": [f"{drawn.uniform(1, 90):.2f}".replace(".", ",") for _ in species],
            "seen": [f"{drawn.randint(13, 28)}.{drawn.randint(1, 12)}.2021" for _ in species],
            "place": (place := [drawn.choice(["north/hill/wood", "north/hill/lake", "south/plain"]) for _ in species]),
            "country": [{"n": "Nord", "s": "Süd"}[name[0]] for name in place],
            "region": [f"{name[0]}{drawn.randint(1, 3)}" for name in place],
            "camera": ["x100"] * rows,
            "remark": [f"it sat there on day {row} and looked at me" for row in range(rows)],
            "empty": ["n/a"] * rows,
        }
    )  # fmt: skip


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """A folder of 240 pictures, `0.png`, ..."""
    folder = tmp_path_factory.mktemp("data") / "pictures"
    folder.mkdir()
    generator = np.random.default_rng(0)
    for row in range(240):
        Image.fromarray(generator.integers(0, 256, (40, 52, 3), dtype=np.uint8)).save(folder / f"{row}.png")
    return folder
