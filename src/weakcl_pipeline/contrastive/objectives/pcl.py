"""PCL: a picture is drawn to its other view and to the prototypes of its clusters, at several granularities."""

from copy import deepcopy
from typing import Annotated, Literal, Self, cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from weakcl_pipeline.attributes.kmeans import number_of_clusters
from weakcl_pipeline.config import Config
from weakcl_pipeline.contrastive.encoder import Encoder
from weakcl_pipeline.contrastive.group import Shard
from weakcl_pipeline.contrastive.objectives.base import FULL_VIEWS, Batch, EmbedTrainSplit, Objective, Setting
from weakcl_pipeline.contrastive.sharded_kmeans import sharded_kmeans
from weakcl_pipeline.seeding import derive_seed

_KMEANS_ITERATIONS = 20  # as in the authors' code
_COINCIDE = 1e-4  # mean distance to the centroid below which unit vectors in float32 are one point


class PclConfig(Config):
    """Parameters of :class:`Pcl`; the defaults are the authors'.

    Attributes:
        name: The objective.
        temperature: T of InfoNCE, and the mean of the prototypes' concentrations.
        momentum: Share of itself that the momentum encoder keeps at each step. The smaller the data, the fewer steps
            in an epoch: the Cl-InfoNCE authors take 0.8 for the 5,994 pictures of CUB-200-2011.
        queue: The number of keys that are kept as negatives; at most one for each sample of the train split.
        ks: The numbers of clusters, or, below 1, their numbers as fractions of the train split's samples.
        warmup_epochs: Epochs of InfoNCE alone before the first clustering; each later epoch begins with one.
        negative_prototypes: r, the prototypes of each clustering drawn as negatives; all others where r exceeds them.
        alpha: Smooths the concentrations of small clusters.
    """

    name: Literal["pcl"] = "pcl"
    temperature: float = Field(default=0.2, gt=0)
    momentum: float = Field(default=0.999, ge=0, lt=1)
    queue: int = Field(default=16_384, ge=1)
    ks: tuple[Annotated[float, Field(gt=0)], ...] = Field(default=(0.02, 0.04, 0.08), min_length=1)
    warmup_epochs: int = Field(default=20, ge=0)
    negative_prototypes: int = Field(default=16_384, ge=1)
    alpha: float = Field(default=10, gt=0)


class Pcl(Objective):
    r"""ProtoNCE of Li et al., "Prototypical Contrastive Learning of Unsupervised Representations" (ICLR 2021).

    With the L2-normalised embedding v of a view, the key v' of the picture's other view by the momentum encoder, and
    of each of M clusterings the prototype c of the picture's cluster with its concentration phi,

    .. math:: L = \operatorname{mean}_i \Bigl[ -\log \frac{e^{v_i \cdot v'_i / T}}{\sum_j e^{v_i \cdot v'_j / T}}
              - \frac1M \sum_m \log \frac{e^{v_i \cdot c^m_i / \phi^m_i}}{\sum_j e^{v_i \cdot c^m_j / \phi^m_j}} \Bigr]

    where the first sum runs over the picture's key and the queue of earlier keys, the second over the picture's
    prototype and r others (eq. 11). :func:`concentrations` gives phi (eq. 12).

    An epoch begins with :meth:`begin_epoch`, every optimiser step ends with :meth:`after_step`. Between epochs all
    state is in the ``state_dict``, of sizes known from the start: an epoch draws its prototypes by a seed of its own.

    The authors' code (salesforce/PCL) is made for 1.3 million pictures in up to 100,000 clusters. From it differ:

    - The negatives of a picture are r of all prototypes but its own. The authors concatenate the prototypes of the
      batch and r that occur in none of it, so that a prototype which several pictures share is a negative of its own
      pictures, and there must be at least r + B clusters: rare and harmless there, neither with a few hundred.
    - A key of the picture's own earlier view is no negative of it; on small data each queue holds some.
    - The queue begins empty, not with random vectors: a key counts once there is one. So the first batch has loss 0.
      The keys of a batch are queued after its loss, as in the authors' code, and meet the batches after it alone.
    - K-means is spherical, so that the concentration is about the prototype that the loss compares with; the authors
      cluster by Euclidean distance, best of five runs, and normalise the centroids afterwards.
    - Clusters that ran empty take no part, and concentrations stay positive where pictures coincide.
    - Keys are normalised by running statistics, which follow the encoder's as the weights do (Cai et al., "Exponential
      Moving Average Normalization", CVPR 2021), not by those of their batch: query and key would share them, and
      negatives not, which tells a positive without looking at the picture. The authors shuffle keys between devices,
      for which there must be several.
    - Each view is both query and key, since both are embedded here for every method; the authors take one direction.
      So a picture leaves two keys, and a queue holds half as many pictures as theirs of the same length.

    Args:
        config: Temperature, queue and clusterings.
        encoder: The encoder as it is before training; copied, not kept.
        n_samples: Samples N in the train split.
        seed: Of the clusterings, and of the prototypes that are drawn.

    Attributes:
        momentum_encoder: The moving average of the encoder, whose projections :meth:`update` clusters.

    Raises:
        InputError: If a number of clusters is not between 1 and N.
    """

    def __init__(self, config: PclConfig, encoder: Encoder, n_samples: int, seed: int = 0) -> None:
        super().__init__()
        self.config, self._seed, self.warmup_epochs = config, seed, config.warmup_epochs
        self.momentum_encoder = deepcopy(encoder).requires_grad_(False).eval()
        self.n_samples, self.output_dim = n_samples, encoder.config.head.output_dim
        self.clusterings = nn.ModuleList(
            _Clustering(number_of_clusters(k, n_samples, "pcl.ks"), n_samples, self.output_dim) for k in config.ks
        )
        self.queue: Tensor
        self.queue_samples: Tensor
        keys = min(config.queue, n_samples)
        self.register_buffer("queue", torch.zeros(keys, self.output_dim))
        self.register_buffer("queue_samples", torch.full((keys,), -1))  # negative: no key yet
        self._seed_draws(0)

    @classmethod
    def build(cls, config: PclConfig, setting: Setting) -> Self:
        """Build momentum encoder, queue and clusterings for a train split."""
        return cls(config, setting.encoder, len(setting.clusters), setting.seed)

    @property
    def key_encoder(self) -> Encoder:
        """The momentum encoder."""
        return self.momentum_encoder

    def loss(self, batch: Batch) -> Tensor:
        """Compute the loss of a batch from the embeddings and keys of its two views."""
        loss: Tensor = self(batch.z, batch.keys, batch.samples)
        return loss

    def train(self, mode: bool = True) -> Self:
        """Change the mode, but for the momentum encoder, which stays in evaluation mode."""
        super().train(mode)
        self.momentum_encoder.eval()
        return self

    def forward(self, z: Tensor, keys: Tensor, samples: Tensor) -> Tensor:
        """Compute the loss of a batch in both directions, and then, while training, put its keys into the queue.

        Args:
            z: L2-normalised embeddings of two views of each picture, float (2 B, D): the first view of all pictures,
                then the second; half precision is computed in float32.
            keys: Projections of the same views by the momentum encoder, float32 (2 B, D), without gradient.
            samples: The rows of the pictures in the train split, int64 (B,).

        Returns:
            The loss in nats, a scalar: InfoNCE, plus ProtoNCE once there are clusters.

        Raises:
            ValueError: If the shapes do not belong together.
        """
        shape = (FULL_VIEWS * len(samples), self.output_dim)
        if z.shape != shape or keys.shape != shape or samples.ndim != 1:
            msg = (
                f"expected embeddings (2 B, {self.output_dim}), keys likewise and samples (B,), got "
                f"{tuple(z.shape)}, {tuple(keys.shape)} and {tuple(samples.shape)}"
            )
            raise ValueError(msg)
        of_views = samples.repeat(FULL_VIEWS)
        with torch.autocast(z.device.type, enabled=False):
            z = z if z.dtype == torch.float64 else z.float()
            of_other_view = keys.roll(len(samples), dims=0)
            info_nce = self._info_nce(z, of_other_view.to(z.dtype), of_views)
            r = self.config.negative_prototypes
            proto_nce = [clustering(z, of_views, r, self._generator) for clustering in self.clusterings]
        if self.training:
            # New tensors rather than writes in place: the backward pass still needs the queue as it was.
            self.queue = torch.cat([keys, self.queue])[: len(self.queue)]
            self.queue_samples = torch.cat([of_views, self.queue_samples])[: len(self.queue)]
        return info_nce + torch.stack(proto_nce).mean()

    def begin_epoch(self, epoch: int, embed: EmbedTrainSplit) -> dict[str, float]:
        """Cluster the train split anew, unless the epoch, counted from 0, belongs to the warm-up."""
        self._seed_draws(epoch)
        warming_up = epoch < self.config.warmup_epochs
        return {} if warming_up else self.update(epoch, embed(self.momentum_encoder), self._seed)

    def update(self, epoch: int, features: Shard, seed: int) -> dict[str, float]:
        """Cluster the train split anew.

        Args:
            epoch: The epoch that is about to begin, counted from 0.
            features: Projections of the whole train split, (N, D), by the momentum encoder.
            seed: The run's seed.

        Returns:
            The inertia of each clustering by its k, for the history.

        Raises:
            ValueError: If there is not one embedding for each sample.
        """
        shape = (features.count, features.own.shape[1])
        if shape != (self.n_samples, self.output_dim):
            msg = f"expected embeddings ({self.n_samples}, {self.output_dim}), got {shape}"
            raise ValueError(msg)
        return {
            f"inertia_{clustering.k}": clustering.update(features, self.config, derive_seed(seed, "pcl", epoch, index))
            for index, clustering in enumerate(cast("list[_Clustering]", self.clusterings))
        }

    @torch.no_grad()
    def after_step(self, encoder: Encoder) -> None:
        """Move the momentum encoder, running statistics and all, towards the encoder that has just changed."""
        followed = encoder.state_dict()
        for name, key in self.momentum_encoder.state_dict().items():
            if key.is_floating_point():
                key.lerp_(followed[name], 1 - self.config.momentum)

    def _seed_draws(self, epoch: int) -> None:
        """Begin the stream that an epoch draws prototypes from, the same on every worker.

        Not from torch's global generator: dropout takes from it for each of a worker's views, so workers with uneven
        parts of a batch would go on to draw other prototypes.
        """
        seed = derive_seed(self._seed, "epoch", epoch)  # the global one's, from which docs/results.md has its figures
        self._generator = torch.Generator(self.queue.device).manual_seed(seed)

    def _info_nce(self, z: Tensor, keys: Tensor, samples: Tensor) -> Tensor:
        is_no_negative = (self.queue_samples < 0) | (self.queue_samples == samples[:, None])
        negatives = (z @ self.queue.to(z.dtype).T).masked_fill(is_no_negative, -torch.inf)
        positive = (z * keys).sum(dim=1, keepdim=True)
        return _cross_entropy_of_first(torch.cat([positive, negatives], dim=1) / self.config.temperature)


class _Clustering(nn.Module):
    """The prototypes of one k; before the first clustering all samples are in one cluster, which has loss 0."""

    def __init__(self, k: int, n_samples: int, dim: int) -> None:
        super().__init__()
        self.k = k
        self.prototypes: Tensor
        self.concentrations: Tensor
        self.assignment: Tensor
        self.n_clusters: Tensor
        self.register_buffer("prototypes", torch.zeros(k, dim))
        self.register_buffer("concentrations", torch.ones(k))
        self.register_buffer("assignment", torch.zeros(n_samples, dtype=torch.int64))
        self.register_buffer("n_clusters", torch.tensor(1))  # those with samples come first

    def forward(self, z: Tensor, samples: Tensor, n_negatives: int, generator: torch.Generator) -> Tensor:
        """Compute ProtoNCE of embeddings (B, D) of samples (B,) in nats."""
        logits = z @ self.prototypes.to(z.dtype).T / self.concentrations.to(z.dtype)
        logits = logits.masked_fill(torch.arange(self.k, device=z.device) >= self.n_clusters, -torch.inf)
        # Steps from the own prototype around the circle of all: for each picture r distinct others, each as likely.
        steps = torch.randperm(self.k - 1, generator=generator, device=z.device)[:n_negatives] + 1
        columns = (self.assignment[samples][:, None] + F.pad(steps, (1, 0))) % self.k
        return _cross_entropy_of_first(logits.gather(1, columns))

    def update(self, features: Shard, config: PclConfig, seed: int) -> float:
        """Cluster embeddings (N, D); return the inertia."""
        found = sharded_kmeans(features, self.k, spherical=True, iterations=_KMEANS_ITERATIONS, seed=seed)
        group, points = features.group, F.normalize(features.own, dim=1)
        assignment = torch.from_numpy(found.assignment).to(points.device)
        own = assignment[group.part(features.count)]
        sums = points.new_zeros(found.n_clusters, points.shape[1]).index_add_(0, own, points)
        prototypes = F.normalize(group.sum(sums), dim=1)
        distances = group.gather((points - prototypes[own]).norm(dim=1), features.count)
        self.assignment.copy_(assignment)
        self.n_clusters.fill_(found.n_clusters)
        self.prototypes[: found.n_clusters] = prototypes
        self.concentrations[: found.n_clusters] = concentrations(
            distances.cpu(), assignment.cpu(), config.alpha, config.temperature
        ).to(self.concentrations.device)
        return found.inertia


def concentrations(distances: Tensor, assignment: Tensor, alpha: float, temperature: float) -> Tensor:
    r"""Estimate how concentrated clusters are about their prototypes (eq. 12): the smaller, the more.

    .. math:: \phi = \frac{\sum_{z=1}^Z \lVert v'_z - c \rVert_2}{Z \log(Z + \alpha)}

    As in the authors' code, a cluster of one point, whose distance says nothing, has the largest of the others;
    extremes are clipped to the 10th and 90th percentile; and all are scaled to the mean of the temperature. A cluster
    whose points coincide counts as one point, which keeps phi away from 0.

    Args:
        distances: Distance of each sample to the prototype of its cluster, float (N,), on the CPU.
        assignment: The cluster of each sample, int64 (N,): 0 to K - 1, none empty.
        alpha: Smooths small clusters.
        temperature: T, the mean of the result.

    Returns:
        phi of each cluster, float32 (K,).
    """
    sizes = torch.bincount(assignment)
    mean_distance = torch.bincount(assignment, weights=distances.double()) / sizes
    is_point = mean_distance < _COINCIDE
    phi = (mean_distance / torch.log(sizes + alpha)).masked_fill(is_point, 0)
    phi = torch.where(is_point, phi.max() if (~is_point).any() else 1.0, phi)
    low, high = torch.quantile(phi, phi.new_tensor([0.1, 0.9]))
    phi = phi.clamp(low, high)
    return (temperature * phi / phi.mean()).float()


def _cross_entropy_of_first(logits: Tensor) -> Tensor:
    """Return the mean cross-entropy of logits (B, C) whose first column is the target's."""
    return (logits.logsumexp(dim=1) - logits[:, 0]).mean()
