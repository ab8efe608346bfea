"""How alike two samples are by what is known of both, in [0, 1]: attributes without clusters.

The affinity is Gower's general coefficient of similarity ("A General Coefficient of Similarity and Some of Its
Properties", Biometrics 1971): the weighted mean of one similarity per attribute, over the attributes known of both
samples. A missing value adds nothing to numerator and denominator: it is neither equal to another missing value nor
different from anything. A pair of which nothing is known in common has no affinity: NaN, which is not 0, the affinity
of two samples that are known to share nothing.

An attribute counts by how much it says of the pair, in bits, times its weight in `AffinityConfig`. The information
content of a tag is -log2 of its share of the train samples whose tags are known; so rare tags count more than common
ones, and long lists of tags more than a bool that is true of half the samples.

| kind | similarity of a pair | bits |
| --- | --- | --- |
| tags | bits of the tags that both have / bits of the tags that either has | of the tags that either has |
| bool | 1 where both are true, 0 where one is | of being true; 0 where both are false |
| categorical | 1 for the same value, else 0 | of the values that either has |
| hierarchy | 2 x depth of the deepest common ancestor / sum of both depths | of the two paths, on average |
| continuous | exp(-d^2 / 2), d the difference in kernel widths | -log2 of the mean similarity of two samples |

Tags are compared by the weighted Jaccard index: what a pair shares of all that is said of it, 1 only for equal sets.
(A cosine rates long lists that share a few tags higher, and its squared weights have no unit.) Two empty lists, or two
times false, are not compared, as is Gower's rule for joint absence: pictures that nobody called a heart may show
anything. Bool columns thus work as one set of tags, written as columns.

Tags, categories and nodes are the indicators of `binarise`: an excluded one, and one rarer than `min_count`, counts for
nobody. Of a path it is cut out before depths are taken (Wu and Palmer, "Verb Semantics and Lexical Selection", ACL
1994). Vectors are not compared: they have no bits. What is the same for all samples has no bits, and is not compared.
"""

from collections.abc import Mapping, Sequence
from math import log2

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from pydantic import Field, PositiveFloat
from torch import Tensor, nn

from weakcl_pipeline.attributes.binarise import binarise
from weakcl_pipeline.attributes.casting import AttributeKind
from weakcl_pipeline.attributes.schema import AttributeSpec
from weakcl_pipeline.config import Config
from weakcl_pipeline.errors import InputError

_QUANTILES = 512
"""As many train quantiles stand for a continuous column: all pairs of a million values are too many."""


class AffinityConfig(Config):
    """Parameters of `Affinity`.

    Attributes:
        weights: Column -> what its bits are multiplied by; 1 where it is not named.
        width: Width (standard deviation) of the kernel of continuous attributes, as a fraction of the median
            difference between two train samples that differ, which no outlier moves. A quarter makes a pair at the
            median difference unrelated (e^-8), and one at a quarter of it worth 0.61.
    """

    weights: dict[str, PositiveFloat] = Field(default_factory=dict)
    width: float = Field(default=0.25, gt=0)


class Affinity(nn.Module):
    """The affinity of any two samples of the train split, tile by tile.

    What it holds of a column grows with the samples, times the most that is said of one of them (the longest list of
    tags); an N x N matrix is never made.

    Args:
        attributes: Typed columns of the train split, N rows.
        specs: The columns to use -> their specification, with the kind set.
        config: Weights and kernel width.

    Raises:
        InputError: There is no column but vectors, or a weight is given for one that is not compared.
    """

    weights: Tensor

    def __init__(
        self, attributes: pl.DataFrame, specs: Mapping[str, AttributeSpec], config: AffinityConfig | None = None
    ) -> None:
        super().__init__()
        config = config or AffinityConfig()
        compared = comparable(specs)
        _check(compared, config)
        flags = [name for name in compared if specs[name].kind == AttributeKind.BOOL]
        others = [name for name in compared if name not in flags]
        self._parts = nn.ModuleList(_by_column(attributes[name], specs[name], config.width) for name in others)
        weights = [config.weights.get(name, 1.0) for name in others]
        if flags:
            self._parts.append(_by_flags(attributes.select(flags), [config.weights.get(name, 1.0) for name in flags]))
            weights.append(1.0)
        self.register_buffer("weights", torch.tensor(weights, dtype=torch.float32), persistent=False)

    def forward(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Compute one tile of the matrix of affinities.

        Args:
            rows: Positions in the train split, int64 (A,).
            columns: Positions in the train split, int64 (B,).

        Returns:
            Affinities in [0, 1], NaN where no attribute is known of both samples; float32 (A, B), without gradient.
        """
        shared = torch.zeros(len(rows), len(columns), device=rows.device)
        said, known = torch.zeros_like(shared), torch.zeros_like(shared, dtype=torch.bool)
        for part, weight in zip(self._parts, self.weights, strict=True):
            shared_by_part, said_by_part, known_by_part = part(rows, columns)
            shared.addcmul_(shared_by_part, weight)
            said.addcmul_(said_by_part, weight)
            known |= known_by_part
        affinities = shared.div_(said.masked_fill_(said == 0, 1)).clamp_(max=1)  # rounding may pass 1
        return affinities.masked_fill_(~known, torch.nan)


class _Sets(nn.Module):
    """Sets of indicators, compared by the weighted Jaccard index.

    Args:
        indicators: Boolean columns of N rows, M of them; null = not observed.
        known: Which of them are known, Boolean (N, M), or (N, 1) where it is all or none of them.
        bits: What each counts, (M,).
    """

    codes: Tensor
    known: Tensor
    bits: Tensor

    def __init__(self, indicators: pl.DataFrame, known: pl.DataFrame, bits: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("codes", _padded_codes(indicators, known.height), persistent=False)
        self.register_buffer("known", torch.tensor(known.to_numpy()), persistent=False)
        self.register_buffer("bits", torch.tensor(bits, dtype=torch.float32), persistent=False)

    def forward(self, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the bits that both samples have, that either has, and where anything is known of both, (A, B)."""
        has, bits, known = self._look_up(rows)
        others_have, others_bits, others_known = self._look_up(columns)
        shared = (has * self.bits) @ others_have.T
        return shared, bits @ others_known.T + known @ others_bits.T - shared, known @ others_known.T > 0

    def _look_up(self, samples: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return which indicators the samples have, (A, M), their bits and what is known, both as wide as `known`."""
        has = _one_hot(self.codes[samples], len(self.bits))
        known = self.known[samples].float()
        bits = has * self.bits
        return has, bits if known.shape == has.shape else bits.sum(dim=1, keepdim=True), known


class _Paths(nn.Module):
    """Paths of a hierarchy, compared by the depth of their deepest common ancestor.

    Args:
        nodes: Boolean columns of N rows: which samples are at or below each of M nodes.
        known: Boolean (N,), whether the path is known.
        bits: Information content of each node, (M,).
    """

    codes: Tensor
    known: Tensor
    bits: Tensor

    def __init__(self, nodes: pl.DataFrame, known: pl.Series, bits: Sequence[float]) -> None:
        super().__init__()
        codes = _padded_codes(nodes, len(known))
        of_node = torch.tensor([*bits, 0.0])
        # The deepest node of a path is its rarest; a last column stands for the path without any.
        of_path = torch.cat([of_node[codes.long()], torch.zeros(len(known), 1)], dim=1).amax(dim=1)
        self.register_buffer("codes", codes, persistent=False)
        self.register_buffer("known", torch.tensor(known.to_numpy()), persistent=False)
        self.register_buffer("bits", of_path, persistent=False)
        self._n_nodes = len(bits)

    def forward(self, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the mean bits of both paths, with and without the similarity, and where both are known, (A, B)."""
        path, other = (_one_hot(self.codes[samples], self._n_nodes) for samples in (rows, columns))
        depths = path.sum(dim=1)[:, None] + other.sum(dim=1)
        similarity = 2 * (path @ other.T) / depths.clamp_(min=1)
        known = self.known[rows, None] & self.known[columns]
        said = (self.bits[rows, None] + self.bits[columns]) / 2 * known
        return similarity * said, said, known


class _Kernel(nn.Module):
    """Numbers, compared by a Gaussian kernel.

    Args:
        column: Float64, N rows; null = missing, and so is infinity.
        width: The kernel's width as a fraction of the column's median difference.
    """

    values: Tensor
    known: Tensor

    def __init__(self, column: pl.Series, width: float) -> None:
        super().__init__()
        known = column.is_finite().fill_null(value=False).to_numpy()
        numbers = column.to_numpy()[known]
        grid = _quantiles(numbers)
        differences = np.abs(grid[:, None] - grid)
        scale = width * float(np.median(differences[differences > 0])) if differences.any() else 1.0
        values = np.zeros(len(column))  # float64, in which values far from all others stay apart
        values[known] = (numbers - np.median(grid)) / scale
        self._bits = -log2(np.exp(-((differences / scale) ** 2) / 2).mean())
        self.register_buffer("values", torch.from_numpy(values), persistent=False)
        self.register_buffer("known", torch.tensor(known), persistent=False)

    def forward(self, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the column's bits where both samples are known, with and without the similarity, and where, (A, B)."""
        known = self.known[rows, None] & self.known[columns]
        said = known * self._bits
        similarity = (self.values[rows, None] - self.values[columns]).square_().div_(-2).exp_().float()
        return similarity * said, said, known


def comparable(specs: Mapping[str, AttributeSpec]) -> list[str]:
    """Return the columns by which samples can be compared: all but vectors, which have no bits."""
    return [name for name, spec in specs.items() if spec.kind != AttributeKind.VECTOR]


def _by_column(column: pl.Series, spec: AttributeSpec, width: float) -> nn.Module:
    """The similarity by one column that is not bool."""
    if spec.kind == AttributeKind.CONTINUOUS:
        return _Kernel(column, width)
    indicators = binarise(column.to_frame(), {column.name: spec}, pl.repeat(True, len(column), eager=True))
    bits, known = _information(indicators), column.is_not_null()
    if spec.kind == AttributeKind.HIERARCHY:
        return _Paths(indicators, known, bits)
    return _Sets(indicators, known.to_frame(), bits)


def _by_flags(flags: pl.DataFrame, weights: Sequence[float]) -> nn.Module:
    """The similarity by all bool columns: one set, for one matrix product."""
    bits = [weight * information for weight, information in zip(weights, _information(flags), strict=True)]
    return _Sets(flags, flags.select(pl.all().is_not_null()), bits)


def information_content(shares: Tensor) -> Tensor:
    """Return -log2 of the shares of the samples that have each attribute, float (A,), in bits; 0 for what none has."""
    return torch.where(shares > 0, -shares.log2(), 0)


def _information(indicators: pl.DataFrame) -> list[float]:
    """The bits of each indicator, by its share among the samples that it is known of."""
    shares = [share or 0.0 for share in indicators.mean().row(0)] if indicators.width else []
    return information_content(torch.tensor(shares, dtype=torch.float64)).tolist()


def _padded_codes(indicators: pl.DataFrame, n_samples: int) -> Tensor:
    """The numbers of the indicators that each sample has, int32 (N, most of any sample), padded with M.

    Lists and no N x M table: of thousands of tags, a sample has a few.
    """
    holders = [np.flatnonzero(column.fill_null(value=False).to_numpy()) for column in indicators]
    rows = np.concatenate([np.empty(0, dtype=np.int64), *holders])
    codes = np.repeat(np.arange(len(holders)), [len(held) for held in holders])
    order = np.argsort(rows, kind="stable")
    counts = np.bincount(rows, minlength=n_samples)
    places = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    padded = np.full((n_samples, counts.max(initial=0)), len(holders), dtype=np.int32)
    padded[rows[order], places] = codes[order]
    return torch.from_numpy(padded)


def _one_hot(codes: Tensor, number: int) -> Tensor:
    """Which of the indicators each row of padded codes names, float32 (A, M)."""
    return torch.zeros(len(codes), number + 1, device=codes.device).scatter_(1, codes.long(), 1.0)[:, :number]


def _quantiles(numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """All numbers in order, or `_QUANTILES` of them evenly spread; a zero where there are none."""
    count = min(len(numbers), _QUANTILES)
    if not count:
        return np.zeros(1)
    return np.quantile(numbers, (np.arange(count) + 0.5) / count, method="inverted_cdf")


def _check(compared: Sequence[str], config: AffinityConfig) -> None:
    if not compared:
        raise InputError(
            "affinity: there is no attribute column to compare samples by, as vectors are not compared. Declare others"
            " in ingestion.attributes, and let them take part (clustering.attributes)."
        )
    unknown = [name for name in config.weights if name not in compared]
    if unknown:
        raise InputError(
            f"affinity_kernel.weights: {', '.join(unknown)} not among the attribute columns that are compared"
            f" ({', '.join(compared)}). Correct the name, or remove the weight."
        )
