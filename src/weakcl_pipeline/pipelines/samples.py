"""What several stages read from the artifact `samples`."""

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from torch import Tensor

from weakcl_pipeline.attributes import as_assignment
from weakcl_pipeline.contrastive.positives import NO_CLUSTER
from weakcl_pipeline.sources import label_columns

Rows = npt.NDArray[np.int64]

NEEDS_LABELS = "needs_labels"
"""Tag of the nodes that cannot run without labels, by which a run of them is refused before it begins."""


def train_rows(samples: pl.DataFrame) -> Rows:
    """Return the rows of the train split, int64 (N,); the image store has the same rows in the same order."""
    return np.flatnonzero((samples["split"] == "train").to_numpy())


def alone(samples: pl.DataFrame) -> Rows:
    """Return clusters that leave every sample of the train split for itself, int64 (N,)."""
    return np.full(len(train_rows(samples)), NO_CLUSTER)


def label_ids(samples: pl.DataFrame) -> dict[str, Rows]:
    """Return the class of each sample of the train split, int64 (N,), -1 where unknown, by label as declared."""
    rows = train_rows(samples)
    return {name: as_assignment(label.rank("dense"))[rows] for name, label in label_columns(samples).items()}


def cluster_ids(samples: pl.DataFrame, clusters: pl.DataFrame) -> Rows:
    """Return the cluster of each sample of the train split, int64 (N,), -1 for none."""
    ids = samples.select("sample_id").join(clusters, on="sample_id", how="left", maintain_order="left")["cluster"]
    return as_assignment(ids)[train_rows(samples)]


def known_attributes(samples: pl.DataFrame, binary_attributes: pl.DataFrame) -> Tensor:
    """Return the binary attributes of the train split, float32 (N, A): 1, 0, or NaN where missing.

    Args:
        samples: The samples.
        binary_attributes: A row a sample, nullable Boolean columns; ids beside them are left out.
    """
    rows, columns = train_rows(samples), binary_attributes.drop("sample_id", strict=False)
    if not columns.width:  # such a table has no rows either
        return torch.empty(len(rows), 0)
    known = columns[rows].cast(pl.Float32).fill_null(float("nan"))
    return torch.from_numpy(known.to_numpy(order="c").copy())
