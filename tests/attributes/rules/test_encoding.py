import tracemalloc

import numpy as np
import polars as pl
import pytest

from tests.attributes.rules.test_rules import SPECS, TRAIN, table
from weakcl_pipeline.attributes import AttributeKind, AttributeSpec, FittingData
from weakcl_pipeline.attributes.columns import columns_of
from weakcl_pipeline.attributes.rules import Given, MergeSmall, MixedKMeans, encoding
from weakcl_pipeline.attributes.rules.encoding import Encoding

NUMBER = AttributeSpec(kind=AttributeKind.CONTINUOUS)
FLAG = AttributeSpec(kind=AttributeKind.BOOL)
VECTOR = AttributeSpec(kind=AttributeKind.VECTOR)
SIZES = (1.0, 1e155, np.finfo(float).max, 1e-200, 5e-324)


def fit(attributes, spec=NUMBER):
    return Encoding.fit(
        FittingData(attributes, dict.fromkeys(attributes.columns, spec), np.ones(attributes.height, bool))
    )


@pytest.mark.parametrize("size", SIZES)
def test_numbers_of_any_size_are_points_of_variance_1(size):
    numbers = pl.DataFrame({"a": [size, -size, None, -size, size], "b": [size, 0.0, 0.0, size, None]})
    vectors = pl.DataFrame({"v": pl.Series([[size, 0.0], [-size, size], None], dtype=pl.Array(pl.Float64, 2))})
    nan = float("nan")
    expected = np.array([[1, -1, nan, -1, 1], [1, -1, -1, 1, nan]]).T
    np.testing.assert_allclose(fit(numbers).points(numbers), expected, rtol=1e-12)
    points = fit(vectors, VECTOR).points(vectors)
    np.testing.assert_allclose(points, np.array([[1, -0.5], [-1, 0.5], [nan, nan]]) * np.sqrt(4 / 5), rtol=1e-12)


@pytest.mark.parametrize("size", SIZES)
def test_numbers_of_any_size_tell_groups_apart(size):
    attributes = pl.DataFrame({"a": [size, -size] * 20, "flag": [True, False, False, True] * 10})
    data = FittingData(attributes, {"a": NUMBER, "flag": FLAG}, np.ones(40, dtype=bool))
    ids = MixedKMeans(weights={"a": 4.0}).fit(data, [2]).assign(attributes)[2]
    assert (ids[::2] == ids[0]).all()
    assert (ids[1::2] == 1 - ids[0]).all()


@pytest.mark.parametrize("size", SIZES)
def test_later_numbers_that_are_far_out_are_near_the_outermost_centroid(size):
    attributes = pl.DataFrame({"a": [-size, 0.0, size] * 10})
    fitted = MixedKMeans().fit(FittingData(attributes, {"a": NUMBER}, np.ones(30, dtype=bool)), [3])
    largest = np.finfo(float).max
    found = fitted.assign(pl.DataFrame({"a": [-largest, -size, 0.0, size, largest]}))[3].tolist()
    assert found[:2] == [found[0]] * 2
    assert found[3:] == [found[3]] * 2
    assert len(set(found)) == 3


def test_centre_and_scale_are_the_mean_and_the_variance_of_what_is_known():
    data = FittingData(table(missing=0.3), SPECS, TRAIN)
    fitted = Encoding.fit(data)
    answers = encoding.indicate(data.attributes, fitted.indicators)
    seen = encoding._coordinates(answers, [data.attributes[name] for name in fitted.numbers], slice(0, len(TRAIN)))[
        TRAIN
    ]
    names = [indicator.column for indicator in fitted.indicators]
    names += [name for name, width in fitted.numbers.items() for _ in range(width)]
    variance = np.nanvar(seen, axis=0)
    total = [sum(v for v, of in zip(variance, names, strict=True) if of == name) for name in names]
    np.testing.assert_allclose(fitted.centre * fitted.unit, np.nanmean(seen, axis=0), rtol=1e-12)
    np.testing.assert_allclose(fitted.scale / fitted.unit, 1 / np.sqrt(total), rtol=1e-12)


def test_a_constant_counts_for_nothing_though_its_mean_is_rounded():
    constant = pl.DataFrame({"v": pl.Series([[0.1, 0.3]] * 999 + [None], dtype=pl.Array(pl.Float64, 2))})
    assert (fit(constant, VECTOR).scale == 0).all()
    assert (fit(pl.DataFrame({"a": [None, None]}, schema={"a": pl.Float64})).scale == 0).all()


def test_what_was_stored_before_there_were_units_is_read():
    tensors, metadata = fit(pl.DataFrame({"flag": [True, False]}), FLAG).to_state()
    again = Encoding.from_state({name: tensors[name] for name in ("centre", "scale")}, metadata)
    assert again.unit.tolist() == [1.0]


@pytest.mark.parametrize("at_once", [1, 7, 240, 1000])
@pytest.mark.parametrize("form", [pl.DataFrame, pl.DataFrame.lazy])
def test_blocks_change_nothing(monkeypatch, form, at_once):
    rules = MixedKMeans(starts=1, fitted_on=150), MergeSmall(of=Given(column="gran_5"), min_size=30)

    def found():
        data = FittingData(columns_of(form(table())), SPECS, TRAIN, seed=3)
        return Encoding.fit(data).points(data.attributes), *(rule.fit_assign(data, [5])[1][5] for rule in rules)

    points, *ids = found()
    monkeypatch.setattr(encoding, "_ROWS_AT_ONCE", at_once)
    points_of_blocks, *ids_of_blocks = found()
    np.testing.assert_allclose(points_of_blocks, points, rtol=1e-12, atol=1e-14)
    assert all((one == other).all() for one, other in zip(ids, ids_of_blocks, strict=True))


def test_rows_are_known_that_have_a_coordinate():
    attributes = table(missing=0.7)
    fitted = Encoding.fit(FittingData(attributes, SPECS, TRAIN))
    known = ~np.isnan(fitted.points(attributes)).all(axis=1)
    assert (fitted.known(attributes) == known).all()
    assert 0 < known.sum() < len(known)


def test_no_more_rows_are_made_points_than_are_fitted_on(monkeypatch):
    encoded = []
    points = Encoding.points

    def counted(self, attributes):
        encoded.append(attributes.height)
        return points(self, attributes)

    monkeypatch.setattr(Encoding, "points", counted)
    MixedKMeans(fitted_on=60).fit_assign(FittingData(table(), SPECS, TRAIN), [3])
    assert encoded == [60]


@pytest.mark.parametrize(
    "rule", [MixedKMeans(fitted_on=100, starts=1), MergeSmall(of=Given(column="name"), min_size=999)]
)
def test_memory_does_not_hold_the_points_of_all_rows(rule):
    rows, flags = 100_000, 40
    rng = np.random.default_rng(0)
    columns = {f"flag{i}": rng.random(rows) < 0.3 for i in range(flags)}
    attributes = pl.DataFrame(columns | {"name": rng.integers(0, 100, rows).astype(str)})
    rare = AttributeSpec(kind=AttributeKind.CATEGORICAL, min_count=rows)  # no indicator
    data = FittingData(attributes, dict.fromkeys(columns, FLAG) | {"name": rare}, np.ones(rows, dtype=bool))
    tracemalloc.start()
    rule.fit_assign(data, [3])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < rows * flags * 8 * 0.75
