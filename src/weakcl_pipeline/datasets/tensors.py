"""A model's tensors with what is needed to make sense of them."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save

from weakcl_pipeline.datasets.file import FileDataset

Tensors = tuple[dict[str, torch.Tensor], dict[str, Any]]


class TensorsDataset(FileDataset[Tensors, Tensors]):
    """Named tensors in a safetensors file, and JSON-able metadata in a ``.json`` file beside it; no pickle.

    Args:
        filepath: The safetensors file, e.g. ``encoder.safetensors``; the metadata goes to ``encoder.json``.
        metadata: For plug-ins such as Kedro-Viz.
    """

    def load(self) -> Tensors:
        """Return (tensors, metadata), the tensors on the CPU."""
        return load_file(self._filepath), json.loads(self._sidecar.read_text(encoding="utf-8"))

    def save(self, data: Tensors) -> None:
        """Write (tensors, metadata), from whatever device the tensors are on.

        Raises:
            TypeError: ``data`` is not such a pair, or the metadata is not JSON-able.
            ValueError: A number in the metadata is not finite.
        """
        tensors, metadata = data
        text = json.dumps(metadata, indent=2, allow_nan=False)
        # `save` and not `save_file`, which leaves a file that only its owner can read.
        self._filepath.write_bytes(save({name: tensor.detach().contiguous() for name, tensor in tensors.items()}))
        self._sidecar.write_text(text + "\n", encoding="utf-8")

    @property
    def _sidecar(self) -> Path:
        return self._filepath.with_suffix(".json")

    def _exists(self) -> bool:
        return self._filepath.exists() and self._sidecar.exists()
