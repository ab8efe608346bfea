from math import exp, log2
from statistics import median

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from weakcl_pipeline.attributes.affinity import Affinity, AffinityConfig
from weakcl_pipeline.attributes.casting import AttributeKind
from weakcl_pipeline.attributes.schema import AttributeSpec
from weakcl_pipeline.errors import InputError

WORDS = pl.List(pl.String)
DTYPES = {
    "tags": WORDS,
    "flag": pl.Boolean,
    "rare_flag": pl.Boolean,
    "colour": pl.String,
    "path": WORDS,
    "age": pl.Float64,
}
KINDS = {
    "tags": "tags",
    "flag": "bool",
    "rare_flag": "bool",
    "colour": "categorical",
    "path": "hierarchy",
    "age": "continuous",
}


def specs_for(columns, **settings):
    return {name: AttributeSpec(kind=KINDS[name], **{"min_count": 1} | settings) for name in columns}


def matrix_of(columns, config=None, **settings):
    table = pl.DataFrame(columns, schema={name: DTYPES[name] for name in columns})
    rows = torch.arange(table.height)
    return Affinity(table, specs_for(columns, **settings), config)(rows, rows)


def random_columns(n, seed, missing=0.25):
    rng = np.random.default_rng(seed)
    paths = [["a"], ["a", "b"], ["a", "b", "c"], ["a", "d"], ["e"], ["e", "b"], []]
    columns = {
        "tags": [[word for word in "uvwxyz" if rng.random() < 0.35] for _ in range(n)],
        "flag": [bool(rng.random() < 0.5) for _ in range(n)],
        "rare_flag": [bool(rng.random() < 0.2) for _ in range(n)],
        "colour": [str(rng.choice(["red", "green", "blue"])) for _ in range(n)],
        "path": [paths[rng.integers(len(paths))] for _ in range(n)],
        "age": [float(rng.integers(0, 6)) for _ in range(n)],
    }
    return {name: [None if rng.random() < missing else value for value in values] for name, values in columns.items()}


# --- The definition, pair by pair ---


def nodes(path):
    return {tuple(path[: depth + 1]) for depth in range(len(path))}


def indicators_of(kind, value):
    if kind == "bool":
        return {True} if value else set()
    if kind == "categorical":
        return {value}
    return nodes(value) if kind == "hierarchy" else set(value)


def named(indicator):
    return "/".join(indicator) if isinstance(indicator, tuple) else indicator


def slow_affinity(columns, weights, width, min_count, exclude):
    """The matrix by the definition: for each pair and attribute its similarity, and its bits."""
    n = len(next(iter(columns.values())))
    shared, said, compared = np.zeros((n, n)), np.zeros((n, n)), np.zeros((n, n), dtype=bool)
    for name, values in columns.items():
        known = [i for i in range(n) if values[i] is not None]
        compared[np.ix_(known, known)] = True
        if KINDS[name] == "continuous":
            differences = [abs(values[i] - values[j]) for i in known for j in known]
            scale = width * median([d for d in differences if d] or [1.0])
            kernel = {(i, j): exp(-(((values[i] - values[j]) / scale) ** 2) / 2) for i in known for j in known}
            for (i, j), similarity in kernel.items():
                bits = weights.get(name, 1) * -log2(sum(kernel.values()) / len(kernel))
                shared[i, j] += bits * similarity
                said[i, j] += bits
            continue
        sets = {i: indicators_of(KINDS[name], values[i]) for i in known}
        count = {x: sum(x in sets[i] for i in known) for i in known for x in sets[i]}
        information = {
            x: -log2(c / len(known))
            for x, c in count.items()
            if KINDS[name] == "bool" or (c >= min_count and named(x) not in exclude)
        }
        sets = {i: {x for x in sets[i] if x in information} for i in known}
        for i in known:
            for j in known:
                if KINDS[name] == "hierarchy":
                    depths = len(sets[i]) + len(sets[j])
                    similarity = 2 * len(sets[i] & sets[j]) / depths if depths else 0
                    of = [max((information[x] for x in sets[k]), default=0) for k in (i, j)]
                    bits = sum(of) / 2
                else:
                    bits = sum(information[x] for x in sets[i] | sets[j])
                    similarity = sum(information[x] for x in sets[i] & sets[j]) / bits if bits else 0
                shared[i, j] += weights.get(name, 1) * bits * similarity
                said[i, j] += weights.get(name, 1) * bits
    return np.where(compared, np.divide(shared, said, out=np.zeros((n, n)), where=said > 0), np.nan)


@pytest.mark.parametrize(
    "used", [[name] for name in KINDS] + [["flag", "rare_flag"], ["path", "age", "tags"], list(KINDS)]
)
@pytest.mark.parametrize(("n", "missing"), [(1, 0), (2, 0.5), (9, 0), (24, 0.3), (24, 1)])
def test_equals_the_definition_pair_by_pair(used, n, missing):
    columns = {name: random_columns(n, seed=n, missing=missing)[name] for name in used}
    weights = {name: weight for name, weight in {"tags": 0.5, "flag": 3.0, "path": 2.0}.items() if name in used}
    for min_count, exclude in [(1, ()), (3, ("u", "red", "a"))]:
        expected = slow_affinity(columns, weights, 0.6, min_count, exclude)
        found = matrix_of(columns, AffinityConfig(weights=weights, width=0.6), min_count=min_count, exclude=exclude)
        assert found.dtype == torch.float32
        np.testing.assert_allclose(found.numpy(), expected, atol=2e-6)


@given(st.integers(0, 10_000), st.integers(2, 15))
@settings(max_examples=25)
def test_affinities_are_symmetric_and_a_tile_is_a_part_of_the_matrix(seed, n):
    columns = random_columns(n, seed)
    table = pl.DataFrame(columns, schema=DTYPES)
    affinity = Affinity(table, specs_for(columns))
    matrix = affinity(torch.arange(n), torch.arange(n))
    known = matrix[~matrix.isnan()]
    assert ((known >= 0) & (known <= 1)).all()
    torch.testing.assert_close(matrix, matrix.T, equal_nan=True)
    generator = torch.Generator().manual_seed(seed)
    rows, others = torch.randint(n, (3,), generator=generator), torch.randint(n, (5,), generator=generator)
    torch.testing.assert_close(affinity(rows, others), matrix[rows][:, others], equal_nan=True)


# --- Missing values ---


@pytest.mark.parametrize(
    ("name", "value"),
    [("tags", ["x"]), ("flag", True), ("colour", "red"), ("path", ["a"]), ("age", 3.0)],
)
def test_a_missing_value_is_like_nothing_and_not_like_another_missing_one(name, value):
    others = {"tags": ["y"], "flag": False, "colour": "blue", "path": ["b"], "age": 9.0}
    matrix = matrix_of({name: [value, value, None, None, others[name]]})
    assert matrix[0, 1] == pytest.approx(1)
    assert matrix[2:4].isnan().all()
    assert matrix[:, 2:4].isnan().all()
    assert matrix[0, 4] == pytest.approx(0, abs=1e-3)  # known, and not alike


@given(st.integers(0, 10_000), st.sampled_from(sorted(KINDS)))
@settings(max_examples=25)
def test_a_pair_that_misses_a_value_is_compared_as_if_there_were_no_such_attribute(seed, name):
    columns = random_columns(12, seed)
    columns[name][:6] = [None] * 6
    matrix = matrix_of(columns)
    without = matrix_of({other: values for other, values in columns.items() if other != name})
    torch.testing.assert_close(matrix[:6], without[:6], equal_nan=True)


def test_nothing_known_at_all_is_no_affinity():
    assert matrix_of({name: [None, None] for name in KINDS}).isnan().all()


# --- The kinds ---


def test_tags_by_hand_and_rare_tags_count_more():
    tags = [["face", "kiwi"], ["face"], ["kiwi"], ["face", "fox"], ["face"], ["face"], ["face"], ["face"]]
    matrix = matrix_of({"tags": tags})
    face, kiwi, fox = -log2(7 / 8), -log2(2 / 8), -log2(1 / 8)
    assert matrix[0, 1] == pytest.approx(face / (face + kiwi), rel=1e-5)
    assert matrix[0, 2] == pytest.approx(kiwi / (face + kiwi), rel=1e-5)
    assert matrix[0, 3] == pytest.approx(face / (face + kiwi + fox), rel=1e-5)
    assert matrix[1, 2] == 0
    assert matrix[1, 4] == pytest.approx(1)
    assert matrix[0, 2] > 0.9
    assert matrix[0, 1] < 0.1


def test_two_empty_lists_are_not_compared_and_one_is_like_no_other():
    alone = matrix_of({"tags": [[], [], ["x"], ["y"]]})
    assert alone[0].abs().max() == 0
    beside = matrix_of({"tags": [[], [], ["x"], ["y"]], "colour": ["red", "red", "red", "blue"]})
    assert beside[0, 1] == pytest.approx(1)  # by colour alone
    assert 0 < beside[0, 2] < 1


def test_excluded_and_rare_tags_and_categories_bring_nobody_together():
    tags = [["cat", "pet"], ["cat", "pet"], ["pet"], ["pet"], ["owl"], ["owl"], ["dog"], []]
    assert matrix_of({"tags": tags}, exclude=("cat",))[0, 2] == pytest.approx(1)
    rare = matrix_of({"tags": tags}, min_count=3)
    assert rare[4, 5] == 0
    assert rare[0, 2] == pytest.approx(1)
    colours = ["red", "red", "blue", "blue", "blue"]
    assert matrix_of({"colour": colours}, exclude=("blue",))[2:].abs().max() == 0
    assert matrix_of({"colour": colours}, min_count=3)[0].abs().max() == 0


def test_bools_are_alike_by_what_is_true_and_rare():
    matrix = matrix_of(
        {
            "flag": [True, True, True, True, True, False, False, None],
            "rare_flag": [True, True, False, False, False, False, False, True],
        }
    )
    flag, rare = -log2(5 / 7), -log2(3 / 8)
    assert matrix[0, 2] == pytest.approx(flag / (flag + rare), rel=1e-5)
    assert matrix[5, 6] == 0  # both false
    assert matrix[0, 7] == pytest.approx(1)  # `flag` is not known of both


def test_hierarchy_by_depth_of_the_deepest_common_ancestor():
    paths = [["a", "b", "c"], ["a", "b", "c"], ["a", "b", "d"], ["a", "e"], ["f", "b", "c"], ["a"]]
    matrix = matrix_of({"path": paths})
    assert matrix[0].tolist() == pytest.approx([1, 1, 2 * 2 / 6, 2 * 1 / 5, 0, 2 * 1 / 4])


def test_excluded_and_rare_nodes_are_cut_out_of_the_path():
    paths = [["a", "b"], ["a", "b"], ["a", "c"], ["d"], ["d"]]
    assert matrix_of({"path": paths}, min_count=2)[0, 2] == pytest.approx(2 / 3)
    assert matrix_of({"path": paths}, exclude=("a",))[0].tolist() == pytest.approx([1, 1, 0, 0, 0])


def first_rows_of(ages):
    first = torch.arange(25)
    return Affinity(pl.DataFrame({"age": ages}, schema={"age": pl.Float64}), specs_for(["age"]))(first, first)


def test_the_kernel_is_as_wide_as_a_quarter_of_the_median_difference():
    ages = np.random.default_rng(0).normal(40, 12, 3000)
    ages[:3] = [40.0, 41.0, 52.0]
    typical = np.median(np.abs(np.diff(np.random.default_rng(1).choice(ages, (100_000, 2)), axis=1)))
    matrix = first_rows_of(ages)
    assert matrix[0, 0] == 1
    assert matrix[0, 1] == pytest.approx(exp(-((1 / (typical / 4)) ** 2) / 2), abs=0.005)
    assert matrix[0, 2] == pytest.approx(exp(-((12 / (typical / 4)) ** 2) / 2), abs=0.005)
    with_outliers = first_rows_of([float("inf"), None, 1e9, 1e9, -1e12, *[1e9] * 15, *ages])
    torch.testing.assert_close(with_outliers[20:23, 20:23], matrix[:3, :3], atol=0.005, rtol=0)
    assert with_outliers[2].tolist()[2:5] == [1, 1, 0]
    assert with_outliers[:2].isnan().all()  # infinity is no measurement


def test_a_column_whose_values_hardly_vary_still_has_a_kernel():
    matrix = matrix_of({"age": [5.0] * 9 + [7.0]})
    assert matrix[0, 1] == 1
    assert matrix[0, 9] == pytest.approx(exp(-8))


@pytest.mark.parametrize(("name", "value"), [("tags", ["x"]), ("colour", "red"), ("path", ["a"]), ("age", 3.0)])
def test_what_is_the_same_for_all_tells_nothing(name, value):
    constant = matrix_of({name: [value] * 4, "flag": [True, True, True, False]})
    torch.testing.assert_close(constant, matrix_of({"flag": [True, True, True, False]}))


def test_weights_shift_the_mean():
    columns = {"colour": ["red", "red", "blue"], "path": [["a"], ["b"], ["a"]]}
    shares = [matrix_of(columns, AffinityConfig(weights={"colour": w}))[0, 1].item() for w in (0.01, 1, 100)]
    assert shares == sorted(shares)
    assert shares[0] < 0.02
    assert shares[2] > 0.98


# --- Size, and what is refused ---


def test_thousands_of_tags_take_no_dense_table():
    words = [[f"t{i * j % 4000}" for j in range(1, 6)] for i in range(8000)]
    affinity = Affinity(pl.DataFrame({"tags": words}), specs_for(["tags"]))
    assert sum(buffer.nbytes for buffer in affinity.buffers()) < 250_000
    assert affinity(torch.tensor([1]), torch.tensor([1, 2])).tolist()[0] == pytest.approx([1, 2 / 8], abs=0.02)


def test_a_weight_for_another_column_and_no_column_at_all_are_refused():
    table = pl.DataFrame({"flag": [True, False]})
    with pytest.raises(ValueError, match=r"affinity_kernel\.weights: age not among .*flag"):
        Affinity(table, specs_for(["flag"]), AffinityConfig(weights={"age": 2.0}))
    with pytest.raises(ValueError, match="no attribute column"):
        Affinity(table, {})
    with pytest.raises(ValueError, match="greater than 0"):
        AffinityConfig(weights={"flag": 0.0})


def test_vectors_are_not_compared_and_nothing_else_is_refused():
    table = pl.DataFrame({"flag": [True, False], "caption": [[1.0, 2.0], [3.0, 4.0]]})
    specs = specs_for(["flag"]) | {"caption": AttributeSpec(kind=AttributeKind.VECTOR)}
    alone = Affinity(table.select("flag"), specs_for(["flag"]))
    rows = torch.arange(2)
    assert Affinity(table, specs)(rows, rows).equal(alone(rows, rows))
    with pytest.raises(InputError, match=r"affinity_kernel\.weights: caption not among .* compared \(flag\)"):
        Affinity(table, specs, AffinityConfig(weights={"caption": 2.0}))
    with pytest.raises(InputError, match="no attribute column to compare samples by, as vectors are not"):
        Affinity(table, {"caption": specs["caption"]})


def test_all_that_makes_up_the_affinity_is_in_its_buffers():
    columns = random_columns(20, seed=0)
    table, specs = pl.DataFrame(columns, schema=DTYPES), specs_for(columns)

    def content(config):
        return [buffer.tolist() for buffer in Affinity(table, specs, config).buffers()]

    assert content(None) == content(AffinityConfig())
    for other in [AffinityConfig(width=0.5), AffinityConfig(weights={"flag": 2}), AffinityConfig(weights={"tags": 2})]:
        assert content(other) != content(None)
    assert not Affinity(table, specs).state_dict()


def test_vectors_are_not_compared():
    vectors = pl.Series([[0.0], [1.0], [1.0]], dtype=pl.Array(pl.Float32, 1))
    table = pl.DataFrame({"colour": ["r", "g", "r"], "v": vectors})
    word, everything = AttributeSpec(kind="categorical", min_count=1), torch.arange(3)
    with_vectors = Affinity(table, {"colour": word, "v": AttributeSpec(kind="vector")})
    assert with_vectors(everything, everything).equal(Affinity(table, {"colour": word})(everything, everything))
