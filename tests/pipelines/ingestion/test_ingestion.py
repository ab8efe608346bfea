from io import BytesIO
from pathlib import Path

import polars as pl
import pytest
import yaml
from PIL import Image

from weakcl_pipeline.attributes.schema import AttributeSpec
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.images.decode import ImagesConfig
from weakcl_pipeline.pipelines.ingestion import create_pipeline
from weakcl_pipeline.pipelines.ingestion.nodes import type_samples
from weakcl_pipeline.sources import IngestionConfig, read_samples

ROOT = Path(__file__).parents[3]
PARAMETERS = yaml.safe_load((ROOT / "conf/base/parameters_ingestion.yml").read_text(encoding="utf-8"))
EMOJI = IngestionConfig.model_validate(PARAMETERS["ingestion"])
CONFIG = IngestionConfig(
    id_column="name",
    image_column="picture",
    split_column="split",
    labels=("colour",),
    attributes={"tags": AttributeSpec(kind="tags")},
)


def png(colour):
    buffer = BytesIO()
    Image.new("RGB", (20, 12), colour).save(buffer, format="PNG")
    return buffer.getvalue()


def raw_samples():
    pictures = [png("red" if i % 2 else "blue") for i in range(12)]
    pictures[2] = pictures[2][:60]
    pictures[5] = None
    return pl.DataFrame(
        {
            "name": [f"n{i}" for i in range(12)],
            "picture": pictures,
            "split": ["train"] * 8 + ["val"] * 2 + ["test"] * 2,
            "colour": ["red" if i % 2 else "blue" for i in range(12)],
            "tags": [["x"], ["x"], ["x", "y"], []] * 2 + [["y"], ["y"], None, None],
        }
    )


@pytest.fixture
def run(tmp_path):
    """Runs the nodes in order and returns every artifact of the stage."""
    return lambda max_bad_fraction: artifacts_of(max_bad_fraction, tmp_path)


def artifacts_of(max_bad_fraction, folder):
    artifacts = {
        "raw_samples": raw_samples().lazy(),
        "params:ingestion": CONFIG,
        "params:images": ImagesConfig(size=8, max_bad_fraction=max_bad_fraction),
        "image_shards": folder,
    }
    for node in create_pipeline().nodes:
        artifacts |= node.run({name: artifacts[name] for name in node.inputs})
    return artifacts


def test_the_stage_keeps_what_is_good_and_explains_what_is_not(run):
    out = run(max_bad_fraction=0.5)
    accepted = [f"n{i}" for i in range(12) if i not in (2, 5)]
    assert out["samples"].collect()["sample_id"].to_list() == accepted
    assert out["image_store"]["sample_id"].to_pylist() == accepted
    assert out["attributes"].collect()["sample_id"].to_list() == accepted
    assert out["quarantine"]["sample_id"].to_list() == ["n2", "n5"]
    assert all(out["quarantine"]["reason"])
    assert out["ingestion_summary"]["quarantined"] == 2
    # Each row of the store is its own sample's picture.
    first = [pixels[:3] for pixels in out["image_store"]["pixels"].to_pylist()]
    red = [i % 2 == 1 for i in range(12) if i not in (2, 5)]
    assert [pixel[0] > pixel[2] for pixel in first] == red


def test_too_many_bad_pictures_stop_the_stage(run):
    with pytest.raises(InputError, match="2 of 12"):
        run(max_bad_fraction=0.1)


def test_nodes_and_artifacts_have_their_names():
    pipeline = create_pipeline()
    assert {node.name for node in pipeline.nodes} == {"type_samples", "pack_images", "accept_samples"}
    assert pipeline.inputs() == {"raw_samples", "params:ingestion", "params:images", "image_shards"}
    assert pipeline.all_outputs() == {
        "sample_table", "attribute_schema", "image_store", "image_rejects",
        "samples", "attributes", "quarantine", "ingestion_summary",
    }  # fmt: skip
    assert all(node.tags == {"ingestion"} for node in pipeline.nodes)


@pytest.fixture(scope="module")
def emoji():
    raw = pl.read_parquet(ROOT / "data/01_raw/emoji/emoji.parquet")
    return raw.with_columns(image=pl.lit(b""))  # pictures play no part here


def test_the_emoji_configuration_reads_the_emoji_table(emoji):
    samples, schema = type_samples(emoji.lazy(), EMOJI)
    assert samples.select(pl.len()).collect().item() == 7578
    assert {name: entry["kind"] for name, entry in schema.items()} == {
        "tags": "tags", "gender": "categorical", "vendor": "categorical", "unicode_version": "continuous",
        "has_skin_tones": "bool", "is_zwj": "bool", "has_emoticon": "bool", "text_default": "bool",
    }  # fmt: skip
    assert schema["gender"]["missing"] == 7152


@pytest.mark.parametrize("column", ["subgroup", "codepoints", "name", "image_id", "group"])
def test_emoji_columns_that_determine_the_label_are_refused(emoji, column):
    leaking = EMOJI.model_copy(update={"attributes": {column: AttributeSpec()}})
    with pytest.raises(InputError) as error:
        read_samples(emoji.lazy(), leaking)
    assert f"H(group | {column}) = 0.000 bits of H(group) = 3.056 bits" in str(error.value)


def test_the_excluded_tags_are_all_forms_of_the_groups_own_words(emoji):
    """Each stem of a group's name, and every tag that holds it, save the listed homographs."""
    stems = (
        "smiley", "emotion", "people", "person", "human", "body", "animal", "natur", "food", "drink",
        "travel", "place", "activ", "object", "symbol", "flag",
    )  # fmt: skip
    other_words = {"supernatural", "personal"}
    tags = emoji["tags"].explode().unique()
    repeating = {tag for tag in tags if any(stem in tag.lower() for stem in stems)} - other_words
    assert set(EMOJI.attributes["tags"].exclude) == repeating


def test_every_hashtag_of_the_emoji_table_is_read_as_one(emoji):
    """Texts that stand for missing cells elsewhere are hashtags here: of question marks, minus, and Namibia's flag."""
    assert {"?", "-", "NA"} < {*emoji["tags"].explode()}
    samples, _ = type_samples(emoji.lazy(), EMOJI)
    assert samples.collect()["tags"].list.sort().to_list() == emoji["tags"].list.unique().list.sort().to_list()
