import numpy as np
import polars as pl
import pytest

from tests.attributes.rules.fitting import cluster
from weakcl_pipeline.attributes import AttributeKind, AttributeSpec, FittingData, clustering
from weakcl_pipeline.attributes.clustering import (
    ClusteringConfig,
    FittedClustering,
    as_assignment,
    choose_attributes,
    choose_granularity,
    fit_clustering,
)
from weakcl_pipeline.attributes.granularity import bits_learned
from weakcl_pipeline.attributes.rules import TopEntropy, TopEntropyPresent
from weakcl_pipeline.datasets import TensorsDataset
from weakcl_pipeline.errors import InputError

RNG = np.random.default_rng(0)
BINARY = pl.DataFrame({f"a{i}": RNG.random(300) < 0.5 for i in range(8)})
TRAIN = np.arange(300) < 200


def few_meet(k, clusters):
    """At the finest granularity only every tenth sample meets a partner."""
    return np.arange(len(clusters)) % 10 == 0 if k > 4 else np.ones(len(clusters), dtype=bool)


def fit(config, binary=BINARY):
    specs = dict.fromkeys(binary.columns, AttributeSpec(kind=AttributeKind.BOOL))
    return fit_clustering(FittingData(binary, specs, TRAIN), config, few_meet)


def test_every_granularity_has_a_column_and_the_chosen_one_is_copied():
    config = ClusteringConfig(granularities=(6, 2, 4))
    fitted, clusters = fit(config)
    chosen = fitted.chosen
    assert clusters.equals(fitted.assign(BINARY))
    assert clusters.columns == ["top_2", "top_4", "top_6", "cluster"]
    assert set(clusters.dtypes) == {pl.Int32}
    expected = cluster(TopEntropy(), BINARY, TRAIN, [2, 4, 6])
    assert all((clusters[f"top_{k}"].to_numpy() == ids).all() for k, ids in expected.items())
    assert clusters["cluster"].equals(clusters[f"top_{chosen}"])
    bits = {k: bits_learned(ids[TRAIN], few_meet(k, ids[TRAIN])) for k, ids in expected.items()}
    assert chosen == max(bits, key=bits.get) == 4


@pytest.mark.parametrize("compared", [1 << 22, 100])
def test_the_granularity_is_chosen_by_train_samples_alone(monkeypatch, compared):
    monkeypatch.setattr(clustering, "_COMPARED", compared)
    specs = dict.fromkeys(BINARY.columns, AttributeSpec(kind=AttributeKind.BOOL))
    only_train = BINARY.with_columns(pl.when(pl.Series(TRAIN)).then(pl.all()))  # no other sample has a cluster
    seen = []

    def meets(_, clusters):
        seen.append(clusters)
        return np.ones(len(clusters), dtype=bool)

    fit_clustering(FittingData(only_train, specs, TRAIN), ClusteringConfig(granularities=(2, 4)), meets)
    assert all((ids >= 0).all() for ids in seen)
    assert all(0 < len(ids) <= TRAIN.sum() for ids in seen)


def test_a_train_split_without_any_cluster_is_told(caplog):
    table = pl.DataFrame({"a": [True, None], "b": [None, True]})
    specs = dict.fromkeys(table.columns, AttributeSpec(kind=AttributeKind.BOOL))
    data = FittingData(table, specs, np.array([True, True]))
    fit_clustering(data, ClusteringConfig(granularities=(1, 2), granularity=2), lambda k, ids: ids < 0)
    assert "no sample of the train split has a cluster at top_2" in caplog.text
    caplog.clear()
    fit_clustering(data, ClusteringConfig(granularities=(1, 2), granularity=1), lambda k, ids: ids < 0)
    assert not caplog.messages or "no sample" not in caplog.text


def test_one_cluster_of_all_train_samples_is_told(caplog):
    table = pl.DataFrame({"a": [True, True, True], "b": [True, True, False]})
    specs = dict.fromkeys(table.columns, AttributeSpec(kind=AttributeKind.BOOL))
    told = "all samples of the train split are in one cluster at top_1, so there is nothing to tell them apart from"
    for train, rows in (([True, True, False], 2), ([True, True, True], 3)):
        caplog.clear()
        data = FittingData(table, specs, np.array(train))
        fit_clustering(data, ClusteringConfig(granularities=(1,)), lambda k, ids: ids >= 0)
        assert (told in caplog.text) == (rows == 2)


def test_the_granularity_can_be_fixed():
    config = ClusteringConfig(granularities=(2, 6), granularity=6)
    assert fit(config)[0].chosen == 6
    assert choose_granularity({2: 1.0, 6: 0.1}, config) == 6


def test_missing_cells_give_null_clusters():
    first = pl.int_range(pl.len()) == 0
    binary = BINARY.with_columns(pl.when(~first).then(pl.all()).name.keep())
    _, clusters = fit(ClusteringConfig(granularities=(8,)), binary)
    assert clusters["top_8"].null_count() == 1
    assert as_assignment(clusters["top_8"])[0] == -1
    assert as_assignment(clusters["top_8"]).dtype == np.int64


def test_a_rule_is_given_by_name_or_with_parameters():
    assert ClusteringConfig(rule="top_entropy_present").rule == TopEntropyPresent()
    assert ClusteringConfig(rule={"name": "top_entropy_present"}).rule == TopEntropyPresent()
    assert ClusteringConfig().rule == TopEntropy()


def test_what_was_fitted_survives_files_without_pickle_and_clusters_any_table(tmp_path):
    fitted, _ = fit(ClusteringConfig(granularities=(2, 6)))
    dataset = TensorsDataset(filepath=(tmp_path / "cluster_rule.safetensors").as_posix())
    dataset.save(fitted.to_state())
    again = FittedClustering.from_state(*dataset.load())
    clusters = fitted.assign(BINARY)
    assert again.assign(BINARY).equals(clusters)
    assert again.assign(BINARY.reverse()).equals(clusters.reverse())
    assert again.assign(BINARY[:1]).equals(clusters[:1])
    assert again.assign(BINARY[:0]).schema == clusters.schema


def test_a_later_table_without_a_column_of_the_rule_is_refused_by_name():
    fitted, _ = fit(ClusteringConfig(granularities=(2,)))
    with pytest.raises(InputError, match=r"top_entropy was fitted on the attribute columns a3, .*\(a0, a1"):
        fitted.assign(BINARY.drop("a3"))


def test_a_later_table_needs_no_column_that_took_no_part():
    specs = dict.fromkeys(["a1", "a4"], AttributeSpec(kind=AttributeKind.BOOL))
    data = FittingData(BINARY, specs, TRAIN)
    fitted, clusters = fit_clustering(data, ClusteringConfig(granularities=(2,)), few_meet)
    assert fitted.columns == ("a1", "a4")
    assert fitted.assign(BINARY.select("a1", "a4")).equals(clusters)


def test_attribute_columns_are_all_or_the_named_ones():
    assert choose_attributes(["a", "b"], ClusteringConfig()) == ["a", "b"]
    assert choose_attributes(["a", "b"], ClusteringConfig(attributes=("b",))) == ["b"]
    with pytest.raises(InputError, match=r"clustering\.attributes: tgas .*\(tags, size\)"):
        choose_attributes(["tags", "size"], ClusteringConfig(attributes=("tgas",)))
    with pytest.raises(InputError, match="there is nothing to cluster by"):
        choose_attributes([], ClusteringConfig())


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"rule": "top_entorpy"}, "'top_entropy', 'top_entropy_present'"),
        ({"rule": {"name": "top_entropy", "levels": 2}}, "levels"),
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
