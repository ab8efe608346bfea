"""Who is a positive of whom: the clusters that an epoch of training uses, fixed or found while training."""

from collections.abc import Callable
from hashlib import sha256
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import Field
from sklearn.metrics import normalized_mutual_info_score

from weakcl_pipeline.attributes.kmeans import number_of_clusters
from weakcl_pipeline.config import Config
from weakcl_pipeline.contrastive.group import Shard
from weakcl_pipeline.contrastive.sharded_kmeans import sharded_kmeans
from weakcl_pipeline.contrastive.whitening import whiten
from weakcl_pipeline.seeding import derive_seed

Rows = npt.NDArray[np.int64]
Embed = Callable[[Literal["backbone", "projection"]], Shard]

NO_CLUSTER = -1


class Positives(Protocol):
    """The clusters of the train split, epoch by epoch."""

    @property
    def warmup_epochs(self) -> int:
        """How many epochs pass before the first clustering; 0 where there is none to wait for."""

    def initial(self) -> Rows:
        """Return the clusters before the first epoch, int64 (N,); :data:`NO_CLUSTER` means the sample stands alone."""
        ...

    def describe(self) -> str:
        """Return a text that is the same for the same positives, by which a training is recognised."""
        ...

    def update(self, epoch: int, clusters: Rows, embed: Embed) -> tuple[Rows, dict[str, float]]:
        """Return the clusters of an epoch (counted from 0) and figures for its row of the history.

        Args:
            epoch: The epoch that is about to begin.
            clusters: The clusters of the epoch before.
            embed: Computes the embeddings of the train split with the encoder as it stands, each worker its part.
        """
        ...


class FixedPositives:
    """Clusters that stay as they are: attribute clusters, classes, or every sample for itself.

    Args:
        clusters: int64 (N,); :data:`NO_CLUSTER` for a sample that stands alone.
    """

    warmup_epochs = 0

    def __init__(self, clusters: Rows) -> None:
        self._clusters = clusters

    def initial(self) -> Rows:
        """Return the clusters."""
        return self._clusters

    def describe(self) -> str:
        """Return the digest of the clusters."""
        return sha256(self._clusters.tobytes()).hexdigest()

    def update(self, epoch: int, clusters: Rows, embed: Embed) -> tuple[Rows, dict[str, float]]:
        """Return the same clusters."""
        return clusters, {}


class IterativeConfig(Config):
    """Parameters of the iterative variant.

    Attributes:
        k: The number of clusters, or, below 1, their number as a fraction of the train split's samples.
        warmup_epochs: Epochs of self-supervision before the first clustering.
        recluster_every: Epochs between two clusterings.
        features: What is clustered: ``backbone`` features, or the ``projection`` that the objective compares. The
            paper's code takes the projection; docs/decisions.md has the figures for the default here.
        whitening: How far they are whitened before (:func:`whiten`): from 0, not at all, to 1, all directions alike.
        spherical: Cluster by cosine, as the objective compares by cosine.
        iterations: Lloyd iterations of each clustering.
    """

    k: float = Field(default=0.05, gt=0)
    warmup_epochs: int = Field(default=5, ge=0)
    recluster_every: int = Field(default=2, ge=1)
    features: Literal["backbone", "projection"] = "backbone"
    whitening: float = Field(default=0.0, ge=0, le=1)
    spherical: bool = True
    iterations: int = Field(default=20, ge=1)

    def n_clusters(self, n_samples: int, key: str = "iterative.k") -> int:
        """Return k for a number of samples.

        Raises:
            InputError: If k is larger than that number; it names the key.
        """
        return number_of_clusters(self.k, n_samples, key)


class IterativePositives:
    """Clusters by k-means on the embeddings of the whole train split, again and again while training.

    The unsupervised variant of the paper (section 3.3): self-supervision while warming up, then the clusters of the
    last clustering. History rows of an epoch that begins with a clustering tell its inertia, number of clusters, and
    normalised mutual information (NMI, 0 to 1) with the clustering before and with each label.

    Args:
        config: When and how to cluster.
        n_samples: Samples in the train split.
        labels: Label ids by name, int64 (N,) each, negative where unknown; they only describe, and never train.
        seed: The run's seed.
        group: What the parameters are called in messages.

    Raises:
        InputError: If k is larger than the train split.
    """

    def __init__(
        self,
        config: IterativeConfig,
        n_samples: int,
        labels: dict[str, Rows],
        seed: int,
        group: str = "iterative",
    ) -> None:
        self._config = config
        self._k = config.n_clusters(n_samples, f"{group}.k")
        self._n_samples = n_samples
        self._labels = labels
        self._seed = seed

    @property
    def warmup_epochs(self) -> int:
        """How many epochs of self-supervision pass before the first clustering."""
        return self._config.warmup_epochs

    def initial(self) -> Rows:
        """Return self-supervision: every sample stands alone."""
        return np.full(self._n_samples, NO_CLUSTER)

    def describe(self) -> str:
        """Return the parameters."""
        return self._config.model_dump_json()

    def update(self, epoch: int, clusters: Rows, embed: Embed) -> tuple[Rows, dict[str, float]]:
        """Cluster anew where this epoch is due, else keep the clusters."""
        since_warmup = epoch - self._config.warmup_epochs
        if since_warmup < 0 or since_warmup % self._config.recluster_every:
            return clusters, {}
        features = embed(self._config.features)
        found = sharded_kmeans(
            whiten(features, self._config.whitening) if self._config.whitening else features,
            self._k,
            spherical=self._config.spherical,
            iterations=self._config.iterations,
            seed=derive_seed(self._seed, "kmeans", epoch),
        )
        figures = {"inertia": found.inertia, "clusters": float(found.n_clusters)}
        for name, other in {"previous": clusters, **self._labels}.items():
            known = other >= 0
            if known.any():
                figures[f"nmi_{name}"] = float(normalized_mutual_info_score(other[known], found.assignment[known]))
        return found.assignment, figures


class CompletedPositives:
    """Clusters by attributes, and for the samples that have none, k-means clusters that are found while training.

    A sample without a cluster, left for itself, is a negative of everyone: it is pushed away from pictures that show
    the same. So it gets a cluster as in :class:`IterativePositives`, with those of its k-means cluster that have none
    by attributes either. K-means looks at all samples, so that those with attributes keep others apart, but their own
    clusters stay as they are. History rows tell of the clusterings as there.

    Args:
        clusters: By attributes, int64 (N,); :data:`NO_CLUSTER` for the samples to complete.
        kmeans: How these find theirs, among the N samples.
    """

    warmup_epochs = 0  # there are clusters from the first epoch on

    def __init__(self, clusters: Rows, kmeans: IterativePositives) -> None:
        self._clusters = clusters
        self._kmeans = kmeans
        self._incomplete = clusters < 0
        self._first_id = int(clusters.max(initial=NO_CLUSTER)) + 1  # of the k-means clusters

    def initial(self) -> Rows:
        """Return the clusters by attributes."""
        return self._clusters

    def describe(self) -> str:
        """Return the digest of the clusters, and the parameters of the others."""
        return f"{FixedPositives(self._clusters).describe()} {self._kmeans.describe()}"

    def update(self, epoch: int, clusters: Rows, embed: Embed) -> tuple[Rows, dict[str, float]]:
        """Complete the clusters anew where k-means is due in this epoch, else keep them."""
        completed = self._incomplete & (clusters >= 0)
        before = np.where(completed, clusters - self._first_id, NO_CLUSTER)
        found, figures = self._kmeans.update(epoch, before, embed)
        if not figures:  # k-means was not due
            return clusters, {}
        return np.where(self._incomplete, found + self._first_id, self._clusters), figures
