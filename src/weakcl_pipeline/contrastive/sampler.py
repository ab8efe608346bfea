"""How the pictures of an epoch are put into batches: uniformly, or so that anchors meet partners."""

from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from weakcl_pipeline.config import Config

Rows = npt.NDArray[np.int64]


class SamplerConfig(Config):
    """Parameters of the batch sampler.

    Attributes:
        name: ``uniform`` or ``cluster_aware``.
        partners: For ``cluster_aware``: how many partners an anchor is given, samples of its own cluster in its batch.
        share: For ``cluster_aware``: the share of samples that are drawn together with partners.
    """

    name: Literal["uniform", "cluster_aware"] = "cluster_aware"
    partners: int = Field(default=1, ge=1)
    share: float = Field(default=0.5, ge=0, le=1)


def uniform_batches(
    clusters: Rows, batch_size: int, config: SamplerConfig, generator: np.random.Generator
) -> list[Rows]:
    """Shuffle the samples and cut them into batches; what does not fill a last batch is left out of this epoch.

    Args:
        clusters: The cluster of each sample, int64 (N,); only its length is used.
        batch_size: Samples in a batch, at most N.
        config: Not used here; every sampler takes the same arguments.
        generator: The epoch's random numbers.

    Returns:
        ``N // batch_size`` disjoint arrays of sample positions, int64 (batch_size,).
    """
    order = generator.permutation(len(clusters))
    return list(order[: len(order) // batch_size * batch_size].reshape(-1, batch_size))


def cluster_aware_batches(
    clusters: Rows, batch_size: int, config: SamplerConfig, generator: np.random.Generator
) -> list[Rows]:
    """Draw batches in which a share of the anchors has partners of their own cluster.

    The samples of an epoch are drawn as in uniform sampling: all but a last partial batch, each with the same
    probability. Each cluster is then cut at random into packs of ``partners + 1`` samples; random packs that hold a
    ``share`` of the samples are dealt to the batches in turn, and every other sample fills the places left, one by
    one. So each sample is visited as often as under uniform sampling, and what changes is who meets whom: samples of
    one cluster share a batch more often than by chance, so that an anchor has more positives, and a few negatives of
    its own cluster more in the denominator. Packs are drawn in proportion to the size of the clusters; clusters
    smaller than a pack, and samples without a cluster, are dealt one by one.

    Args:
        clusters: The cluster of each sample, int64 (N,); a negative id means none.
        batch_size: Samples in a batch, at most N.
        config: Number of partners and share.
        generator: The epoch's random numbers.

    Returns:
        ``N // batch_size`` disjoint arrays of sample positions, int64 (batch_size,).
    """
    n_batches = len(clusters) // batch_size
    visited = generator.permutation(len(clusters))[: n_batches * batch_size]
    packs = _draw_packs(clusters, visited, config, generator)
    packs = packs[: batch_size // packs.shape[1] * n_batches]
    single = np.zeros(len(clusters), dtype=np.bool_)
    single[visited], single[packs] = True, False
    singles = generator.permutation(np.flatnonzero(single))
    batches, taken = [], 0
    for index in range(n_batches):
        together = packs[index::n_batches].ravel()
        room = batch_size - len(together)
        batches.append(np.concatenate([together, singles[taken : taken + room]]))
        taken += room
    return batches


def _draw_packs(clusters: Rows, visited: Rows, config: SamplerConfig, generator: np.random.Generator) -> Rows:
    """Return random disjoint packs of visited samples of one cluster, int64 (packs, partners + 1)."""
    size = config.partners + 1
    by_cluster = visited[np.argsort(clusters[visited], kind="stable")]
    by_cluster = by_cluster[clusters[by_cluster] >= 0]
    _, starts, counts = np.unique(clusters[by_cluster], return_index=True, return_counts=True)
    position = np.arange(len(by_cluster)) - np.repeat(starts, counts)
    whole = position < np.repeat(counts // size * size, counts)
    packs = generator.permutation(by_cluster[whole].reshape(-1, size))
    return packs[: round(config.share * len(visited) / size)]


Sampler = Callable[[Rows, int, SamplerConfig, np.random.Generator], list[Rows]]

SAMPLERS: dict[str, Sampler] = {
    "uniform": uniform_batches,
    "cluster_aware": cluster_aware_batches,
}


def draw_batches(clusters: Rows, batch_size: int, config: SamplerConfig, generator: np.random.Generator) -> list[Rows]:
    """Draw an epoch's batches with the configured sampler; see the samplers for arguments and result."""
    return SAMPLERS[config.name](clusters, batch_size, config, generator)


def partner_share(batches: list[Rows], clusters: Rows) -> float:
    """Return the share of anchors that have another sample of their cluster in their batch.

    Args:
        batches: Arrays of sample positions.
        clusters: The cluster of each sample, int64 (N,); a negative id means none, and so no partner.
    """
    return float(has_partner(batches, clusters)[np.concatenate(batches)].mean())


def has_partner(batches: list[Rows], clusters: Rows) -> npt.NDArray[np.bool_]:
    """Return which samples have another sample of their cluster in their batch, bool (N,); false where not visited.

    Args:
        batches: Disjoint arrays of sample positions.
        clusters: The cluster of each sample, int64 (N,); a negative id means none, and so no partner.
    """
    visited = np.concatenate(batches)
    batch_of = np.repeat(np.arange(len(batches)), [len(batch) for batch in batches])
    ids = np.maximum(clusters[visited], -1)
    key = batch_of * (ids.max() + 2) + ids + 1
    _, meeting, counts = np.unique(key, return_inverse=True, return_counts=True)
    partnered = np.zeros(len(clusters), dtype=np.bool_)
    partnered[visited] = (counts[meeting] > 1) & (ids >= 0)
    return partnered
