"""WIDER Attribute in its official format, small, with pictures that are made here."""

import json

import numpy as np
from PIL import Image

ATTRIBUTES = (
    "Male", "longHair", "sunglass", "Hat", "Tshirt", "longSleeve", "formal",
    "shorts", "jeans", "longPants", "skirt", "faceMask", "logo", "stripe",
)  # fmt: skip
EVENTS = {0: "Parade", 3: "Riot", 20: "Family_Group"}
FILES = ("wider_attribute_trainval.json", "wider_attribute_test.json")
FOLDERS = {event: f"{event}--{name}" for event, name in EVENTS.items()}


def target(generator, event):
    """A person; what is worn depends on the event, and a fifth of it was left open by the annotators."""
    wears = generator.random(14) < np.roll(np.linspace(0.1, 0.9, 14), event)
    left_open = generator.random(14) < 0.2
    box = [*generator.integers(0, 60, 2), *generator.integers(12, 40, 2)]
    return {"attribute": np.where(left_open, 0, 2 * wears - 1).tolist(), "bbox": [int(side) for side in box]}


def annotations(generator, splits, pictures):
    """One annotation file: `pictures` of each event and split, the numbers in their names with gaps."""
    images = []
    for split in splits:
        for event, folder in FOLDERS.items():
            for number in range(pictures):
                stem = folder.replace("--", "_")
                images.append(
                    {
                        "file_name": f"{split}/{folder}/{stem}_{EVENTS[event].lower()}_{event}_{7 * number + 2}.jpg",
                        "scene_id": event,
                        "targets": [target(generator, event) for _ in range(generator.integers(1, 5))],
                    }
                )
    return {
        "images": images,
        "attribute_id_map": {str(number): name for number, name in enumerate(ATTRIBUTES)},
        "scene_id_map": {str(event): name for event, name in EVENTS.items()},
    }


def make(root, train=20, val=6, test=6):
    """Write the folders `wider_attribute_annotation` and `Image` below a root."""
    generator = np.random.default_rng(0)
    trainval = annotations(generator, ["train"], train)
    trainval["images"] += annotations(generator, ["val"], val)["images"]
    found = {"trainval": trainval, "test": annotations(generator, ["test"], test)}
    trainval["images"][1]["targets"][0]["bbox"] = [-4.5, 70, 30, 90.25]  # over the rim, and not whole
    trainval["images"][2]["targets"][0]["bbox"] = [120, 10, 20, 30]  # the official data has a few of these
    trainval["images"][3]["targets"] = []
    folder = root / "wider_attribute_annotation"
    folder.mkdir(parents=True)
    for name, content in found.items():
        (folder / f"wider_attribute_{name}.json").write_text(json.dumps(content))
        for image in content["images"]:
            file = root / "Image" / image["file_name"]
            file.parent.mkdir(parents=True, exist_ok=True)
            pixels = generator.integers(0, 120, (80, 100, 3)) + 2 * image["scene_id"]
            Image.fromarray(pixels.astype(np.uint8)).save(file, quality=80)
    return found
