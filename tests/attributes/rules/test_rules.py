"""What holds for every rule, on a table of attributes of all kinds with cells missing."""

import numpy as np
import polars as pl
import pytest

from weakcl_pipeline.attributes import AttributeKind, AttributeSpec, ClusteringConfig, FittingData
from weakcl_pipeline.attributes.rules import CLUSTER_RULES
from weakcl_pipeline.datasets import TensorsDataset

N = 240
KS = [2, 3, 5]
SPECS = {
    "flag": AttributeSpec(kind=AttributeKind.BOOL),
    "colour": AttributeSpec(kind=AttributeKind.CATEGORICAL, min_count=3),
    "tags": AttributeSpec(kind=AttributeKind.TAGS, min_count=3),
    "path": AttributeSpec(kind=AttributeKind.HIERARCHY, min_count=3),
    "age": AttributeSpec(kind=AttributeKind.CONTINUOUS, min_count=3, quantiles=(0.3, 0.7)),
    "caption": AttributeSpec(kind=AttributeKind.VECTOR),
    **{f"gran_{k}": AttributeSpec(kind=AttributeKind.CATEGORICAL, min_count=3) for k in KS},
}
RULES = {
    "top_entropy": {},
    "top_entropy_present": {},
    "hierarchy_level": {},
    "mixed_k_means": {"starts": 1},
    "vectors": {},
    "given": {"column": "gran_{k}"},
    "merge_small": {"of": {"name": "given", "column": "gran_{k}"}, "min_size": 30},
}


def table(missing=0.1, seed=0):
    rng = np.random.default_rng(seed)
    topic = rng.integers(0, 6, N)

    def holes(values):
        return [None if rng.random() < missing else value for value in values]

    columns = {
        "flag": holes((topic % 2 == 0).tolist()),
        "colour": holes(["rgbyvw"[t] for t in topic]),
        "tags": holes([[w for w in (f"t{t}", "x", "y") if rng.random() < 0.6] for t in topic]),
        "path": holes([["root", f"a{t // 3}", f"b{t}", "leaf"][: rng.integers(0, 5)] for t in topic]),
        "age": holes((topic + rng.normal(0, 0.2, N)).tolist()),
        "caption": holes((np.eye(6)[topic] + rng.normal(0, 0.1, (N, 6))).tolist()),
    }
    columns |= {f"gran_{k}": holes([str(7 * (t % k) + 1) for t in topic]) for k in KS}
    types = {"tags": pl.List(pl.String), "path": pl.List(pl.String), "caption": pl.Array(pl.Float32, 6)}
    return pl.DataFrame(columns, schema_overrides=types)


TRAIN = np.arange(N) % 4 != 0


def fit(name, data=None, train=TRAIN):
    rule = ClusteringConfig(rule={"name": name, **RULES[name]}).rule
    return rule.fit(FittingData(table() if data is None else data, SPECS, train, seed=3), KS)


def test_every_rule_is_tested_here():
    assert RULES.keys() == CLUSTER_RULES.keys()
    assert all(rule.model_fields["name"].default == name for name, rule in CLUSTER_RULES.items())


@pytest.mark.parametrize("name", RULES)
def test_ids_are_dense_and_ordered_by_size_on_train_from_coarse_to_fine(name):
    found = fit(name).assign(table())
    assert list(found) == KS
    for ids in found.values():
        number = ids.max() + 1
        assert set(ids.tolist()) - {-1} == set(range(number))
        assert number > 0
        assert (np.diff(np.bincount(ids[TRAIN & (ids >= 0)], minlength=number)) <= 0).all()


@pytest.mark.parametrize("name", RULES)
def test_a_row_has_its_cluster_in_whatever_table_it_comes(name):
    fitted, whole = fit(name), table()
    new = table(missing=0.3, seed=1)
    ids, of_new = fitted.assign(whole), fitted.assign(new)
    order = np.random.default_rng(0).permutation(2 * N)
    mixed = fitted.assign(pl.concat([new, whole])[order])
    for k in KS:
        assert (mixed[k] == np.concatenate([of_new[k], ids[k]])[order]).all()
        assert of_new[k].max() <= ids[k].max()
        assert [fitted.assign(new[[row]])[k].item() for row in range(20)] == of_new[k][:20].tolist()
        assert fitted.assign(whole[:0])[k].shape == (0,)


@pytest.mark.parametrize("name", RULES)
def test_what_is_fitted_survives_files(name, tmp_path):
    fitted = fit(name)
    dataset = TensorsDataset(filepath=(tmp_path / "rule.safetensors").as_posix())
    dataset.save(fitted.to_state())
    again = CLUSTER_RULES[name].fitted.from_state(*dataset.load())
    new = table(missing=0.3, seed=1)
    first, second = fitted.assign(new), again.assign(new)
    assert list(first) == list(second)
    assert all((first[k] == second[k]).all() for k in first)


@pytest.mark.parametrize("name", RULES)
def test_rows_outside_train_change_no_cluster_of_train(name):
    whole = table()
    alone = whole.filter(pl.Series(TRAIN))
    with_others, without = fit(name).assign(alone), fit(name, alone, np.ones(alone.height, dtype=bool)).assign(alone)
    assert all((with_others[k] == without[k]).all() for k in KS)


@pytest.mark.parametrize("name", RULES)
def test_a_row_of_which_nothing_is_known_has_no_cluster(name):
    nothing = pl.DataFrame([pl.Series(column, [None] * 3, dtype=dtype) for column, dtype in table().schema.items()])
    assert all((ids == -1).all() for ids in fit(name).assign(nothing).values())


@pytest.mark.parametrize("name", RULES)
def test_the_same_data_and_seed_give_the_same_clusters(name):
    first, second = fit(name).assign(table()), fit(name).assign(table())
    assert all((first[k] == second[k]).all() for k in KS)


POINTS = np.random.default_rng(0).normal(size=(200, 3))
NOISE = {
    "mixed_k_means": (pl.DataFrame(POINTS, schema=["x", "y", "z"]), AttributeKind.CONTINUOUS),
    "vectors": (pl.DataFrame({"v": pl.Series(POINTS, dtype=pl.Array(pl.Float32, 3))}), AttributeKind.VECTOR),
}


@pytest.mark.parametrize("name", NOISE)
def test_another_seed_draws_other_clusters_where_there_are_none_to_find(name):
    noise, kind = NOISE[name]
    rule = ClusteringConfig(rule={"name": name, "starts": 1}).rule
    specs = dict.fromkeys(noise.columns, AttributeSpec(kind=kind))
    first, other = (
        rule.fit(FittingData(noise, specs, np.ones(200, dtype=bool), seed=seed), [9]).assign(noise)[9]
        for seed in (0, 1)
    )
    assert (first != other).any()
