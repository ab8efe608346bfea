"""The pictures of the report: members of some clusters, and nearest neighbours of some test pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from weakcl_pipeline.attributes.report import describe_largest
from weakcl_pipeline.evaluation.knn import nearest
from weakcl_pipeline.evaluation.methods import describe_method, in_order
from weakcl_pipeline.evaluation.task import Floats, Integers
from weakcl_pipeline.evaluation.thumbnails import thumbnail
from weakcl_pipeline.images import ImageStore
from weakcl_pipeline.seeding import numpy_generator
from weakcl_pipeline.sources import LABEL_PREFIX


@dataclass(frozen=True)
class Picture:
    """A picture in the page.

    Attributes:
        uri: The picture itself, as a data URI.
        name: Its sample's id.
        label: Its class; None without a label.
        right: Whether its class is that of the picture it is shown for; None where it is shown for none.
    """

    uri: str
    name: str
    label: str | None
    right: bool | None = None


@dataclass(frozen=True)
class ClusterCard:
    """A cluster and some of its members.

    Attributes:
        number: The cluster's id.
        size: Its members in the train split.
        attributes: What they have in common.
        pictures: Some of them.
    """

    number: int
    size: int
    attributes: Sequence[str]
    pictures: Sequence[Picture]


@dataclass(frozen=True)
class Query:
    """A test picture with its nearest train pictures.

    Attributes:
        picture: The test picture.
        neighbours: Title of a method -> the nearest pictures in its features, nearest first.
    """

    picture: Picture
    neighbours: Mapping[str, Sequence[Picture]]


class Gallery:
    """Draws pictures for the report; which ones depends on the seed alone.

    Args:
        samples: N rows: ``sample_id``, ``split``, ``label_<name>``.
        images: The store, N pictures in the same order.
        label: The label that neighbours are judged by.
        seed: Of the draws.
    """

    def __init__(self, samples: pl.DataFrame, images: ImageStore, label: str, seed: int) -> None:
        self._ids, self._images, self._seed = samples["sample_id"], images, seed
        self._labels = samples[LABEL_PREFIX + label].cast(pl.String).to_list()
        self._rows = {name: np.flatnonzero((samples["split"] == name).to_numpy()) for name in ("train", "test")}
        self._uris: dict[int, str] = {}

    def clusters(
        self, assigned: pl.Series, binary: pl.DataFrame, *, largest: int, typical: int, pictures: int
    ) -> tuple[list[ClusterCard], list[ClusterCard]]:
        """Show the largest clusters, and typical ones: those around the cluster of the median picture of the others.

        Args:
            assigned: Cluster of each sample, nullable.
            binary: Boolean attributes of the samples.
            largest: How many of the largest.
            typical: How many typical ones.
            pictures: How many pictures of each, at most.
        """
        train = self._rows["train"]
        ids = assigned.fill_null(-1).cast(pl.Int64).to_numpy()[train]
        count = len(np.unique(ids[ids >= 0]))
        described = describe_largest(ids, binary[train], largest=count)
        cards = [(entry["cluster"], entry["size"], entry["attributes"]) for entry in described]
        chosen = _typical([size for _, size, _ in cards], largest, typical)
        shown = [*range(min(largest, count)), *chosen]
        made = [self._card(*cards[rank], ids=ids, pictures=pictures) for rank in shown]
        return made[: min(largest, count)], made[min(largest, count) :]

    def _card(self, cluster: int, size: int, attributes: Sequence[str], *, ids: Integers, pictures: int) -> ClusterCard:
        members = self._rows["train"][ids == cluster]
        rng = numpy_generator(self._seed, "report", "cluster", cluster)
        chosen = rng.choice(members, min(pictures, len(members)), replace=False)
        return ClusterCard(cluster, size, attributes, [self._picture(int(row)) for row in np.sort(chosen)])

    def queries(self, features: Mapping[str, Floats], *, count: int, neighbours: int) -> list[Query]:
        """Show labelled test pictures, of different classes as far as possible, with their nearest train pictures.

        Args:
            features: Method -> float32 (N, D).
            count: How many test pictures.
            neighbours: How many nearest pictures of each, at most.
        """
        rows, train = self._draw_queries(count), self._rows["train"]
        found: dict[str, Integers] = {}
        for name in in_order(features) if len(rows) else ():
            _, nearest_rows = nearest(features[name][rows], features[name][train], min(neighbours, len(train)))
            found[describe_method(name).title] = train[nearest_rows]
        return [
            Query(
                self._picture(int(row)),
                {title: [self._picture(int(near), int(row)) for near in nears[i]] for title, nears in found.items()},
            )
            for i, row in enumerate(rows)
        ]

    def _draw_queries(self, count: int) -> Integers:
        """Take one test picture of each class in turn, classes and pictures in random order."""
        rng = numpy_generator(self._seed, "report", "queries")
        labelled = [int(row) for row in rng.permutation(self._rows["test"]) if self._labels[row] is not None]
        turn: dict[str | None, int] = {}
        order = []
        for row in labelled:
            turn[self._labels[row]] = turn.get(self._labels[row], -1) + 1
            order.append((turn[self._labels[row]], row))
        first = sorted(order, key=lambda item: item[0])[:count]
        return np.array([row for _, row in first], dtype=np.int64)

    def _picture(self, row: int, query: int | None = None) -> Picture:
        if row not in self._uris:
            self._uris[row] = thumbnail(self._images, row)
        label = self._labels[row]
        right = None if query is None or label is None else label == self._labels[query]
        return Picture(self._uris[row], self._ids[row], label, right)


def _typical(sizes: Sequence[int], largest: int, count: int) -> list[int]:
    """Return the ranks around the cluster of the median picture of the clusters that are not the largest, in order.

    Without the largest, because one of them (the pictures with none of the attributes) often has most pictures.

    Args:
        sizes: Of the clusters, in decreasing order.
        largest: How many are shown already.
        count: How many to return, at most.
    """
    rest = range(min(largest, len(sizes)), len(sizes))
    others = np.array(sizes[rest.start :])
    median = rest.start + int(np.searchsorted(np.cumsum(others), others.sum() / 2))
    return sorted(sorted(rest, key=lambda rank: abs(rank - median))[:count])
