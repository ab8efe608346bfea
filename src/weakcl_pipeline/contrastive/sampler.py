"""How the pictures of an epoch are put into batches: uniformly, or so that anchors meet partners."""

from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from weakcl_pipeline.config import Config
from weakcl_pipeline.errors import InputError

Rows = npt.NDArray[np.int64]
Clusters = npt.NDArray[np.signedinteger]
"""(N,) cluster of each sample; negative for none."""


class SamplerConfig(Config):
    """Parameters of the batch sampler.

    Attributes:
        name: ``uniform`` or ``cluster_aware``.
        partners: For ``cluster_aware``: how many partners an anchor is given, samples of its own cluster in its batch.
            Clusters that are smaller than an anchor and its partners are drawn one by one, as without it.
        share: For ``cluster_aware``: the share of samples that are drawn together with partners, as far as there are
            as many with a cluster that is large enough.
    """

    name: Literal["uniform", "cluster_aware"] = "cluster_aware"
    partners: int = Field(default=1, ge=1)
    share: float = Field(default=0.5, ge=0, le=1)

    def require_room(self, batch_size: int, key: str) -> None:
        """Refuse batches that an anchor and its partners fill, so that nothing would be left to tell them apart from.

        Args:
            batch_size: Samples in a batch.
            key: Where that is from.

        Raises:
            InputError: If they do not; it names the key.
        """
        if self.name == "cluster_aware" and self.partners + 1 >= batch_size:
            partners = "partner" if self.partners == 1 else f"{self.partners} partners"
            msg = (
                f"{key}: an anchor and its {partners} (training.sampler.partners) leave no room for a negative in a"
                f" batch of {batch_size}"
            )
            raise InputError(msg)


def uniform_batches(
    clusters: Clusters, batch_size: int, config: SamplerConfig, generator: np.random.Generator
) -> list[Rows]:
    """Shuffle the samples and cut them into batches; what does not fill a last batch is left out of this epoch.

    Args:
        clusters: The cluster of each sample, (N,); only its length is used.
        batch_size: Samples in a batch, at most N.
        config: Not used here; every sampler takes the same arguments.
        generator: The epoch's random numbers.

    Returns:
        ``N // batch_size`` disjoint arrays of sample positions, int64 (batch_size,).
    """
    order = generator.permutation(len(clusters))
    return list(order[: len(order) // batch_size * batch_size].reshape(-1, batch_size))


def cluster_aware_batches(
    clusters: Clusters, batch_size: int, config: SamplerConfig, generator: np.random.Generator
) -> list[Rows]:
    """Draw batches in which a share of the anchors has partners of their own cluster.

    The samples of an epoch are drawn as in uniform sampling: all but a last partial batch, each with the same
    probability. Each cluster is then cut at random into packs of ``partners + 1`` samples; random packs that hold a
    ``share`` of the samples, or all packs where these hold less, are dealt to the batches in turn, and every other
    sample fills the places left, one by one. So each sample is visited as often as under uniform sampling, and what
    changes is who meets whom: samples of one cluster share a batch more often than by chance, so that an anchor has
    more positives, and a few negatives of its own cluster more in the denominator. Packs are drawn in proportion to the
    size of the clusters; clusters smaller than a pack, and samples without a cluster, are dealt one by one.

    Args:
        clusters: The cluster of each sample, (N,); a negative id means none.
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


def _draw_packs(clusters: Clusters, visited: Rows, config: SamplerConfig, generator: np.random.Generator) -> Rows:
    """Return random disjoint packs of visited samples of one cluster, int64 (packs, partners + 1)."""
    size = config.partners + 1
    ids = np.maximum(clusters[visited], -1)
    if ids.max(initial=0) < 1 << 15:
        ids = ids.astype(np.int16)  # which are sorted in linear time
    order = np.argsort(ids, kind="stable")
    by_cluster, ids = visited[order], ids[order]
    by_cluster, ids = by_cluster[ids >= 0], ids[ids >= 0]
    starts = np.flatnonzero(np.diff(ids, prepend=-1))
    counts = np.diff(starts, append=len(ids))
    position = np.arange(len(ids)) - np.repeat(starts, counts)
    whole = position < np.repeat(counts // size * size, counts)
    packs = generator.permutation(by_cluster[whole].reshape(-1, size))
    return packs[: round(config.share * len(visited) / size)]


Sampler = Callable[[Clusters, int, SamplerConfig, np.random.Generator], list[Rows]]

SAMPLERS: dict[str, Sampler] = {
    "uniform": uniform_batches,
    "cluster_aware": cluster_aware_batches,
}


def draw_batches(
    clusters: Clusters, batch_size: int, config: SamplerConfig, generator: np.random.Generator
) -> list[Rows]:
    """Draw an epoch's batches with the configured sampler; see the samplers for arguments and result.

    Raises:
        ValueError: If the batch size is not between 1 and the number of samples.
    """
    if not 1 <= batch_size <= len(clusters):
        msg = f"expected a batch size between 1 and {len(clusters)}, the number of samples, got {batch_size}"
        raise ValueError(msg)
    return SAMPLERS[config.name](clusters, batch_size, config, generator)


def partner_share(batches: list[Rows], clusters: Clusters) -> float:
    """Return the share of anchors that have another sample of their cluster in their batch.

    Args:
        batches: Disjoint arrays of sample positions, all as long; at least one.
        clusters: The cluster of each sample, (N,); a negative id means none, and so no partner.

    Raises:
        ValueError: If there is no batch.
    """
    if not batches:
        msg = "expected at least one batch, got none"
        raise ValueError(msg)
    return float(has_partner(batches, clusters)[np.concatenate(batches)].mean())


def has_partner(batches: list[Rows], clusters: Clusters) -> npt.NDArray[np.bool_]:
    """Return which samples have another sample of their cluster in their batch, bool (N,); false where not visited.

    Args:
        batches: Disjoint arrays of sample positions, all as long.
        clusters: The cluster of each sample, (N,); a negative id means none, and so no partner.
    """
    visited = np.stack(batches)
    ids = clusters[visited]
    order = np.argsort(ids, axis=1)
    visited, ids = (np.take_along_axis(what, order, axis=1) for what in (visited, ids))
    alike = (ids[:, 1:] == ids[:, :-1]) & (ids[:, 1:] >= 0)
    partnered = np.zeros(len(clusters), dtype=np.bool_)
    partnered[visited[:, 1:][alike]] = True
    partnered[visited[:, :-1][alike]] = True
    return partnered
