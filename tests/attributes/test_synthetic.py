import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weakcl_pipeline.attributes import conditional_entropy, entropy, mutual_information
from weakcl_pipeline.attributes.synthetic import delete_cells, merge_classes, shuffle_attributes, split_classes

CLASSES = np.repeat(np.arange(6), [40, 30, 20, 10, 10, 10])

classes = st.lists(st.integers(0, 7), min_size=1, max_size=60).map(np.array)


@given(classes, st.integers(1, 8))
def test_merged_classes_tell_nothing_beyond_the_classes(classes, count):
    clusters = merge_classes(classes, count)
    assert conditional_entropy(clusters, classes) == pytest.approx(0, abs=1e-9)
    assert len(np.unique(clusters)) == min(count, len(np.unique(classes)))


def test_fewer_clusters_know_less_and_are_as_even_as_they_can_be():
    information = [mutual_information(merge_classes(CLASSES, count), CLASSES) for count in (1, 2, 3, 4, 6)]
    assert information == sorted(information)
    assert information[0] == 0
    assert information[-1] == pytest.approx(entropy(CLASSES))
    assert np.bincount(merge_classes(CLASSES, 3)).tolist() == [40, 40, 40]


@given(classes, st.integers(1, 5), st.integers(0, 9))
def test_split_classes_know_all_of_the_classes(classes, parts, seed):
    clusters = split_classes(classes, parts, np.random.default_rng(seed))
    assert mutual_information(clusters, classes) == pytest.approx(entropy(classes))
    for label in np.unique(classes):
        _, sizes = np.unique(clusters[classes == label], return_counts=True)
        assert len(sizes) == min(parts, (classes == label).sum())
        assert sizes.max() - sizes.min() <= 1


def test_even_parts_add_their_logarithm_to_the_entropy():
    clusters = split_classes(np.repeat(np.arange(3), 32), 8, np.random.default_rng(0))
    assert conditional_entropy(clusters, np.repeat(np.arange(3), 32)) == pytest.approx(3)
    other = split_classes(np.repeat(np.arange(3), 32), 8, np.random.default_rng(1))
    assert (clusters != other).any()


@pytest.mark.parametrize(
    "make", [lambda c: merge_classes(c, 2), lambda c: split_classes(c, 2, np.random.default_rng(0))]
)
def test_unknown_classes_stay_without_a_cluster(make):
    classes = np.array([0, -1, 1, 2, -1])
    assert (make(classes) < 0).tolist() == [False, True, False, False, True]


def test_noise_keeps_each_attribute_s_values_and_spares_the_others():
    rng = np.random.default_rng(0)
    binary = pl.DataFrame({f"a{i}": rng.random(200) < 0.3 for i in range(10)})
    noisy = shuffle_attributes(binary, 4, np.random.default_rng(1))
    assert noisy.sum().equals(binary.sum())
    assert sum(not noisy[name].equals(binary[name]) for name in binary.columns) == 4
    assert shuffle_attributes(binary, 0, np.random.default_rng(1)).equals(binary)


def test_a_share_of_the_cells_of_every_column_is_deleted():
    table = pl.DataFrame({"tags": [["x"]] * 2000, "flag": [True] * 2000})
    less = delete_cells(table, 0.3, np.random.default_rng(0))
    assert less.schema == table.schema
    for name in table.columns:
        assert less[name].null_count() == pytest.approx(600, abs=60)
    assert not less["tags"].is_null().equals(less["flag"].is_null())
    assert delete_cells(table, 0.0, np.random.default_rng(0)).equals(table)
