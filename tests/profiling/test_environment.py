"""The environment that a profile is written down as."""

from dataclasses import replace

import polars as pl
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from kedro.config import OmegaConfigLoader
from omegaconf import OmegaConf

from tests.conftest import ROOT
from tests.profiling.conftest import animals
from weakcl_pipeline.attributes import AttributeSpec, ClusteringConfig
from weakcl_pipeline.contrastive.trainer import TrainingConfig
from weakcl_pipeline.images import ImagesConfig
from weakcl_pipeline.profiling import Column, Guess, Useless, environment, profile
from weakcl_pipeline.profiling.roles import Roles
from weakcl_pipeline.sources import IngestionConfig, read_samples

BASE = {
    name: yaml.safe_load((ROOT / f"conf/base/parameters_{name}.yml").read_text())[name]
    for name in ("images", "clustering", "iterative", "training")
}
RAW = {"source": "table", "path": "data/animals: a #1.csv"}


def files_of(pictures, table, label="species"):
    found = profile(table.lazy(), str(pictures), label)
    return found, environment(found, RAW, "data/pictures", BASE)


def read(files, name):
    """Return a group of parameters as Kedro reads it."""
    return OmegaConf.to_container(OmegaConf.create(files[f"parameters_{name}.yml"]), resolve=True)[name]


@pytest.fixture(scope="module")
def written(pictures):
    return files_of(pictures, animals())


def test_every_group_is_what_the_pipelines_take(written):
    found, files = written
    ingestion = IngestionConfig.model_validate(read(files, "ingestion"))
    assert (ingestion.id_column, ingestion.image_column, ingestion.labels) == ("nr", "file", ("species",))
    assert set(ingestion.attributes) == set(found.attributes)
    assert ingestion.attributes["tags"] == found.attributes["tags"].spec
    clustering = ClusteringConfig.model_validate(read(files, "clustering"))
    assert list(clustering.attributes) == found.clustered
    assert ImagesConfig.model_validate(read(files, "images")).root == "data/pictures"
    assert TrainingConfig.model_validate(read(files, "training")).batch_size == found.choices.batch_size
    assert yaml.safe_load(files["catalog.yml"])["raw_samples"] == {
        "type": "weakcl_pipeline.datasets.SourceDataset",
        **RAW,
    }


def test_what_the_data_set_does_not_ask_for_is_as_in_base(written):
    found, files = written
    for name, own in (("training", "batch_size"), ("iterative", "k")):
        assert read(files, name) == {**BASE[name], own: getattr(found.choices, own)}


def test_ingestion_takes_the_table_as_it_was_understood(written):
    _, files = written
    samples, schema = read_samples(animals().lazy(), IngestionConfig.model_validate(read(files, "ingestion")))
    samples = samples.collect()
    assert samples.height == 240
    assert set(samples["split"]) == {"train", "val", "test"}
    assert {name: entry["kind"] for name, entry in schema.items()} == {
        "tags": "tags",
        "family": "categorical",
        "indoors": "bool",
        "weight": "continuous",
        "seen": "continuous",
        "place": "hierarchy",
        "country_region": "hierarchy",
    }


def test_a_picture_of_several_rows_is_in_one_split(pictures):
    rows = animals().drop("nr", "animal_id", "subset", "remark")
    _, files = files_of(pictures, pl.concat([rows, rows]))
    config = IngestionConfig.model_validate(read(files, "ingestion"))
    samples = read_samples(pl.concat([rows, rows]).lazy(), config)[0].collect()
    assert samples["sample_id"].n_unique() == 480
    assert samples.group_by("image").agg(pl.col("split").n_unique())["split"].unique().to_list() == [1]


def test_comments_say_what_was_found_and_what_was_left_out(written):
    found, files = written
    lines = files["parameters_ingestion.yml"].splitlines()
    told = lines[next(i for i, line in enumerate(lines) if line.strip().startswith("tags:")) - 1]
    assert told.strip().startswith(f"# H {found.attributes['tags'].information.entropy:.2f}, H(species | it)")
    assert told.endswith("without 4 words that name the label")
    assert "  #   camera: has one value only" in lines


@pytest.mark.parametrize(
    "name",
    [
        "Größe: (cm) #1", "'quoted' \"name\"", "- list", "{braces}", "new\nline", "yes", "1", " ", "x" * 300, "a.b",
        "1e5", "1_0", "2020-01-01", "1:30", "${size}", "${", "\\${oc.env:HOME}", "\\???", "bell \a", "line\u2028break",
    ],
)  # fmt: skip
def test_any_name_of_a_column_is_written_so_that_it_is_read_again(pictures, name):
    renamed = animals().rename({"tags": name, "species": f"{name}!"})
    found, files = files_of(pictures, renamed, f"{name}!")
    ingestion = read(files, "ingestion")
    assert name in ingestion["attributes"]
    assert ingestion["labels"] == [f"{name}!"]
    assert name in read(files, "clustering")["attributes"]
    assert list(found.attributes) == list(ingestion["attributes"])


def test_splits_are_made_where_none_is_given(pictures):
    _, files = files_of(pictures, animals().drop("subset"))
    assert read(files, "ingestion")["split"] == {"stratify": "species"}
    _, files = files_of(pictures, animals().drop("subset"), label=None)
    assert "split" not in read(files, "ingestion")


def test_without_attributes_there_is_nothing_to_cluster_by(pictures):
    _, files = files_of(pictures, animals().select("file", "species"))
    assert read(files, "ingestion")["attributes"] == {}
    assert "parameters_clustering.yml" not in files


TEXTS = st.one_of(
    st.text(max_size=12),
    st.text("\\${}?:.ab'\"# \n\u2028\x85\ufeff", max_size=8),
    st.from_regex(r"[-+]?[0-9_]*[.:]?[0-9_]*([eE][-+]?[0-9]+)?", fullmatch=True),
    st.sampled_from(
        ["1e5", "${oc.env:HOME}", "yes", "null", "~", "???", "\\???", "=", "<<", ".inf", "0x1f", "0o7", "- a"]
    ),
)
"""Texts that YAML or OmegaConf has a meaning for, among others."""


@settings(deadline=None, max_examples=60)
@given(names=st.lists(TEXTS, min_size=9, max_size=9, unique=True), words=st.lists(TEXTS, max_size=4, unique=True))
def test_whatever_a_table_holds_is_read_again_by_kedro(written, tmp_path_factory, names, words):
    found, _ = written
    split_values = dict(zip(names, ("train", "val", "test"), strict=False))
    tags, note = names[5:7]
    spec = AttributeSpec(kind="tags", separator=names[7] or None, exclude=tuple(words))
    levels = AttributeSpec(kind="hierarchy", levels=tuple(names[:2]))
    own, image, split, label, group = names[:5]
    roles = Roles(image, own, split, split_values, label, group)
    columns = (
        Column(tags, Guess("tags"), "attribute", 0.0, None, spec=spec, clusters=True, note=note),
        Column(names[8], Guess("hierarchy"), "attribute", 0.0, None, spec=levels),
        Column(note, Guess(Useless.TEXT), "", 0.0, None, note=tags),
    )
    files = environment(replace(found, roles=roles, columns=columns), {"source": "table", "path": note}, names[8], BASE)
    conf = tmp_path_factory.mktemp("conf")
    (conf / "base").mkdir()
    for name, text in files.items():
        (conf / "base" / name).write_text(text, encoding="utf-8")
    loader = OmegaConfigLoader(conf.as_posix(), base_env="base", default_run_env="base")
    parameters = loader["parameters"]
    ingestion = IngestionConfig.model_validate(parameters["ingestion"])
    assert (ingestion.id_column, ingestion.image_column, ingestion.split_column) == (own, image, split)
    assert (ingestion.labels, ingestion.group_column) == ((label,), group)
    assert ingestion.split_values == split_values
    assert ingestion.attributes == {tags: spec, names[8]: levels}
    assert parameters["clustering"]["attributes"] == [tags]
    assert parameters["images"]["root"] == names[8]
    assert loader["catalog"]["raw_samples"]["path"] == note
