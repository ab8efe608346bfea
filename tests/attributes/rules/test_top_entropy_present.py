import numpy as np
import polars as pl
from hypothesis import given

from tests.attributes.rules.fitting import cluster
from tests.attributes.rules.test_top_entropy import tables
from weakcl_pipeline.attributes.rules import CLUSTER_RULES, TopEntropy, TopEntropyPresent, rank_by_entropy


@given(tables())
def test_equals_the_papers_rule_but_for_samples_that_have_none_of_the_attributes(table):
    binary, train = table
    order = [name for name, _ in rank_by_entropy(binary, train)]
    granularities = range(1, binary.width + 1)
    papers, found = (cluster(rule(), binary, train, granularities) for rule in (TopEntropy, TopEntropyPresent))
    for k in granularities:
        none = np.array([all(cell is False for cell in row) for row in binary.select(order[:k]).iter_rows()])
        kept = (papers[k] >= 0) & ~none
        assert ((found[k] >= 0) == kept).all()
        same = found[k][:, None] == found[k][None]
        assert (same == (papers[k][:, None] == papers[k][None]))[np.ix_(kept, kept)].all()


@given(tables())
def test_ids_stay_dense_and_ordered_by_size_on_train(table):
    binary, train = table
    for ids in cluster(TopEntropyPresent(), binary, train, [binary.width]).values():
        number = ids.max(initial=-1) + 1
        assert set(ids.tolist()) - {-1} == set(range(number))
        sizes = np.bincount(ids[train & (ids >= 0)], minlength=number)
        assert (np.diff(sizes) <= 0).all()


def test_a_picture_without_hashtags_stands_for_itself():
    binary = pl.DataFrame({"heart": [True, True, False, False, False], "clock": [False, False, False, False, True]})
    ids = cluster(CLUSTER_RULES["top_entropy_present"](), binary, np.ones(5, dtype=bool), [2])[2]
    assert ids.tolist() == [0, 0, -1, -1, 1]
