import numpy as np
import polars as pl
import pytest

from tests.evaluation.data import make_features, make_samples, task_of
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.evaluation.task import label_names


def test_labels_are_the_columns_with_the_prefix_in_their_order():
    samples = make_samples()
    assert label_names(samples) == ["kind", "side"]
    assert label_names(samples, ["side"]) == ["side"]


def test_a_label_that_is_not_there_is_named():
    with pytest.raises(InputError, match=r"evaluation.labels: no label 'colour'; there are: kind, side"):
        label_names(make_samples(), ["kind", "colour"])


def test_samples_without_labels_are_refused():
    with pytest.raises(InputError, match=r"ingestion.labels"):
        label_names(make_samples().drop("label_kind", "label_side"))


def test_splits_hold_their_rows_and_classes():
    samples = make_samples()
    features = make_features(samples)
    task = task_of(samples, features)
    assert task.names == ("kind 0", "kind 1", "kind 2", "kind 3")
    assert task.known == 4
    for name in ("train", "val", "test"):
        split = getattr(task, name)
        rows = [i for i, value in enumerate(samples["split"]) if value == name]
        assert split.rows.tolist() == rows
        np.testing.assert_array_equal(split.features, features[rows])
        assert [task.names[c] for c in split.classes] == samples["label_kind"].gather(rows).to_list()


def test_rows_without_a_label_are_left_out():
    samples = make_samples().with_columns(
        label_kind=pl.when(pl.int_range(pl.len()) % 3 != 0).then(pl.col("label_kind"))
    )
    task = task_of(samples, np.zeros((len(samples), 2), np.float32))
    for name in ("train", "val", "test"):
        expected = samples.with_row_index().filter((pl.col("split") == name) & pl.col("label_kind").is_not_null())
        assert getattr(task, name).rows.tolist() == expected["index"].to_list()


def test_classes_that_the_train_split_lacks_come_last():
    samples = make_samples().with_columns(
        label_kind=pl.when(pl.col("split") == "test").then(pl.lit("a new kind")).otherwise("label_kind")
    )
    task = task_of(samples, np.zeros((len(samples), 2), np.float32))
    assert task.names == ("kind 0", "kind 1", "kind 2", "kind 3", "a new kind")
    assert task.known == 4
    assert set(task.test.classes.tolist()) == {4}


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_split_without_labels_is_refused(split):
    samples = make_samples().with_columns(label_kind=pl.when(pl.col("split") != split).then(pl.col("label_kind")))
    with pytest.raises(InputError, match=rf"samples.label_kind: the {split} split has no labelled sample"):
        task_of(samples, np.zeros((len(samples), 2), np.float32))


def test_a_train_split_of_one_class_is_refused():
    samples = make_samples().with_columns(
        label_kind=pl.when(pl.col("split") == "train").then(pl.lit("kind 2")).otherwise("label_kind")
    )
    with pytest.raises(InputError, match=r"one class, 'kind 2'"):
        task_of(samples, np.zeros((len(samples), 2), np.float32))


def test_labels_need_not_be_text():
    samples = make_samples().with_columns(label_kind=pl.col("label_side") == "left")
    assert task_of(samples, np.zeros((len(samples), 2), np.float32)).names == ("false", "true")
