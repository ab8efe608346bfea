import numpy as np
import polars as pl
import pytest

from weakcl_pipeline.attributes import AttributeKind, AttributeSpec, FittingData
from weakcl_pipeline.attributes.rules import Vectors
from weakcl_pipeline.errors import InputError

VECTOR = AttributeSpec(kind=AttributeKind.VECTOR)


def blobs(k=4, per=30, dim=8, seed=0, lengths=True):
    rng = np.random.default_rng(seed)
    topic = np.repeat(np.arange(k), per)
    points = np.eye(k, dim)[topic] + rng.normal(0, 0.05, (k * per, dim))
    scale = rng.uniform(0.2, 5, (k * per, 1)) if lengths else 1
    return pl.DataFrame({"v": pl.Series(points * scale, dtype=pl.Array(pl.Float32, dim))}), topic


def fit(table, rule=None, ks=(4,), train=None):
    train = np.ones(table.height, dtype=bool) if train is None else train
    return (rule or Vectors()).fit(FittingData(table, {"v": VECTOR}, train), list(ks))


@pytest.mark.parametrize("spherical", [True, False])
def test_finds_separate_blobs_and_gives_later_vectors_the_nearest(spherical):
    table, topic = blobs(lengths=spherical)
    fitted = fit(table, Vectors(spherical=spherical))
    ids = fitted.assign(table)[4]
    assert len(set(zip(ids, topic, strict=True))) == 4
    later, later_topic = blobs(seed=1, lengths=spherical)
    assert set(zip(fitted.assign(later)[4], later_topic, strict=True)) == set(zip(ids, topic, strict=True))


def test_a_cluster_is_that_of_the_nearest_centroid():
    table, _ = blobs(k=3)
    fitted = fit(table, Vectors(spherical=False), ks=(7,))
    points, centroids = table["v"].to_numpy().astype(np.float64), fitted.centroids[7].astype(np.float64)
    distances = ((points[:, None] - centroids[None]) ** 2).sum(axis=2)
    assert (fitted.assign(table)[7] == distances.argmin(axis=1)).all()


def test_missing_vectors_have_no_cluster_and_are_not_fitted_on():
    table, _ = blobs()
    holes = table.with_columns(pl.when(pl.int_range(pl.len()) % 5 > 0).then("v").alias("v"))
    ids = fit(holes).assign(holes)[4]
    assert (ids[::5] == -1).all()
    assert (np.delete(ids, np.arange(0, len(ids), 5)) >= 0).all()
    kept = holes.drop_nulls()
    assert (fit(kept).assign(table)[4] == fit(holes).assign(table)[4]).all()


def test_more_clusters_than_vectors_and_other_lengths_are_refused():
    table, _ = blobs()
    with pytest.raises(InputError, match=r"clustering\.granularities: 200"):
        fit(table, ks=(200,))
    other, _ = blobs(dim=9)
    with pytest.raises(InputError, match=r"'v' has vectors of length 9, .* fitted on vectors of length 8"):
        fit(table).assign(other)
