import json

import numpy as np
import polars as pl
import pytest
import torch
import torch.distributed as dist

from tests.evaluation.data import make_features, make_samples
from tests.evaluation.test_augmented_probe import NoisyViews
from tests.processes import work_together
from weakcl_pipeline.contrastive.group import ALONE, Group
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.evaluation import EvaluationConfig, EvaluationJob, evaluate_features

CONFIG = EvaluationConfig.model_validate(
    {"linear_probe": {"costs": [0.1, 1.0]}, "knn": {"ks": [1, 5]}, "few_label": {"shares": [0.1, 0.5], "repeats": 2}}
)


@pytest.fixture(scope="module")
def evaluated():
    samples = make_samples().with_columns(
        label_side=pl.when(pl.int_range(pl.len()) % 4 != 3).then(pl.col("label_side"))
    )
    return samples, *evaluate_features(make_features(samples), samples, CONFIG, seed=7)


def test_structure_of_the_metrics(evaluated):
    _, metrics, _ = evaluated
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics
    assert metrics["seed"] == 7
    assert metrics["features"] == 6
    assert list(metrics["labels"]) == ["kind", "side"]
    kind = metrics["labels"]["kind"]
    assert kind["classes"] == 4
    assert kind["samples"] == {"train": 60, "val": 30, "test": 40}
    assert list(kind["few_label"]) == ["10%", "50%"]
    assert set(kind["linear_probe"]) == {
        *("accuracy", "balanced_accuracy", "per_class", "top_5_accuracy", "validation_accuracy", "C", "converged")
    }
    assert metrics["labels"]["side"]["samples"] == {"train": 45, "val": 23, "test": 30}


def test_predictions_tell_the_same_as_the_metrics(evaluated):
    samples, metrics, predictions = evaluated
    assert predictions.columns == ["sample_id", "label", "probe", "repeat", "predicted", "true"]
    test = samples.filter(pl.col("split") == "test")
    for label, found in metrics["labels"].items():
        true = dict(test.select("sample_id", f"label_{label}").drop_nulls().iter_rows())
        named = {"linear": found["linear_probe"], "knn": found["knn"]}
        named |= {f"linear_{share}": few for share, few in found["few_label"].items()}
        for probe, figures in named.items():
            rows = predictions.filter((pl.col("label") == label) & (pl.col("probe") == probe))
            repeats = 2 if probe.startswith("linear_") else 1
            assert rows["repeat"].value_counts().sort("repeat").rows() == [(r, len(true)) for r in range(repeats)]
            assert dict(rows.select("sample_id", "true").iter_rows()) == true
            assert (rows["predicted"] == rows["true"]).mean() == pytest.approx(figures["accuracy"])


def test_better_features_get_better_figures():
    samples = make_samples(train=200, val=80, test=200)
    accuracies = []
    for signal in (0.0, 0.7, 3.0):
        metrics, _ = evaluate_features(make_features(samples, signal=signal), samples, CONFIG, seed=0)
        kind = metrics["labels"]["kind"]
        accuracies.append([kind["linear_probe"]["accuracy"], kind["knn"]["accuracy"]])
    assert (np.diff(accuracies, axis=0) > 0.1).all()
    assert max(accuracies[0]) < 0.4  # chance is 1/4
    assert min(accuracies[2]) > 0.9


def test_only_the_labels_asked_for():
    samples = make_samples()
    config = CONFIG.model_copy(update={"labels": ("side",)})
    metrics, predictions = evaluate_features(make_features(samples), samples, config, seed=0)
    assert list(metrics["labels"]) == predictions["label"].unique().to_list() == ["side"]


def test_the_same_twice():
    samples = make_samples()
    first, second = (evaluate_features(make_features(samples), samples, CONFIG, seed=1) for _ in range(2))
    assert first[0] == second[0]
    assert first[1].equals(second[1])


def test_features_that_are_not_finite_name_a_sample():
    samples = make_samples()
    features = make_features(samples)
    features[3, 2] = np.nan
    features[9, 0] = np.inf
    with pytest.raises(InputError, match=r"2 of 130 samples are not finite, for instance of 's0003'"):
        evaluate_features(features, samples, CONFIG, seed=0)


def test_features_of_other_samples_are_refused():
    samples = make_samples()
    with pytest.raises(InputError, match="129 rows"):
        evaluate_features(make_features(samples)[1:], samples, CONFIG, seed=0)


def test_misspelt_parameters_are_refused():
    with pytest.raises(ValueError, match="cost"):
        EvaluationConfig.model_validate({"linear_probe": {"cost": [1]}})


def job():
    samples = make_samples(train=61, val=29, test=41)
    features = make_features(samples)
    config = EvaluationConfig.model_validate(CONFIG.model_dump() | {"augmented_probe": {"epochs": 1}})
    return EvaluationJob(features, samples, config, 7, NoisyViews(features))


def work(rank, folder):
    torch.set_num_threads(1)
    for size in (2, 3):
        if rank < size:
            meeting = f"file://{folder}/meeting-{size}"
            dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=size)
            metrics, predictions = job().run(Group(rank, size))
            if rank == 0:
                (folder / f"{size}.json").write_text(json.dumps(metrics))
                predictions.write_parquet(folder / f"{size}.parquet")
            dist.destroy_process_group()


def test_workers_measure_what_one_process_measures(tmp_path):
    work_together(work, 3, tmp_path)
    metrics, predictions = job().run(ALONE)
    for size in (2, 3):
        assert json.loads((tmp_path / f"{size}.json").read_text()) == metrics
        assert pl.read_parquet(tmp_path / f"{size}.parquet").equals(predictions)
