import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weakcl_pipeline.attributes import AttributeKind, AttributeSpec, FittingData
from weakcl_pipeline.attributes.rules import HierarchyLevel
from weakcl_pipeline.errors import InputError

PATH = AttributeSpec(kind=AttributeKind.HIERARCHY)
paths = st.lists(st.none() | st.lists(st.sampled_from(["a", "b", "a/b"]), max_size=4), min_size=1, max_size=15)


def column(values):
    return pl.DataFrame({"path": values}, schema={"path": pl.List(pl.String)})


def slow_clusters(values, level, shorter):
    """Node tuples, one path at a time; most frequent first, then by name."""

    def node(path):
        if not path or (shorter == "none" and len(path) < level):
            return None
        return tuple(path[:level])

    nodes = [node(path) for path in values]
    known = [found for found in nodes if found is not None]

    def name(found):
        return "/".join(part.replace("/", "%2F") for part in found)

    ordered = sorted(set(known), key=lambda found: (-known.count(found), name(found)))
    return [-1 if found is None else ordered.index(found) for found in nodes]


@given(paths, st.sampled_from(["own", "none"]))
def test_equals_a_loop_over_paths(values, shorter):
    data = FittingData(column(values), {"path": PATH}, np.ones(len(values), dtype=bool))
    found = HierarchyLevel(shorter=shorter).fit(data, [1, 2, 4]).assign(data.attributes)
    assert {k: ids.tolist() for k, ids in found.items()} == {k: slow_clusters(values, k, shorter) for k in (1, 2, 4)}


@given(paths)
def test_a_finer_level_refines_a_coarser_one(values):
    data = FittingData(column(values), {"path": PATH}, np.ones(len(values), dtype=bool))
    found = HierarchyLevel().fit(data, [1, 2, 3]).assign(data.attributes)
    for coarse, fine in ((1, 2), (2, 3)):
        assert len(set(zip(found[coarse], found[fine], strict=True))) == len(set(found[fine]))


def test_shorter_missing_and_empty_paths_and_nodes_of_several_parents():
    values = [["animal", "dog"], ["animal", "dog"], ["pet", "dog"], ["animal"], None, []]
    data = FittingData(column(values), {"path": PATH}, np.ones(6, dtype=bool))
    assert HierarchyLevel().fit(data, [2]).assign(data.attributes)[2].tolist() == [0, 0, 2, 1, -1, -1]
    none = HierarchyLevel(shorter="none").fit(data, [2]).assign(data.attributes)[2]
    assert none.tolist() == [0, 0, 1, -1, -1, -1]
    unseen = HierarchyLevel().fit(data, [2]).assign(column([["animal", "cat"], ["animal", "dog", "puppy"]]))
    assert unseen[2].tolist() == [-1, 0]


def test_the_hierarchy_must_be_named_where_there_are_several_or_none():
    two = FittingData(column([["a"]]).with_columns(other="path"), {"path": PATH, "other": PATH}, np.ones(1, dtype=bool))
    with pytest.raises(InputError, match=r"clustering\.rule\.column: .* path, other\. Name one"):
        HierarchyLevel().fit(two, [1])
    assert HierarchyLevel(column="other").fit(two, [1]).column == "other"
    flags = FittingData(
        pl.DataFrame({"flag": [True]}), {"flag": AttributeSpec(kind=AttributeKind.BOOL)}, np.ones(1, dtype=bool)
    )
    with pytest.raises(InputError, match=r"there are: none\. Declare one with `kind: hierarchy`"):
        HierarchyLevel().fit(flags, [1])
    with pytest.raises(InputError, match=r"'flag' is not; there are: none"):
        HierarchyLevel(column="flag").fit(flags, [1])
