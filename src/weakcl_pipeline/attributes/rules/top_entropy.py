"""The cluster rule of the Cl-InfoNCE paper: combinations of the binary attributes with the highest entropy.

Tsai et al., "Learning Weakly-Supervised Contrastive Representations" (ICLR 2022, arXiv:2202.06670). The
tables that were released with it (`rank_H`, `label_gran_k`) are nested and hold at most 2^k clusters, as
this rule gives.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from torch import Tensor

from weakcl_pipeline.attributes.binarise import Indicator, indicate
from weakcl_pipeline.attributes.casting import AttributeKind
from weakcl_pipeline.attributes.columns import Columns
from weakcl_pipeline.attributes.measures import count_entropy
from weakcl_pipeline.attributes.rules.base import FittedRule, FittingData, Ids, Rule, State
from weakcl_pipeline.attributes.rules.combinations import Combinations, word_names
from weakcl_pipeline.attributes.rules.numbering import look_up
from weakcl_pipeline.errors import InputError


def rank_by_entropy(binary: pl.DataFrame, train: npt.NDArray[np.bool_]) -> list[tuple[str, float]]:
    """Binary attributes from the most to the least informative, with their scores in bits.

    The score is the entropy of the observed cells times the share of cells that are observed: a bit that is
    known of half the samples can tell at most half a bit per sample. Equal scores are ordered by name.

    Args:
        binary: Boolean columns of N rows; null = not observed.
        train: (N,) rows of the train split; no other row has a say.
    """
    if not binary.width:
        return []
    seen = binary.filter(pl.Series(train))
    observed = seen.select(pl.all().count()).row(0)
    ones = seen.select(pl.all().sum()).row(0)
    counts = zip(binary.columns, ones, observed, strict=True)
    return _ranked((name, _score(one, known, seen.height)) for name, one, known in counts)


def _score(yes: int, known: int, rows: int) -> float:
    return count_entropy([yes, known - yes]) * known / max(1, rows)


def _ranked(scores: Iterable[tuple[str, float]]) -> list[tuple[str, float]]:
    return sorted(scores, key=lambda item: (-item[1], item[0]))


@dataclass(frozen=True)
class FittedCombinations(FittedRule):
    """Clusters that are combinations of the first k of a list of indicators.

    A combination that no fitted row had has no cluster: nothing it could be like was learnt.

    Attributes:
        indicators: From the most to the least informative.
        combinations: k -> the combination of each cluster in the order of ids, as the words of `Combinations.first`.
    """

    indicators: tuple[Indicator, ...]
    combinations: Mapping[int, pl.DataFrame]

    def assign(self, attributes: Columns) -> dict[int, Ids]:
        """Look up each row's combinations."""
        found = Combinations.of(indicate(attributes, self.indicators))
        return {k: look_up(found.first(k), known)[found.codes] for k, known in self.combinations.items()}

    def to_state(self) -> State:
        """Return the combinations as tensors int64 (clusters, words), and the indicators."""
        tensors = {str(k): torch.from_numpy(words.to_numpy().copy()) for k, words in self.combinations.items()}
        return tensors, {"indicators": [list(indicator) for indicator in self.indicators]}

    @classmethod
    def from_state(cls, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> Self:
        """Return the rule that `to_state` described."""
        indicators = tuple(Indicator(name, AttributeKind(kind), value) for name, kind, value in metadata["indicators"])
        combinations = {int(k): pl.DataFrame(words.numpy(), schema=word_names(int(k))) for k, words in tensors.items()}
        return cls(indicators, dict(sorted(combinations.items())))


class TopEntropy(Rule):
    """Clusters are the distinct combinations of the k binary attributes with the highest entropy on train.

    Ids are dense, 0 for the cluster with the most train samples, and depend on nothing but the combinations
    and their train counts: equal counts are ordered by combination (false before true, the highest-ranked
    attribute first). A combination that only validation or test samples have gets an id after those of the
    train split, again ordered by combination. A sample for which one of the k attributes is missing has no
    cluster, since any value put in its place would claim a similarity that nobody observed.
    """

    name: Literal["top_entropy"] = "top_entropy"
    fitted: ClassVar[type[FittedRule]] = FittedCombinations
    granularity_is: ClassVar[str] = "binary attributes"
    on_binary: ClassVar[bool] = True

    def fit(self, data: FittingData, granularities: Sequence[int]) -> FittedCombinations:
        """Rank the binary attributes, and number the combinations of the first k for every k.

        Raises:
            InputError: A granularity asks for more attributes than there are.
        """
        return self.fit_assign(data, granularities)[0]

    def fit_assign(self, data: FittingData, granularities: Sequence[int]) -> tuple[FittedCombinations, dict[int, Ids]]:
        """Fit, and look up the combinations that were found on the way."""
        indicators = {indicator.name: indicator for indicator, _, _ in data.counted}
        most = max(granularities)
        if most > len(indicators):
            raise InputError(
                f"clustering.granularities: {most} asks for the {most} best binary attributes, but there are only"
                f" {len(indicators)}. Lower it, lower min_count in ingestion.attributes, or let more attributes"
                f" take part (clustering.attributes)."
            )
        rows = int(data.train.sum())
        scores = ((indicator.name, _score(yes, known, rows)) for indicator, yes, known in data.counted)
        best = tuple(indicators[name] for name, _ in _ranked(scores)[:most])
        found = Combinations.of(data.binary.select(indicator.name for indicator in best))
        numbered = {k: found.numbered(k, data.train) for k in sorted(set(granularities))}
        fitted = FittedCombinations(best, {k: words for k, (words, _) in numbered.items()})
        return fitted, {k: ids for k, (_, ids) in numbered.items()}
