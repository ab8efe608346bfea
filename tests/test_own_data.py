"""What docs/own_data.md says of a user's own table and folder of pictures, done."""

import re

import numpy as np
import polars as pl
import yaml
from PIL import Image

from tests.conftest import ROOT

KINDS = ("cat", "dog", "owl")


def documented_files():
    """The environment's files as the page shows them, by name."""
    section = (ROOT / "docs/own_data.md").read_text().split("## An environment")[1].split("\n## ")[0]
    blocks = re.findall(r"```yaml\n# conf/mine/(\S+)\n(.*?)```", section, re.DOTALL)
    return {name: yaml.safe_load(text) for name, text in blocks}


def write_pictures(folder, count, generator):
    folder.mkdir(parents=True)
    rows = []
    for number in range(count):
        kind = KINDS[number % 3]
        Image.fromarray(generator.integers(0, 256, (40, 52, 3), dtype=np.uint8)).save(folder / f"{number}.png")
        rows.append(
            {
                "id": f"p{number}",
                "file": f"{number}.png",
                "species": kind,
                "tags": "; ".join(word for word in (f"{kind}like", "cute", "wild") if generator.random() < 0.7),
                "colour": ("black", "white")[int(generator.random() < 0.5)],
                "habitat": f"land/{'house' if number % 2 else 'forest'}",
            }
        )
    return pl.DataFrame(rows)


def test_the_documented_environment_runs_on_a_table_and_a_folder(project_factory):
    project = project_factory()
    files = documented_files()
    groups = ("ingestion", "images", "clustering", "iterative")
    assert set(files) == {"catalog.yml"} | {f"parameters_{name}.yml" for name in groups}
    files["parameters_ingestion.yml"]["ingestion"]["attributes"]["tags"]["min_count"] = 5
    files["parameters_clustering.yml"]["clustering"]["granularities"] = [1, 2, 4]
    files["parameters_iterative.yml"]["iterative"]["warmup_epochs"] = 0
    (project.path / "conf/mine").mkdir()
    for name, content in files.items():
        (project.path / "conf/mine" / name).write_text(yaml.safe_dump(content))
    raw = project.path / "data/01_raw/mine"
    table = write_pictures(raw / "pictures", 240, np.random.default_rng(0))
    table.write_csv(raw / "table.csv")
    base = yaml.safe_load((project.path / "conf/local/parameters.yml").read_text())
    project.run("full", env="mine", params={"training": base["training"]})
    samples = project.artifact("samples").load()
    assert samples.height == 240
    assert abs(samples.filter(pl.col("split") == "train").height - 0.7 * 240) < 10
    assert 2 <= project.artifact("kmeans_clusters").load()["cluster"].n_unique() <= 18  # a tenth of the train split
    assert project.artifact("image_store").load().schema.metadata[b"image_size"] == b"64"
    assert list((project.path / "data/05_model_input/image_shards").iterdir()) == []
    assert set(project.artifact("comparison").load()["label"]) == {"species"}
    assert project.artifact("report").load().startswith("<!")
