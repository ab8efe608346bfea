import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.attributes.rules.test_rules import SPECS, TRAIN, table
from weakcl_pipeline.attributes import AttributeKind, AttributeSpec, FittingData
from weakcl_pipeline.attributes.measures import mutual_information
from weakcl_pipeline.attributes.rules import MixedKMeans
from weakcl_pipeline.attributes.rules.encoding import Encoding
from weakcl_pipeline.errors import InputError

NUMBER = AttributeSpec(kind=AttributeKind.CONTINUOUS)
WORD = AttributeSpec(kind=AttributeKind.CATEGORICAL, min_count=1)


def known_squares(points, centroids, ids):
    """Sum of squares over known cells, one row at a time."""
    return sum(np.nansum((point - centroids[cluster]) ** 2) for point, cluster in zip(points, ids, strict=True))


def test_clusters_tell_what_the_attributes_were_made_from_though_cells_are_missing():
    rng = np.random.default_rng(0)
    topic = rng.integers(0, 4, 400)
    word = [None if rng.random() < 0.3 else "abcd"[t] for t in topic]
    number = [None if rng.random() < 0.3 else float(t + rng.normal(0, 0.1)) for t in topic]
    data = FittingData(
        pl.DataFrame({"word": word, "number": number}), {"word": WORD, "number": NUMBER}, np.ones(400, dtype=bool)
    )
    ids = MixedKMeans().fit(data, [4]).assign(data.attributes)[4]
    known = ids >= 0
    assert (known == [w is not None or n is not None for w, n in zip(word, number, strict=True)]).all()
    assert mutual_information(ids[known], topic[known]) > 1.8


@given(st.integers(0, 30))
def test_missing_cells_are_in_neither_distance_nor_centroid(seed):
    """Where the iteration ends, rows are at the nearest centroid and centroids are means, of known cells alone."""
    data = FittingData(table(missing=0.3, seed=seed), SPECS, TRAIN, seed=seed)
    fitted = MixedKMeans(starts=1, rounds=200).fit(data, [4])
    points, centroids = fitted.encoding.points(data.attributes)[TRAIN], fitted.centroids[4]
    ids = fitted.assign(data.attributes)[4][TRAIN]
    seen = ids >= 0
    points, ids = points[seen], ids[seen]
    distances = np.array([[known_squares([point], centroids, [c]) for c in range(len(centroids))] for point in points])
    assert (distances[np.arange(len(ids)), ids] <= distances.min(axis=1) + 1e-9).all()
    for cluster in range(len(centroids)):
        members = points[ids == cluster]
        known = (~np.isnan(members)).sum(axis=0)
        means = np.nansum(members, axis=0) / known.clip(min=1)
        np.testing.assert_allclose(centroids[cluster][known > 0], means[known > 0], atol=0.05)


def test_a_weight_makes_an_attribute_decide():
    rng = np.random.default_rng(1)
    first, second = rng.integers(0, 2, 300), rng.integers(0, 2, 300)
    columns = {"first": ["xy"[v] for v in first], "second": ["xy"[v] for v in second]}
    data = FittingData(pl.DataFrame(columns), dict.fromkeys(columns, WORD), np.ones(300, dtype=bool))
    for name, values in (("first", first), ("second", second)):
        ids = MixedKMeans(weights={name: 9.0}).fit(data, [2]).assign(data.attributes)[2]
        assert mutual_information(ids, values) > 0.9
    with pytest.raises(InputError, match=r"clustering\.rule\.weights: third not among .*\(first, second\)"):
        MixedKMeans(weights={"third": 1.0}).fit(data, [2])


def test_more_clusters_than_samples_are_refused_and_a_part_of_the_rows_suffices():
    data = FittingData(table(), SPECS, TRAIN)
    with pytest.raises(InputError, match=r"clustering\.granularities: 500"):
        MixedKMeans().fit(data, [500])
    whole, part = (MixedKMeans(fitted_on=rows).fit(data, [3]) for rows in (10_000, 60))
    assert set(part.assign(data.attributes)[3].tolist()) == {0, 1, 2}
    assert (part.centroids[3] != whole.centroids[3]).any()


def test_every_attribute_counts_alike_and_what_is_constant_for_nothing():
    data = FittingData(table().with_columns(flag=True), SPECS, TRAIN)
    encoding = Encoding.fit(data, {"age": 4.0})
    points = encoding.points(data.attributes)[TRAIN]
    names = [indicator.column for indicator in encoding.indicators]
    names += [name for name, width in encoding.numbers.items() for _ in range(width)]
    variance = np.nanvar(points, axis=0)
    totals = {name: sum(v for v, of in zip(variance, names, strict=True) if of == name) for name in SPECS}
    assert totals == pytest.approx(dict.fromkeys(SPECS, 1.0) | {"flag": 0.0, "age": 4.0})


def test_infinite_numbers_count_as_missing():
    data = FittingData(pl.DataFrame({"age": [1.0, 2.0, float("inf"), None]}), {"age": NUMBER}, np.ones(4, dtype=bool))
    assert np.isnan(Encoding.fit(data).points(data.attributes)).ravel().tolist() == [False, False, True, True]
