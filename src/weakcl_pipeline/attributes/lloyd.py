"""Lloyd's iterations, of k-means in one process or in several, on whatever device the points are."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from weakcl_pipeline.hardware import computes_bf16

_APART = 1 / 256
"""How far apart halves of a cluster start in each coordinate, as a share of a typical one."""

_SCORES = {"cpu": 2**21, "cuda": 2**26}
"""Scores at once, of so many points and all centroids: what fits the caches, or a part of a GPU's memory."""
_FEWEST_POINTS = 128
"""Points at once at least, however many centroids there are: a product of fewer rows is slow."""
_COPIED = 2**16
"""Points of which there is a copy in float32 at a time."""
_COLUMNS = 2**16
"""What 16 bits can number."""


@dataclass(frozen=True)
class Lloyd:
    """What Lloyd's iterations end with.

    Attributes:
        centroids: float32 (k, D); spherical: of length 1.
        closest: The nearest centroid of each point, int64 (n,).
        inertia: Mean squared Euclidean distance of all workers' points to their nearest centroids.
    """

    centroids: Tensor
    closest: Tensor
    inertia: float


def lloyd(
    points: Tensor,
    first: Tensor,
    iterations: int,
    *,
    spherical: bool,
    generator: np.random.Generator,
    add: Callable[[Tensor], Tensor] = lambda own: own,
) -> Lloyd:
    """Move centroids to the means of the points that are nearest to them, again and again.

    Where the hardware multiplies in bfloat16, all but the last search for nearest centroids do so: points whose two
    nearest centroids are about as near may take the farther one, which moves means by next to nothing
    (docs/benchmarks.md has inertias). A centroid that no point is nearest to takes half of another one's cluster, which
    is drawn by size, as in faiss; so does one that would start where another one does.

    Args:
        points: This worker's, float32 (n, D); spherical: of length 1.
        first: Where centroids start, float32 (k, D), at most as many as all workers' points; the same on every worker.
        iterations: How often they move at most; once no point changes its cluster, they stay where they are.
        spherical: Keep centroids at length 1, so that closeness is the cosine.
        generator: Draws the clusters that are halved; in the same state on every worker.
        add: Adds up what the workers have; one worker alone has all.
    """
    count = add(torch.tensor(len(points), device=points.device))
    centre = add(points.sum(dim=0)) / count
    search = _Search(points, centre, torch.bfloat16 if computes_bf16(points.device) else torch.float32)
    centroids, closest = _part_twins(first, generator), points.new_full((len(points),), -1, dtype=torch.int64)
    for _ in range(iterations):
        before, closest = closest, search.closest(centroids)
        changed = add((closest != before).sum())
        sizes = add(closest.bincount(minlength=len(centroids)))
        if not changed and sizes.all():
            break
        sums = add(torch.zeros_like(centroids).index_add_(0, closest, points))
        centroids = _halve_large(sums / sizes.clamp(min=1)[:, None], sizes.cpu().numpy(), generator)
        centroids = F.normalize(centroids, dim=1) if spherical else centroids
    closest, distances = _search_exactly(points, centre, centroids)
    return Lloyd(centroids, closest, (add(distances) / count).item())


class _Search:
    """Finds nearest centroids: those with the largest x c - |c|^2 / 2, a product of matrices.

    Args:
        points: float32 (n, D).
        centre: What coordinates are counted from, float32 (D,): near zero, numbers of few digits lie close together.
        dtype: Of the product.
    """

    def __init__(self, points: Tensor, centre: Tensor, dtype: torch.dtype) -> None:
        self._centre = centre
        self._summands = 3 if dtype is torch.bfloat16 else 1  # of |c|^2 / 2, whose digits one bfloat16 cannot hold
        self._points = points.new_ones(len(points), points.shape[1] + self._summands, dtype=dtype)
        self._points[:, : points.shape[1]] = points - centre

    def closest(self, centroids: Tensor) -> Tensor:
        """Return the nearest centroid of each point, int64 (n,)."""
        moved = centroids - self._centre
        columns = [moved.to(self._points.dtype)]
        rest = moved.square().sum(dim=1, keepdim=True) / -2
        for _ in range(self._summands):
            columns.append(rest.to(self._points.dtype))
            rest = rest - columns[-1].float()
        factors = torch.cat(columns, dim=1).T
        found = torch.empty(len(self._points), dtype=torch.int64, device=moved.device)
        at_once = max(_FEWEST_POINTS, _SCORES.get(moved.device.type, _SCORES["cpu"]) // len(centroids))
        scores = self._points.new_empty(at_once, len(centroids))
        spare = torch.empty_like(scores, dtype=torch.float32)  # memory for all blocks, or each would ask for its own
        for block, answer in zip(torch.split(self._points, at_once), torch.split(found, at_once), strict=True):
            own = slice(len(block))
            answer.copy_(_column_of_largest(torch.mm(block, factors, out=scores[own]), spare[own]))
        return found


def _column_of_largest(scores: Tensor, spare: Tensor) -> Tensor:
    """Return where each row of scores (n, k) has its largest; which of equals is not said. `spare` is overwritten.

    The 16 bits that float32 has more than bfloat16 have room for a column, so that looking for the largest number finds
    it as well, in a third of the time.
    """
    if scores.dtype is not torch.bfloat16 or scores.shape[1] > _COLUMNS:
        return scores.max(dim=1).indices
    columns = torch.arange(scores.shape[1], dtype=torch.int32, device=scores.device)
    spare.copy_(scores).view(torch.int32).bitwise_or_(columns)
    return spare.amax(dim=1).view(torch.int32).bitwise_and(_COLUMNS - 1)


def _search_exactly(points: Tensor, centre: Tensor, centroids: Tensor) -> tuple[Tensor, Tensor]:
    """Return the nearest centroid of each point, int64 (n,), and the sum of their squared distances, float64."""
    closest, distances = [], torch.zeros((), dtype=torch.float64, device=points.device)
    for block in torch.split(points, _COPIED):
        closest.append(_Search(block, centre, torch.float32).closest(centroids))
        distances += (block - centroids[closest[-1]]).square().sum(dtype=torch.float64)
    return torch.cat(closest), distances


def _part_twins(first: Tensor, generator: np.random.Generator) -> Tensor:
    """Return first centroids (k, D) of which those that coincide with an earlier one are halves of such clusters.

    Else rounding would decide, for each of the points that are there, to which of the two it goes.
    """
    _, kept, counts = np.unique(first.cpu().numpy(), axis=0, return_index=True, return_counts=True)
    sizes = np.zeros(len(first), dtype=np.int64)
    sizes[kept] = counts
    return _halve_large(first, sizes, generator)


def _halve_large(centroids: Tensor, sizes: npt.NDArray[np.int64], generator: np.random.Generator) -> Tensor:
    """Return centroids (k, D) where each that has no point is half of another one's cluster, drawn by its size (k,).

    All that have none are filled at once, as far as there are clusters to halve; then halves are halved, and so on. One
    half stays where the whole was, so that points that coincide there have one nearest centroid and stay together.
    """
    empty = np.flatnonzero(sizes == 0)
    if not len(empty):
        return centroids
    apart = torch.full_like(centroids[0], _APART * float(centroids[sizes > 0].abs().mean()))
    apart[1::2] *= -1
    centroids, left = centroids.clone(), sizes.copy()
    while len(empty):
        weights = (left - 1).clip(min=0)
        count = min(len(empty), int(np.count_nonzero(weights)))
        large = generator.choice(len(left), count, replace=False, p=weights / weights.sum())
        filled, empty = empty[:count], empty[count:]
        centroids[filled] = centroids[large] + apart[generator.permutation(len(apart))]
        apart /= 2  # so that no half meets another
        left[filled] = left[large] // 2
        left[large] -= left[filled]
    return centroids
