import re
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
import torch
import yaml
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Node, Pipeline
from kedro.runner import SequentialRunner
from kedro.validation.type_extractor import TypeExtractor

from tests.evaluation.data import make_image_store, make_samples
from tests.evaluation.test_figures import history
from weakcl_pipeline.contrastive import Encoder, TrainingConfig, embed
from weakcl_pipeline.contrastive.group import LauncherConfig
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.evaluation import METHODS, EvaluationConfig, evaluate_features
from weakcl_pipeline.images import open_store
from weakcl_pipeline.pipelines.evaluation import create_pipeline, nodes

TRAINED = ["self_supervised", "iterative", "attribute", "supervised"]
EVALUATION = EvaluationConfig.model_validate(
    {
        "linear_probe": {"costs": [0.1]},
        "knn": {"ks": [1, 5]},
        "few_label": {"shares": [0.2], "repeats": 1, "costs": [1.0]},
        "augmented_probe": {"epochs": 2, "batch_size": 8},
        "bootstrap": {"resamples": 100},
        "report": {"queries": 1, "neighbours": 2, "largest_clusters": 1, "typical_clusters": 1},
    }
)
TRAINING = TrainingConfig.model_validate(
    {
        "epochs": 1,
        "batch_size": 8,
        "encoder": {"backbone": "resnet10t", "backbone_kwargs": {"stem_width": 4, "channels": [4, 4, 4, 8]}},
        "device": {"name": "cpu", "precision": "fp32"},
    }
)


@pytest.fixture(scope="module")
def samples():
    return make_samples(train=24, val=12, test=16)


@pytest.fixture(scope="module")
def image_store(samples):
    return make_image_store(samples, size=16)


@pytest.fixture(scope="module")
def data(samples, image_store):
    """All that the pipeline reads, with an untrained encoder for each trained method."""
    ids = samples.select("sample_id")
    made = {
        "image_store": image_store,
        "samples": samples,
        "clusters": ids.with_columns(cluster=pl.int_range(pl.len(), dtype=pl.Int32) % 3),
        "binary_attributes": ids.with_columns(pl.Series("tags=a", [True, False] * (len(samples) // 2))),
        "ingestion_summary": {
            "rows": 52,
            "accepted": 52,
            "quarantined": 0,
            "quarantine_reasons": {},
            "splits": {"train": 24, "val": 12, "test": 16},
            "groups": 20,
            "labels": {"kind": {"kind 0": 52}, "side": {"left": 52}},
            "unlabelled": {"kind": 0, "side": 0},
            "attributes": {},
        },
        "cluster_report": {
            "granularity_is": "level",
            "chosen": "top_5",
            "criterion": "any",
            "batch_size": 8,
            "labels": [],
            "granularities": [],
        },
        "repeats": {},
        "report_lineage": {"samples": {"version": "a-version", "hash": None, "repeats": []}},
        "report_differences": {},
        "params:training": TRAINING,
        "params:evaluation": EVALUATION,
        "params:seed": 0,
    }
    for seed, method in enumerate(TRAINED):
        encoder = nodes.initialise_encoder(image_store, samples, TRAINING, seed)
        made |= {f"{method}.encoder": encoder, f"{method}.history": history()}
    return made


class Kept(MemoryDataset):
    """Kedro lets go of what is in memory once every node has read it; this keeps it for the tests."""

    def _release(self):
        pass


@pytest.fixture(scope="module")
def outputs(data):
    catalog = DataCatalog({name: MemoryDataset(value, copy_mode="assign") for name, value in data.items()})
    pipeline = create_pipeline()
    kept = {name: Kept(copy_mode="assign") for name in pipeline.all_outputs()}
    for name, dataset in kept.items():
        catalog[name] = dataset
    SequentialRunner().run(pipeline, catalog)
    return {name: dataset.load() for name, dataset in kept.items()}


def test_what_it_reads_and_makes(data):
    pipeline = create_pipeline()
    assert pipeline.inputs() == set(data)
    embedded = ["raw_pixels", "random_encoder", *TRAINED]
    evaluated = ["majority", *embedded]
    assert pipeline.all_outputs() == {
        *(f"{method}.embeddings" for method in embedded),
        *(f"{method}.{kind}" for method in evaluated for kind in ("metrics", "predictions")),
        *("random_encoder.encoder", "comparison", "claims", "comparison_plot", "report"),
    }


def test_nodes_have_the_names_and_namespaces_of_their_methods():
    pipeline = create_pipeline()
    names = {node.name for node in pipeline.nodes}
    assert {f"{method}.embed" for method in TRAINED} <= names
    methods = {method.name for method in METHODS if not method.rival}
    assert {f"{method}.evaluate" for method in methods} <= names
    assert {"random_encoder.initialise", "random_encoder.embed", "raw_pixels.embed"} <= names
    assert {"compare_methods", "write_report"} <= names
    assert {node.namespace for node in pipeline.nodes} == {None, *methods}
    assert all("evaluation" in node.tags for node in pipeline.nodes)
    assert {node.name for node in pipeline.only_nodes_with_namespaces(["attribute"]).nodes} == {
        *("attribute.embed", "attribute.evaluate")
    }


def test_kedro_knows_the_types_of_the_parameters():
    for pipeline in (create_pipeline(), Pipeline([create_pipeline()]).filter(node_names=["write_report"])):
        found = TypeExtractor({"evaluation": pipeline}).extract_types_from_pipelines()
        assert found["evaluation"] is EvaluationConfig


@pytest.mark.filterwarnings("error")
def test_the_pipeline_can_be_made_without_a_warning(monkeypatch):
    monkeypatch.delattr(Node, "__dotted_dataset_name_warned__", raising=False)
    assert create_pipeline().nodes


def test_embeddings_have_the_order_of_the_samples(outputs, samples, image_store, data):
    for name in ("random_encoder", "raw_pixels", *TRAINED):
        frame = outputs[f"{name}.embeddings"]
        assert frame["sample_id"].equals(samples["sample_id"])
        assert frame.schema["embedding"] == pl.Array(pl.Float32, frame["embedding"].dtype.shape[0])
    encoder = Encoder.from_state(*data["attribute.encoder"])
    expected = embed(encoder, open_store(image_store), TRAINING.device)
    np.testing.assert_array_equal(outputs["attribute.embeddings"]["embedding"].to_numpy(), expected)


def test_the_random_encoder_is_where_training_begins(outputs, samples, image_store):
    tensors, metadata = outputs["random_encoder.encoder"]
    images = open_store(image_store)
    start = Encoder.create(TRAINING.encoder, *images.channel_statistics(np.arange(24)), 0).state_dict()
    assert all(torch.equal(tensors[name], start[name]) for name in start)
    assert metadata["method"] == "random_encoder"
    assert metadata["image_size"] == 16


def test_metrics_are_those_of_the_embeddings(outputs, samples):
    without_views = EVALUATION.model_copy(update={"augmented_probe": None})
    features = outputs["supervised.embeddings"]["embedding"].to_numpy()
    metrics, predictions = evaluate_features(features, samples, without_views, seed=0)
    found, table = outputs["supervised.metrics"], outputs["supervised.predictions"]
    for label in metrics["labels"]:
        metrics["labels"][label]["augmented_probe"] = found["labels"][label]["augmented_probe"]
    assert found == metrics
    assert table.filter(pl.col("probe") != "augmented").equals(predictions)
    assert outputs["majority.metrics"]["labels"]["kind"]["majority"]["accuracy"] == pytest.approx(0.25)


def test_encoders_alone_are_probed_on_augmented_views(outputs):
    compared = outputs["comparison"].filter(pl.col("probe") == "augmented")
    encoders = {"random_encoder", *TRAINED}
    assert set(compared["method"]) == {"majority", *encoders}  # the majority stands beside every probe
    for method in encoders:
        [row] = compared.filter((pl.col("method") == method) & (pl.col("label") == "kind")).iter_rows(named=True)
        found = outputs[f"{method}.metrics"]["labels"]["kind"]["augmented_probe"]
        assert row["accuracy"] == pytest.approx(found["accuracy"])
        assert row["balanced_accuracy"] == pytest.approx(found["balanced_accuracy"])
    assert "augmented_probe" not in outputs["raw_pixels.metrics"]["labels"]["kind"]
    assert "SGD on augmented views" in outputs["report"]


def test_the_comparison_holds_every_method_and_its_figure(outputs):
    assert set(outputs["comparison"]["method"]) == {method.name for method in METHODS if not method.rival}
    assert {axes.get_title(loc="left") for axes in outputs["comparison_plot"].axes} == {"kind", "side"}


def test_the_claims_are_about_the_comparison(outputs):
    claims, compared = outputs["claims"], outputs["comparison"]
    assert claims["claim"].unique().sort().to_list() == [1, 3]  # the rivals of the others are not in this pipeline
    [first] = claims.filter(claim=1, label="kind", probe="linear").iter_rows(named=True)
    [row] = compared.filter(method="attribute", label="kind", probe="linear").iter_rows(named=True)
    ends = [f"{name}{end}" for name in ("difference", "gap_closed") for end in ("", "_low", "_high")]
    assert [first[end] for end in ends] == [row[end] for end in ends]
    assert set(claims["probe"]) == {"linear", "knn", "linear_20%", "augmented"}


def test_the_report_shows_what_it_was_given(outputs):
    report = outputs["report"]
    assert report.startswith("<!DOCTYPE html>")
    assert "a-version" in report
    assert re.search("On side, (it is open whether )?auxiliary information", report)


def test_embeddings_of_other_samples_are_refused(outputs, samples):
    with pytest.raises(InputError, match="not of the same samples"):
        nodes.evaluate_embeddings(outputs["attribute.embeddings"].reverse(), samples, EVALUATION, 0)


def test_default_parameters_are_valid():
    path = Path(__file__).parents[3] / "conf" / "base" / "parameters_evaluation.yml"
    found = EvaluationConfig.model_validate(yaml.safe_load(path.read_text())["evaluation"])
    assert found == EvaluationConfig()


def test_a_store_in_pieces_gives_the_same(image_store, samples):
    pieces = pa.concat_tables([image_store.slice(0, 10), image_store.slice(10)])
    whole = nodes.embed_pixels(image_store, samples, 0)
    assert nodes.embed_pixels(pieces, samples, 0).equals(whole)


def test_workers_embed_and_evaluate_as_one_process_does(data, samples, image_store, caplog):
    launcher = LauncherConfig(kind="torchrun", workers=2, machines=2, rendezvous="nowhere:1")  # those of one machine
    together = TRAINING.model_copy(update={"launcher": launcher})
    encoder = data["attribute.encoder"]
    caplog.set_level("INFO", "weakcl_pipeline")
    alone, embedded = (nodes.embed_pictures(encoder, image_store, training) for training in (TRAINING, together))
    assert embedded["sample_id"].equals(alone["sample_id"])
    np.testing.assert_allclose(embedded["embedding"].to_numpy(), alone["embedding"].to_numpy(), rtol=1e-5, atol=1e-6)
    (metrics, predictions), (found, found_predictions) = (
        nodes.evaluate_encoder(alone, samples, EVALUATION, 0, encoder, image_store, training)
        for training in (TRAINING, together)
    )
    assert found == metrics
    assert found_predictions.equals(predictions)
    assert {"embedding: 2 workers", "evaluation: 2 workers"} <= set(caplog.messages)
