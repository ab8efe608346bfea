"""Clusters are the nodes of a hierarchy at one level."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import polars as pl
from torch import Tensor

from weakcl_pipeline.attributes.casting import AttributeKind
from weakcl_pipeline.attributes.columns import Columns
from weakcl_pipeline.attributes.hierarchy import ancestor_at
from weakcl_pipeline.attributes.rules.base import FittedRule, FittingData, Ids, Rule, State
from weakcl_pipeline.attributes.rules.columns import only_column
from weakcl_pipeline.attributes.rules.numbering import look_up, number_by_size

Shorter = Literal["own", "none"]


@dataclass(frozen=True)
class FittedHierarchyLevel(FittedRule):
    """Clusters that are nodes; a node that no fitted row lay below has no cluster.

    Attributes:
        column: The hierarchy.
        shorter: What becomes of a path that ends above the level.
        nodes: Level -> the node of each cluster in the order of ids.
    """

    column: str
    shorter: Shorter
    nodes: Mapping[int, tuple[str, ...]]

    def assign(self, attributes: Columns) -> dict[int, Ids]:
        """Look up the node that each row's path leads through."""
        return {
            level: look_up(
                _keys(attributes[self.column], level, self.shorter),
                pl.DataFrame({"node": nodes}, schema={"node": pl.String}),
            )
            for level, nodes in self.nodes.items()
        }

    def to_state(self) -> State:
        """Return the nodes as JSON."""
        nodes = {str(level): list(nodes) for level, nodes in self.nodes.items()}
        return {}, {"column": self.column, "shorter": self.shorter, "nodes": nodes}

    @classmethod
    def from_state(cls, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> Self:
        """Return the rule that `to_state` described."""
        nodes = {int(level): tuple(nodes) for level, nodes in metadata["nodes"].items()}
        return cls(metadata["column"], metadata["shorter"], nodes)


class HierarchyLevel(Rule):
    """A cut of a hierarchy: a sample's cluster is the node at level k of its path, the root being level 1.

    This is how Cl-InfoNCE clusters ImageNet-100 by WordNet. A node is named with its ancestors, so that equal names in
    different branches are different clusters, and a node with several parents is a cluster for each of the paths that
    lead to it. (The released code leaves out classes that have several ancestors at a level.) A missing path, and one
    without any node, has no cluster.

    Attributes:
        column: The hierarchy; may be left out where there is only one.
        shorter: A path that ends above the level is in the cluster of its last node (``own``, as in the released
            code), or in none (``none``).
    """

    name: Literal["hierarchy_level"] = "hierarchy_level"
    column: str | None = None
    shorter: Shorter = "own"
    fitted: ClassVar[type[FittedRule]] = FittedHierarchyLevel
    granularity_is: ClassVar[str] = "level"

    def fit(self, data: FittingData, granularities: Sequence[int]) -> FittedHierarchyLevel:
        """Number the nodes at every level.

        Raises:
            InputError: There is no such hierarchy, or several to choose from.
        """
        column = only_column(self.column, data.specs, AttributeKind.HIERARCHY, self.name)
        nodes = {
            level: tuple(number_by_size(_keys(data.attributes[column], level, self.shorter), data.train)["node"])
            for level in sorted(set(granularities))
        }
        return FittedHierarchyLevel(column, self.shorter, nodes)


def _keys(paths: pl.Series, level: int, shorter: Shorter) -> pl.DataFrame:
    nodes = ancestor_at(paths, level)
    short = paths.list.len() < level
    return pl.DataFrame({"node": nodes.set(short, None) if shorter == "none" else nodes})
