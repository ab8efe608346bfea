"""ILSVRC 2012 and WordNet in their official formats, small, with pictures that are made here."""

import csv

import numpy as np
from PIL import Image
from scipy.io import savemat

IS_A = """\
n00001740 n00001930
n00001930 n00002684
n00002684 n00003553
n00003553 n00004258
n00004258 n00004475
n00004475 n00015388
n00015388 n01466257
n01466257 n01503061
n01503061 n02012849
n01466257 n01861778
n01861778 n02075296
n02075296 n02083346
n02083346 n02084071
n00015388 n01317541
n01317541 n02084071
n02084071 n02085374
n02085374 n02085620
n02085374 n02086240
n02075296 n02120997
n02120997 n02121808
n01317541 n02121808
n02121808 n02123045
n02121808 n02124075
n00003553 n00021939
n00021939 n03563967
n03563967 n03126707
n00001740 n00002137
"""
"""Lines of the official file, shortened: dogs and cats lie below domestic animals and below carnivores."""

WORDS = """\
n00001740\tentity
n00001930\tphysical entity
n00002137\tabstraction, abstract entity
n00002684\tobject, physical object
n00003553\twhole, unit
n00004258\tliving thing, animate thing
n00004475\torganism, being
n00015388\tanimal, animate being, beast, brute, creature, fauna
n00021939\tartifact, artefact
n01317541\tdomestic animal, domesticated animal
n01466257\tchordate
n01503061\tbird
n01861778\tmammal, mammalian
n02012849\tcrane
n02075296\tcarnivore
n02083346\tcanine, canid
n02084071\tdog, domestic dog, Canis familiaris
n02085374\ttoy dog, toy
n02085620\tChihuahua
n02086240\tShih-Tzu
n02120997\tfeline, felid
n02121808\tdomestic cat, house cat, Felis domesticus, Felis catus
n02123045\ttabby, tabby cat
n02124075\tEgyptian cat
n03126707\tcrane
n03563967\timplement
"""

CLASSES = ("n02012849", "n02085620", "n02086240", "n02123045", "n02124075", "n03126707")
OTHER = "n02119789"
"""A class of ILSVRC that is not chosen."""


def picture(generator, file, number, shade):
    """Write a picture; some are grey, some CMYK, and some not even JPEG, as in the official archives."""
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels = Image.fromarray((generator.integers(0, 100, (30, 40, 3)) + 25 * shade).astype(np.uint8))
    mode = {1: "L", 2: "CMYK"}.get(number, "RGB")
    pixels.convert(mode).save(file, "PNG" if number == 3 else "JPEG")


def make(root, layout="folders", train=30, val=6):
    """Write the archives of `train` and `val`, unpacked, and WordNet's files; `val` in one of its three layouts.

    Args:
        root: Where to.
        layout: `folders` per class, `kaggle` or `devkit`.
        train: Pictures per class.
        val: Pictures per class.
    """
    generator = np.random.default_rng(0)
    base = root / "ILSVRC/Data/CLS-LOC" if layout == "kaggle" else root
    chosen = [*CLASSES, OTHER]
    for shade, wnid in enumerate(chosen):
        for number in range(train):
            picture(generator, base / "train" / wnid / f"{wnid}_{13 * number + 7}.JPEG", number, shade)
    labels = np.random.default_rng(1).permutation(np.repeat(np.arange(len(chosen)), val)).tolist()
    for number, label in enumerate(labels, start=1):
        folder = base / "val" / chosen[label] if layout == "folders" else base / "val"
        picture(generator, folder / f"ILSVRC2012_val_{number:08d}.JPEG", number, label)
    if layout == "kaggle":
        write_solution(root / "LOC_val_solution.csv", [chosen[label] for label in labels])
    if layout == "devkit":
        write_devkit(root / "ILSVRC2012_devkit_t12/data", chosen, labels)
    (base / "train" / CLASSES[0] / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    (root / "wordnet").mkdir()
    (root / "wordnet/wordnet.is_a.txt").write_text(IS_A)
    (root / "wordnet/words.txt").write_text(WORDS)
    (root / "classes.txt").write_text("\n".join(CLASSES) + "\n")
    return {f"ILSVRC2012_val_{number:08d}": chosen[label] for number, label in enumerate(labels, start=1)}


def write_solution(file, wnids):
    """Write Kaggle's table, the last picture first; every third picture shows two of its kind."""
    with file.open("w", newline="") as stream:
        rows = csv.writer(stream, lineterminator="\n")
        rows.writerow(["ImageId", "PredictionString"])
        for number, wnid in reversed(list(enumerate(wnids, start=1))):
            box = f"{wnid} 2 3 20 28 "
            rows.writerow([f"ILSVRC2012_val_{number:08d}", box * (2 if number % 3 == 0 else 1)])


def write_devkit(folder, wnids, labels):
    """Write the development kit: classes are numbered from 1 in an order of its own, leaves before inner nodes."""
    folder.mkdir(parents=True)
    order = wnids[::-1]
    number = {wnid: position for position, wnid in enumerate(order, start=1)}
    lines = [f"{number[wnids[label]]}\n" for label in labels]
    (folder / "ILSVRC2012_validation_ground_truth.txt").write_text("".join(lines))
    kinds = [("ILSVRC2012_ID", "f8"), ("WNID", "O"), ("words", "O"), ("num_children", "f8"), ("children", "O")]
    synsets = np.zeros((len(order) + 1, 1), dtype=kinds)
    for row, wnid in enumerate(order):
        synsets[row, 0] = (row + 1, wnid, "a, b", 0, np.zeros((1, 0)))
    synsets[-1, 0] = (len(order) + 1, "n00015388", "animal", 2, np.array([[1.0, 2.0]]))
    savemat(folder / "meta.mat", {"synsets": synsets})
