import numpy as np
import polars as pl
import pytest

from weakcl_pipeline.attributes.clustering import (
    ClusteringConfig,
    as_assignment,
    choose_attributes,
    choose_granularity,
    form_clusters,
)
from weakcl_pipeline.attributes.granularity import bits_learned
from weakcl_pipeline.attributes.rules import top_entropy
from weakcl_pipeline.errors import InputError

RNG = np.random.default_rng(0)
BINARY = pl.DataFrame({f"a{i}": RNG.random(300) < 0.5 for i in range(8)})
TRAIN = np.arange(300) < 200


def few_meet(k, clusters):
    """At the finest granularity only every tenth sample meets a partner."""
    return np.arange(len(clusters)) % 10 == 0 if k > 4 else np.ones(len(clusters), dtype=bool)


def test_every_granularity_has_a_column_and_the_chosen_one_is_copied():
    config = ClusteringConfig(granularities=(6, 2, 4))
    clusters, chosen = form_clusters(BINARY, TRAIN, config, few_meet)
    assert clusters.columns == ["top_2", "top_4", "top_6", "cluster"]
    assert set(clusters.dtypes) == {pl.Int32}
    expected = top_entropy(BINARY, TRAIN, [2, 4, 6])
    assert all((clusters[f"top_{k}"].to_numpy() == ids).all() for k, ids in expected.items())
    assert clusters["cluster"].equals(clusters[f"top_{chosen}"])
    bits = {k: bits_learned(ids[TRAIN], few_meet(k, ids[TRAIN])) for k, ids in expected.items()}
    assert chosen == max(bits, key=bits.get) == 4


def test_the_granularity_can_be_fixed():
    config = ClusteringConfig(granularities=(2, 6), granularity=6)
    _, chosen = form_clusters(BINARY, TRAIN, config, few_meet)
    assert chosen == 6
    assert choose_granularity({2: 1.0, 6: 0.1}, config) == 6


def test_missing_cells_give_null_clusters():
    first = pl.int_range(pl.len()) == 0
    binary = BINARY.with_columns(pl.when(~first).then(pl.all()).name.keep())
    clusters, _ = form_clusters(binary, TRAIN, ClusteringConfig(granularities=(8,)), few_meet)
    assert clusters["top_8"].null_count() == 1
    assert as_assignment(clusters["top_8"])[0] == -1
    assert as_assignment(clusters["top_8"]).dtype == np.int64


def test_more_attributes_than_there_are_is_refused_with_key_and_number():
    with pytest.raises(InputError, match=r"clustering\.granularities: 9 .* only 8"):
        form_clusters(BINARY, TRAIN, ClusteringConfig(granularities=(4, 9)), few_meet)


def test_attribute_columns_are_all_or_the_named_ones():
    assert choose_attributes(["a", "b"], ClusteringConfig()) == ["a", "b"]
    assert choose_attributes(["a", "b"], ClusteringConfig(attributes=("b",))) == ["b"]
    with pytest.raises(InputError, match=r"clustering\.attributes: tgas .*\(tags, size\)"):
        choose_attributes(["tags", "size"], ClusteringConfig(attributes=("tgas",)))
    with pytest.raises(InputError, match="no attribute column"):
        choose_attributes([], ClusteringConfig())


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"rule": "top_entorpy"}, "top_entropy"),
        ({"granularities": ()}, "granularities"),
        ({"granularities": (0, 3)}, "at least 1"),
        ({"granularities": (3, 5), "granularity": 4}, "not one of"),
        ({"granularties": (3,)}, "granularties"),
    ],
)
def test_wrong_parameters_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        ClusteringConfig.model_validate(parameters)


def test_granularities_are_sorted_and_listed_once():
    assert ClusteringConfig(granularities=(9, 3, 9)).granularities == (3, 9)
