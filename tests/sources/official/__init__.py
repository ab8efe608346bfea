"""Data sets of the paper in their official formats, small, made by code; and what makes a run on them take seconds."""

from pathlib import Path
from typing import Any

SMALL: dict[str, Any] = {
    "images": {"size": 16},
    "training": {
        "epochs": 2,
        "batch_size": 16,
        "encoder": {
            "backbone": "resnet10t",
            "backbone_kwargs": {"stem_width": 4, "channels": [4, 8, 8, 16]},
            "stem": "half",
            "head": {"output_dim": 16},
        },
    },
    "iterative": {"k": 5, "warmup_epochs": 1},
    "evaluation": {
        "linear_probe": {"costs": [0.1]},
        "knn": {"ks": [1, 5]},
        "few_label": {"shares": [0.1], "repeats": 1, "costs": [0.1]},
        "augmented_probe": {"epochs": 1},
        "bootstrap": {"resamples": 100},
    },
}
"""Parameters to run an environment of conf/ with: tiny pictures and encoder, all else as it has it."""


def change(file: Path, line: int, text: str | None) -> None:
    """Put another text in place of a line, counted from 1; none removes it."""
    lines = file.read_text().splitlines()
    lines[line - 1 : line] = [] if text is None else [text]
    file.write_text("\n".join(lines) + "\n")
