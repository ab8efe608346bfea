"""A small UT-Zappos50K in the exact form of the official archives, with pictures made here."""

import csv

import numpy as np
from PIL import Image

HEADER = ("CID", "Category", "SubCategory", "HeelHeight", "Insole", "Closure", "Gender", "Material", "ToeStyle")
TYPES = ("Shoes/Oxfords", "Shoes/Sneakers and Athletic Shoes", "Boots/Mid-Calf", "Sandals/Flat", "Slippers/Boot")
BRANDS = ("Bostonian", "L.A.M.B%2E", "Dolce & Gabbana", "Levi's Kids", "Oh! Shoes", "inov-8")
"""Of folders: a last dot is %2E on the disk, and only there."""
VALUES = {
    "HeelHeight": ("Flat", "Under 1in", "1in - 1 3/4in", "5in & over"),
    "Insole": ("Leather", "Memory Foam", "Poron"),
    "Closure": ("Lace up", "Hook and Loop", "Slip-On"),
    "Gender": ("Men", "Women", "Boys"),
    "Material": ("Suede", "Full-grain leather", "Patent Leather"),
    "ToeStyle": ("Round Toe", "Capped Toe", "Algonquin"),
}


def make_zappos(folder, products=60, seed=0, images="ut-zap50k-images-square"):
    """Write ut-zap50k-data/meta-data.csv and the pictures; return the rows of the table, and each shoe's folders."""
    rng = np.random.default_rng(seed)
    rows, places = [], {}
    for number in range(products):
        kind = TYPES[number % len(TYPES)]
        brand = BRANDS[int(rng.integers(len(BRANDS)))]
        for colour in rng.choice(900, rng.integers(1, 4), replace=False):
            cid = f"{100627 + 31 * number}-{colour + 1}"
            cells = [_cell(column, TYPES.index(kind), rng) for column in VALUES]
            rows.append((cid, *kind.split("/"), *cells))
            places[cid] = f"{kind}/{brand}"
            file = folder / images / places[cid] / f"{cid.replace('-', '.')}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            _picture(file, TYPES.index(kind), images, rng)
    table = folder / "ut-zap50k-data/meta-data.csv"
    table.parent.mkdir()
    write_table(table, [HEADER, *rows])
    return rows, places


def make_released_split(folder, places):
    """Write the tables of the paper's code, 70 % of the shoes in train, with their last rows; return the others."""
    folder.mkdir()
    cids = sorted(places)
    paths = [f"{places[cid]}/{cid.replace('-', '.')}.jpg" for cid in cids]
    parts = {"train": range(0, len(cids) * 7 // 10), "val": range(len(cids) * 7 // 10, len(cids))}
    rows = {name: [(i, paths[i], i % 5, i % 8) for i in part] for name, part in parts.items()}
    write_table(
        folder / "meta_data_train.csv",
        [("", "path", "class", "label_gran_3"), *rows["train"], (-1, "num_per_label_gran", 5, 8)],
    )
    write_table(
        folder / "meta_data_val.csv",
        [("", "path", "class"), *(row[:3] for row in rows["val"]), (-1, "num_per_latent_class", 5)],
    )
    return [cids[i] for i in parts["val"]]


def write_table(file, rows):
    """Write rows as CSV."""
    with file.open("w", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows(rows)


def _cell(column, kind, rng):
    """No value, one, or several with semicolons, leaning towards one that goes with the kind of shoe."""
    if rng.random() < 0.25:
        return ""
    values = VALUES[column]
    first = values[kind % len(values)] if rng.random() < 0.6 else values[int(rng.integers(len(values)))]
    others = [value for value in values if value != first and rng.random() < 0.15]
    return ";".join([first, *others])


def _picture(file, kind, images, rng):
    """A shape of its kind's colour on white."""
    pixels = np.full((136 if images.endswith("square") else 102, 136, 3), 255, np.uint8)
    colour = np.array([kind * 47 % 200, kind * 83 % 200, kind * 29 % 200])
    pixels[40:90, 20 + kind * 5 : 110] = colour + rng.integers(0, 50, 3)
    Image.fromarray(pixels).save(file)
