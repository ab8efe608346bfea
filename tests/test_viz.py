"""What Kedro-Viz is told: layers in order, a namespace per method, and previews of tables, JSON, figures, pages."""

import inspect

import pytest

pytest.importorskip("kedro_viz")

import polars as pl
import pyarrow as pa
from fastapi.testclient import TestClient
from kedro_viz.api.apps import create_api_app_from_project
from kedro_viz.server import load_and_populate_data
from matplotlib.figure import Figure

LAYERS = ["raw", "intermediate", "primary", "feature", "model_input", "models", "model_output", "reporting"]


def figure() -> Figure:
    result = Figure()
    result.subplots().plot([0, 1])
    return result


VALUES = {
    "samples": pl.DataFrame({"sample_id": ["a"], "split": ["train"], "tags": [["x", "y"]]}),
    "attribute.metrics": {"accuracy": 0.5},
    "report": "<p>A report</p>",
    "attribute.history": pl.DataFrame({"epoch": [1, 2], "loss": [0.5, None]}),
}


@pytest.fixture
def client(standin):
    catalog = standin.catalog()
    for name, value in VALUES.items():
        catalog.save(name, value)
    with standin.entered():
        load_and_populate_data(standin.path)
        yield TestClient(create_api_app_from_project(standin.path))


def nodes(client) -> dict[str, dict]:
    return {node["name"]: node for node in client.get("/api/main").json()["nodes"]}


def preview(client, name: str) -> tuple[str | None, object]:
    answer = client.get(f"/api/nodes/{nodes(client)[name]['id']}")
    assert answer.status_code == 200
    return answer.json().get("preview_type"), answer.json().get("preview")


def test_layers_come_in_the_order_of_the_pipeline(client):
    layers = client.get("/api/main").json()["layers"]
    assert layers == [layer for layer in LAYERS if layer in layers]
    assert {"raw", "primary", "feature", "models", "reporting"} <= set(layers)


def test_a_method_is_a_namespace_that_collapses(client):
    assert nodes(client)["attribute"]["type"] == "modularPipeline"
    assert nodes(client)["attribute.encoder"]["modular_pipelines"] == ["attribute"]


def test_previews(client):
    kind, table = preview(client, "samples")
    assert (kind, table["columns"], table["data"]) == (
        "TablePreview",
        ["sample_id", "split", "tags"],
        [["a", "train", "x, y"]],
    )
    assert preview(client, "attribute.history")[1]["data"] == [[1, 0.5], [2, None]]
    assert preview(client, "attribute.metrics") == ("JSONPreview", '{"accuracy": 0.5}')
    assert preview(client, "report") == ("HTMLPreview", "<p>A report</p>")


def test_raw_pictures_are_shown_by_their_size(client):
    kind, table = preview(client, "raw_samples")
    assert kind == "TablePreview"
    assert table["data"][0][table["columns"].index("image")].endswith(" bytes")


def test_what_does_not_exist_or_cannot_be_shown_has_no_preview(client):
    assert preview(client, "clusters") == (None, None)
    assert preview(client, "attribute.checkpoints") == (None, None)


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("comparison_plot", figure(), "ImagePreview"),
        ("image_store", pa.table({"pixels": [b"123"]}), "TablePreview"),
    ],
)
def test_the_wrapper_has_the_preview_of_what_it_wraps(standin, name, value, kind):
    dataset = standin.artifact(name)
    assert not hasattr(dataset, "preview")  # nothing to show yet
    dataset.save(value)
    assert dataset.preview()
    annotation = inspect.signature(dataset.preview).return_annotation  # as Kedro-Viz finds out
    assert getattr(annotation, "__name__", annotation) == kind


def test_an_encoder_has_no_preview(standin):
    dataset = standin.artifact("attribute.encoder")
    dataset.save(({}, {}))
    assert not hasattr(dataset, "preview")
