"""A small CUB-200-2011 in the exact form of the official archive, with pictures made here."""

import numpy as np
from PIL import Image

CLASSES = {
    1: "001.Black_footed_Albatross",
    2: "002.Laysan_Albatross",
    14: "014.Indigo_Bunting",
    200: "200.Common_Yellowthroat",
}
ATTRIBUTES = (
    "has_bill_shape::curved_(up_or_down)",
    "has_bill_shape::dagger",
    "has_bill_shape::hooked_seabird",
    "has_wing_color::blue",
    "has_wing_color::yellow",
    "has_upperparts_color::grey",
    "has_underparts_color::white",
    "has_breast_pattern::solid",
    "has_tail_shape::notched_tail",
    "has_size::medium_(9_-_16_in)",
    "has_shape::long-legged-like",
    "has_wing_pattern::multi-colored",
)
CERTAINTIES = ("not visible", "guessing", "probably", "definitely")
IRREGULAR = (3, 17)
"""As in the official file for images 2275 and 9364: from attribute 10 on, these have a zero before the time."""


def make_cub(folder, per_class=16, seed=0):
    """Write CUB_200_2011/ and, beside it, attributes.txt; return what was written of each attribute.

    Returns:
        (image id, attribute) -> (is present, certainty id).
    """
    rng = np.random.default_rng(seed)
    base = folder / "CUB_200_2011"
    (base / "attributes").mkdir(parents=True)
    images, labels, splits, boxes, seen, truth = [], [], [], [], [], {}
    image_id = 0
    for class_id, name in CLASSES.items():
        (base / "images" / name).mkdir(parents=True)
        for number in range(per_class):
            image_id += 1
            path = f"{name}/{name[4:]}_{number + 1:04d}_{rng.integers(10, 800_000)}.jpg"
            images.append(f"{image_id} {path}")
            labels.append(f"{image_id} {class_id}")
            splits.append(f"{image_id} {int(number % 2 == 0)}")
            boxes.append(f"{image_id} 60.0 27.0 325.0 304.0")
            _picture(base / "images" / path, class_id, rng)
            for at, attribute in enumerate(ATTRIBUTES):
                present = int(rng.random() < (0.75 if (class_id + at) % 3 == 0 else 0.3))
                certainty = 1 if not present and rng.random() < 0.15 else int(rng.integers(2, 5))
                time = ("0.0", "1", "2.7080", "13.2210", "1e-05")[rng.integers(5)]
                if image_id in IRREGULAR and at >= 9:
                    time = f"0 {time}"
                seen.append(f"{image_id} {at + 1} {present} {certainty} {time}")
                truth[image_id, attribute] = (bool(present), certainty)
    _write(base / "images.txt", images)
    _write(base / "image_class_labels.txt", labels)
    _write(base / "train_test_split.txt", splits)
    _write(base / "bounding_boxes.txt", boxes)
    _write(base / "classes.txt", [f"{number} {name}" for number, name in CLASSES.items()])
    _write(base / "attributes/certainties.txt", _numbered(CERTAINTIES))
    _write(base / "attributes/image_attribute_labels.txt", seen)
    _write(folder / "attributes.txt", _numbered(ATTRIBUTES))
    return truth


def _numbered(names):
    return [f"{number} {name}" for number, name in enumerate(names, 1)]


def _write(file, lines):
    file.write_text("".join(f"{line}\n" for line in lines))


def _picture(file, class_id, rng):
    """A JPEG of its class's colour and some noise; a few are grey, as in the data set."""
    height, width = rng.integers(30, 60, 2)
    colour = np.array([class_id * 53 % 200, class_id * 97 % 200, class_id * 31 % 200])
    pixels = (colour + rng.integers(0, 56, (height, width, 3))).astype(np.uint8)
    Image.fromarray(pixels).convert("L" if rng.random() < 0.05 else "RGB").save(file)
