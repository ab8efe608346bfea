from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.runner import SequentialRunner
from PIL import Image

from weakcl_pipeline.hooks import PicturesHook
from weakcl_pipeline.images.decode import ImagesConfig


def handed(root):
    hook = PicturesHook()
    hook.before_pipeline_run(run_params={"run_id": "r", "project_path": "/projects/mine"})
    return hook.before_node_run(inputs={"params:images": ImagesConfig(root=root), "samples": 1}, run_id="r")


def test_a_folder_is_relative_to_the_project():
    assert handed("data/pictures")["params:images"].root == str(Path("/projects/mine/data/pictures"))


def test_an_absolute_folder_and_none_stay():
    assert handed("/pictures")["params:images"].root == "/pictures"
    assert handed(None) == {}


@pytest.mark.parametrize("end", [PicturesHook.after_pipeline_run, PicturesHook.on_pipeline_error])
def test_a_run_that_ended_is_forgotten(end):
    hook = PicturesHook()
    run = {"run_id": "r", "project_path": "/projects/mine"}
    hook.before_pipeline_run(run_params=run)
    end(hook, run_params=run)
    images = hook.before_node_run(inputs={"params:images": ImagesConfig(root="pictures")}, run_id="r")
    assert images["params:images"].root == "pictures"


def test_a_url_stays():
    assert handed("s3://bucket/pictures") == {}


def test_a_run_from_elsewhere_finds_the_pictures_and_records_the_folder_as_written(
    project_factory, tmp_path, monkeypatch
):
    project = project_factory()
    folder = project.path / "data/01_raw/mine"
    (folder / "pictures").mkdir(parents=True)
    for number in range(12):
        pixels = np.full((20, 20, 3), 10 * number, dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"pictures/{number}.png")
    table = {"id": list(range(12)), "file": [f"{i}.png" for i in range(12)], "split": ["train"] * 12}
    pl.DataFrame(table).write_parquet(folder / "table.parquet")
    files = {
        "catalog": {
            "raw_samples": {
                "type": "weakcl_pipeline.datasets.SourceDataset",
                "source": "table",
                "path": "data/01_raw/mine/table.parquet",
            }
        },
        "parameters_ingestion": {"ingestion": {"id_column": "id", "image_column": "file", "split_column": "split"}},
        "parameters_images": {"images": {"size": 16, "root": "data/01_raw/mine/pictures"}},
    }
    (project.path / "conf/mine").mkdir()
    for name, content in files.items():
        (project.path / f"conf/mine/{name}.yml").write_text(yaml.safe_dump(content))
    with project.entered():
        monkeypatch.chdir(tmp_path)
        bootstrap_project(project.path)
        with KedroSession.create(project.path, env="mine") as session:
            session.run(pipeline_names=["ingestion"], runner=SequentialRunner())
    assert len(project.artifact("image_store").load()) == 12
    recorded = project.lineage("image_store").parameters["params:images"]
    assert recorded["root"] == "data/01_raw/mine/pictures"
