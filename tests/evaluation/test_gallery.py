import numpy as np
import polars as pl
import pytest

from tests.evaluation.data import make_features, make_images, make_samples
from weakcl_pipeline.evaluation.gallery import Gallery, _typical
from weakcl_pipeline.evaluation.thumbnails import thumbnail


@pytest.fixture(scope="module")
def samples():
    return make_samples()


@pytest.fixture(scope="module")
def images(samples):
    return make_images(samples)


@pytest.fixture
def gallery(samples, images):
    return Gallery(samples, images, "kind", seed=0)


def test_cards_of_clusters(samples, images, gallery):
    sizes = [20, 12, 9, 8, 5, 3, 1]
    ids = [i for i, size in enumerate(sizes) for _ in range(size)] + [None, None]
    assigned = pl.Series(ids + [0] * 70, dtype=pl.Int32)  # validation and test pictures do not count
    binary = pl.DataFrame(
        {"tags=a": (assigned == 0).fill_null(value=False), "tags=b": (assigned == 3).fill_null(value=False)}
    )
    largest, typical = gallery.clusters(assigned, binary, largest=2, typical=3, pictures=6)
    assert [(card.number, card.size) for card in largest] == [(0, 20), (1, 12)]
    assert [card.number for card in typical] == [2, 3, 4]
    assert largest[0].attributes == ["tags=a"]
    assert largest[1].attributes == []
    members = {picture.name for picture in typical[0].pictures}
    assert len(members) == 6
    assert members <= set(
        samples["sample_id"].gather(np.flatnonzero((assigned == 2).fill_null(value=False).to_numpy()))
    )
    assert len(typical[2].pictures) == 5
    row = samples["sample_id"].index_of(typical[0].pictures[0].name)
    assert typical[0].pictures[0].uri == thumbnail(images, row)
    assert typical[0].pictures[0].right is None


@pytest.mark.parametrize(
    ("sizes", "largest", "count", "ranks"),
    [
        ([100, 4, 4, 4, 4, 4], 1, 3, [2, 3, 4]),  # one cluster with most of the pictures does not count
        ([9, 8, 7], 2, 5, [2]),
        ([9], 2, 2, []),
        ([], 2, 2, []),
        ([5, 5, 5, 5], 1, 0, []),
    ],
)
def test_typical_clusters_are_around_the_median_picture(sizes, largest, count, ranks):
    assert _typical(sizes, largest, count) == ranks


def test_neighbours_against_a_naive_search(samples, gallery):
    features = {"supervised": make_features(samples), "raw_pixels": make_features(samples, signal=0)}
    queries = gallery.queries(features, count=4, neighbours=3)
    assert sorted(query.picture.label for query in queries) == ["kind 0", "kind 1", "kind 2", "kind 3"]
    ids, labels, split = samples["sample_id"].to_list(), samples["label_kind"].to_list(), samples["split"].to_list()
    for query in queries:
        q = ids.index(query.picture.name)
        assert split[q] == "test"
        assert list(query.neighbours) == ["Raw pixels", "Supervised"]
        for title, name in (("Supervised", "supervised"), ("Raw pixels", "raw_pixels")):
            unit = features[name] / np.linalg.norm(features[name], axis=1, keepdims=True)
            order = sorted((i for i in range(60)), key=lambda i: -float(unit[i] @ unit[q]))[:3]
            assert [picture.name for picture in query.neighbours[title]] == [ids[i] for i in order]
            assert [picture.right for picture in query.neighbours[title]] == [labels[i] == labels[q] for i in order]


def test_queries_need_a_label(samples, images):
    unlabelled = samples.with_columns(
        label_kind=pl.when((pl.col("split") != "test") | (pl.int_range(pl.len()) == 100)).then(pl.col("label_kind"))
    )
    gallery = Gallery(unlabelled, images, "kind", seed=0)
    (query,) = gallery.queries({"supervised": make_features(samples)}, count=5, neighbours=2)
    assert query.picture.name == "s0100"


def test_nothing_asked_for(samples, gallery):
    assert gallery.queries({"supervised": make_features(samples)}, count=0, neighbours=3) == []


def test_more_neighbours_than_pictures_means_all(samples, gallery):
    (query,) = gallery.queries({"supervised": make_features(samples)}, count=1, neighbours=500)
    assert len(query.neighbours["Supervised"]) == 60


def test_neighbours_without_a_label_are_neither_right_nor_wrong(samples, images):
    unlabelled = samples.with_columns(label_kind=pl.when(pl.col("split") != "train").then("label_kind"))
    gallery = Gallery(unlabelled, images, "kind", seed=0)
    (query,) = gallery.queries({"attribute": make_features(samples, signal=1.0)}, count=1, neighbours=3)
    assert [picture.right for near in query.neighbours.values() for picture in near] == [None] * 3
