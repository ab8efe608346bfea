"""Which versions a run reads, where several names stand for one folder and where what was asked for is not read."""

import pytest
from kedro.framework.hooks.manager import _create_hook_manager
from kedro.io import DataCatalog
from kedro.pipeline import Node, Pipeline
from kedro.runner import SequentialRunner

from weakcl_pipeline.errors import InputError
from weakcl_pipeline.hooks import LineageHook, versions

OLD, NEW, LATER = (f"2026-01-0{day}T00.00.00.000Z" for day in (1, 2, 3))

pytestmark = pytest.mark.filterwarnings("ignore:One or more dataset names contain")


def copy(*values: object) -> list[object]:
    return list(values)


def cluster() -> list[object]:
    return []


def artifact(folder) -> dict[str, object]:
    return {
        "type": "weakcl_pipeline.datasets.AtomicDataset",
        "filepath": folder.as_posix(),
        "file": "data.json",
        "dataset": {"type": "json.JSONDataset"},
    }


@pytest.fixture
def registered():
    return {
        "clustering": Pipeline([Node(cluster, None, "clusters", name="cluster")]),
        "training": Pipeline([Node(copy, "clusters", "attribute.encoder", name="train")]),
        "apply": Pipeline([Node(copy, ["clusters", "applied.encoder"], "applied.embeddings", name="embed")]),
    }


@pytest.fixture
def config(tmp_path):
    """A catalog in which the encoder of `training` has another name for `apply`."""
    folders = {name: name for name in ("clusters", "{method}.encoder", "applied.embeddings")}
    folders["applied.encoder"] = "attribute.encoder"
    raw = {"type": "json.JSONDataset", "filepath": (tmp_path / "raw.json").as_posix()}
    return {name: artifact(tmp_path / folder) for name, folder in folders.items()} | {"raw": raw}


@pytest.fixture
def run(monkeypatch, registered, config):
    """Run a pipeline and return its catalog."""
    monkeypatch.setattr(versions, "pipelines", registered)

    def run(name: str, run_id: str, **params: object) -> DataCatalog:
        manager = _create_hook_manager()
        manager.register(LineageHook())
        catalog = DataCatalog.from_config(config, save_version=run_id, load_versions=params.get("load_versions"))
        params = {"run_id": run_id, "pipeline_names": [name], **params}
        manager.hook.before_pipeline_run(run_params=params, pipeline=registered[name], catalog=catalog)
        SequentialRunner().run(registered[name], catalog, manager, run_id)
        return catalog

    return run


@pytest.mark.parametrize("pipeline", ["clustering", "training"])
def test_what_a_pipeline_makes_needs_versions(run, config, pipeline, tmp_path):
    config["clusters"] = {"type": "json.JSONDataset", "filepath": (tmp_path / "clusters.json").as_posix()}
    message = refusal(run, pipeline, NEW)
    assert message.startswith(
        "clusters: a pipeline makes it, so it needs versions, but it is a JSONDataset in the catalog"
    )
    assert list(tmp_path.iterdir()) == []


def refusal(run, *args: str, **params: object) -> str:
    with pytest.raises(InputError) as error:
        run(*args, **params)
    return str(error.value)


def test_a_version_can_be_asked_for_by_the_name_it_was_made_by(run):
    run("clustering", OLD)
    for version in (OLD, NEW):
        run("training", version)
    catalog = run("apply", LATER, load_versions={"attribute.encoder": OLD})
    assert catalog["applied.embeddings"].lineage().inputs["applied.encoder"].version == OLD


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("aplied.encoder", ". Did you mean applied.encoder?"),
        ("raw", "; there are applied.encoder, clusters"),
    ],
)
def test_a_version_of_what_the_run_does_not_read_is_refused(run, name, hint):
    message = refusal(run, "apply", NEW, load_versions={name: OLD})
    assert message == f"--load-versions={name}:{OLD} cannot be met: the run reads no version of {name}{hint}"


def test_what_has_another_name_where_it_is_made_is_made_by_that(run):
    run("clustering", OLD)
    message = refusal(run, "apply", NEW)
    assert message.endswith("Make it first: kedro run --pipelines=training")


def test_the_advice_names_the_pipeline_that_trains_and_drops_what_it_does_not_read(run, tmp_path):
    run("clustering", OLD)
    run("training", OLD)
    run("clustering", NEW)
    for path in (tmp_path / "clusters" / OLD).iterdir():
        path.unlink()
    message = refusal(run, "apply", LATER, load_versions={"attribute.encoder": OLD, "clusters": NEW})
    head, command = message.rsplit("\n", 1)
    assert head.endswith("Make attribute.encoder anew, then repeat this command:")
    assert command == f"  kedro run --pipelines=training --load-versions=clusters:{NEW}"


def test_without_a_pipeline_that_makes_it_no_command_is_given(run, registered, tmp_path, monkeypatch):
    run("clustering", OLD)
    run("training", OLD)
    run("clustering", NEW)
    for path in (tmp_path / "clusters" / OLD).iterdir():
        path.unlink()
    monkeypatch.setattr(versions, "pipelines", {"apply": registered["apply"]})
    assert refusal(run, "apply", LATER).endswith("Make applied.encoder anew, then repeat this command.")


@pytest.mark.parametrize("pipeline", ["clustering", "training"])
def test_a_version_of_the_future_is_warned_of_by_the_run_that_reads_or_makes_it(run, pipeline, tmp_path, caplog):
    run("clustering", "2999-01-01T00.00.00.000Z")
    caplog.clear()
    run(pipeline, NEW)
    [message] = caplog.messages
    assert message.startswith("By this machine's clock these versions are of the future")
    assert message.endswith(f"remove them:\n  {tmp_path}/clusters/2999-01-01T00.00.00.000Z")
