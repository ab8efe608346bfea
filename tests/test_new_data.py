"""`kedro weakcl new-data`: from somebody's own pictures to a comparison, with no file edited by hand."""

import re
from importlib.metadata import entry_points
from pathlib import Path

import click
import polars as pl
import pytest
import yaml
from click.testing import CliRunner
from kedro.framework.startup import bootstrap_project

from tests.conftest import ROOT, TINY, sample_rows
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.new_data import new_data
from weakcl_pipeline.plugin import commands

GERMAN = {
    "image_id": "Kennung",
    "image": "Bilddatei",
    "name": "Bezeichnung",
    "tags": "Schlagwörter",
    "group": "Gruppe",
    "codepoints": "Codepunkte",
    "unicode_version": "Größe (cm)",
    "has_skin_tones": "Hautfarben",
    "gender": "Geschlecht",
    "vendor": "Herkunft",
    "split": "Aufteilung",
}
SPLITS = {"train": "Training", "val": "Validierung", "test": "Test"}
SMALL = [
    f"{group}.{key}={value}"
    for group, key, value in (
        ("training", "epochs", 1),
        ("training", "batch_size", 32),
        ("training", "encoder.backbone_kwargs.stem_width", 4),
        ("training", "encoder.head.output_dim", TINY["training"]["encoder"]["head"]["output_dim"]),
        ("iterative", "k", 5),
        ("iterative", "warmup_epochs", 0),
        ("iterative", "recluster_every", 1),
        ("evaluation", "bootstrap.resamples", 100),
        ("evaluation", "few_label.repeats", 1),
        ("clustering", "shuffles", 2),
    )
]
"""The parameters of a small training, all given on the command line."""


def emoji(rows):
    return sample_rows(pl.read_parquet(ROOT / "data/01_raw/emoji/emoji.parquet"), rows)


def export(folder, rows=240):
    """Write emoji as somebody else would: PNG files, and a CSV in Latin-1 with `;`, quoted tags and German columns."""
    pictures = folder / "bilder"
    pictures.mkdir(parents=True)
    table = emoji(rows)
    for name, content in table.select("image_id", "image").iter_rows():
        (pictures / f"{name}.png").write_bytes(content)
    german = table.select(
        "image_id",
        (pl.col("image_id") + ".png").alias("image"),
        "name",
        pl.col("tags").list.join(", "),
        "group",
        "codepoints",
        pl.col("unicode_version").cast(pl.String).str.replace(".", ",", literal=True),
        pl.when("has_skin_tones").then(pl.lit("ja")).otherwise(pl.lit("nein")).alias("has_skin_tones"),
        "gender",
        "vendor",
        pl.col("split").replace(SPLITS),
    )
    text = german.rename(GERMAN).write_csv(separator=";", quote_style="non_numeric")
    (folder / "tabelle.csv").write_bytes(text.encode("latin-1", "replace"))


@pytest.fixture
def invoke(project_factory):
    """Call the command inside a project, in this process."""
    project = project_factory()

    def call(*words):
        with project.entered():
            return CliRunner().invoke(new_data, list(words), obj=bootstrap_project(project.path))

    call.project, call.path = project, project.path
    return call


def lines_of(output):
    return [line.rstrip() for line in output.splitlines()]


def test_kedro_finds_the_command_by_its_entry_point():
    (found,) = entry_points(group="kedro.project_commands", name="weakcl")
    assert found.load() is commands
    group = commands.get_command(click.Context(commands), "weakcl")
    assert group.get_command(click.Context(group), "new-data") is new_data


def test_pictures_and_a_german_table_end_in_a_comparison_with_no_file_edited(project_factory):
    project = project_factory()
    export(project.path / "eigene")
    before = {file: file.read_bytes() for file in (project.path / "conf").rglob("*") if file.is_file()}
    words = ("meine", "--table", "eigene/tabelle.csv", "--images", "eigene/bilder", "--label", "Gruppe")
    made = project.kedro(*words, command=("kedro", "weakcl", "new-data"))
    assert made.returncode == 0, made.stderr
    found = {line.split("  ")[0]: line for line in lines_of(made.stdout)}
    assert re.search(r"Schlagwörter +attribute +tags \(delimited by ','\) .* makes clusters", made.stdout)
    for name, role in {"Kennung": "id", "Bilddatei": "picture", "Codepunkte": "group", "Aufteilung": "split"}.items():
        assert found[name].removeprefix(name).split()[0] == role
    assert lines_of(made.stdout)[-1] == "  kedro run --env=meine"

    ran = project.kedro("--env=meine", f"--params={','.join(SMALL)}")
    assert ran.returncode == 0, ran.stderr
    after = {file: file.read_bytes() for file in (project.path / "conf").rglob("*") if file.is_file()}
    assert {file: after[file] for file in before} == before
    samples = project.artifact("samples").load()
    assert set(samples["sample_id"]) == set(emoji(240)["image_id"])
    assert samples.group_by("split").len().sort("split")["len"].to_list() == (
        emoji(240).group_by("split").len().sort("split")["len"].to_list()
    )
    tags = project.artifact("attributes").load().select("Schlagwörter").collect().to_series()
    assert tags.list.len().mean() == pytest.approx(emoji(240)["tags"].list.len().mean(), rel=0.01)
    comparison = project.artifact("comparison").load()
    assert set(comparison["label"]) == {"Gruppe"}
    assert {"self_supervised", "attribute", "iterative", "supervised"} <= set(comparison["method"])


def test_folders_of_pictures_without_a_table(invoke):
    for name, split, group, content in emoji(160).select("image_id", "split", "group", "image").iter_rows():
        folder = invoke.path / "fotos" / split / group
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.png").write_bytes(content)
    result = invoke("fotos", "--images", str(invoke.path / "fotos"), "--label", "folder_2")
    assert result.exit_code == 0, result.output
    assert lines_of(result.output)[-1] == "  kedro run --env=fotos --pipelines=pictures"
    ingestion = yaml.safe_load((invoke.path / "conf/fotos/parameters_ingestion.yml").read_text())["ingestion"]
    assert (ingestion["id_column"], ingestion["split_column"], ingestion["labels"]) == (
        "file",
        "folder_1",
        ["folder_2"],
    )
    catalog = yaml.safe_load((invoke.path / "conf/fotos/catalog.yml").read_text())
    assert catalog["raw_samples"]["path"] == "fotos"
    invoke.project.run("ingestion", env="fotos")
    samples = invoke.project.artifact("samples").load()
    assert samples["label_folder_2"].null_count() == 0
    assert samples.height == emoji(160).height
    unlabelled = invoke("ohne", "--images", str(invoke.path / "fotos/train/flags"))
    assert lines_of(unlabelled.output)[-1] == "  kedro run --env=ohne --to-nodes=self_supervised.embed,iterative.embed"


def test_what_is_outside_of_the_project_has_its_whole_path(invoke, tmp_path):
    export(tmp_path / "away", 100)
    result = invoke("fern", "--table", str(tmp_path / "away/tabelle.csv"), "--images", str(tmp_path / "away/bilder"))
    assert result.exit_code == 0, result.output
    conf = invoke.path / "conf/fern"
    assert yaml.safe_load((conf / "catalog.yml").read_text())["raw_samples"]["path"] == f"{tmp_path}/away/tabelle.csv"
    images = yaml.safe_load((conf / "parameters_images.yml").read_text())["images"]
    assert images["root"] == f"{tmp_path}/away/bilder"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../away", "/away", "with space", "-x", "a\nb"])
def test_a_name_that_is_none_of_a_folder_is_refused(invoke, name):
    before = sorted(invoke.path.rglob("*"))
    result = invoke("--", name)
    assert result.exit_code == 1
    assert result.stderr == (
        f"Error: NAME: {name!r} cannot be the name of an environment."
        " Use letters, digits, '_' and '-', as in 'my-birds'.\n"
    )
    assert sorted(invoke.path.rglob("*")) == before


@pytest.mark.parametrize("name", ["base", "local", "mine"])
def test_nothing_is_overwritten(invoke, name):
    (invoke.path / "conf/mine").mkdir()
    before = {file: file.read_bytes() for file in invoke.path.rglob("*") if file.is_file()}
    result = invoke(name, "--images", str(invoke.path))
    assert result.exit_code == 1
    assert result.stderr == (
        f"Error: NAME: {invoke.path / 'conf' / name} is there already, and nothing is overwritten."
        " Choose another name, or remove it.\n"
    )
    assert {file: file.read_bytes() for file in invoke.path.rglob("*") if file.is_file()} == before


def test_an_interrupted_write_leaves_nothing(invoke, monkeypatch):
    export(invoke.path / "eigene", 100)

    def full_disk(self, text, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full_disk)
    before = sorted((invoke.path / "conf").rglob("*"))
    result = invoke("x", "--table", "eigene/tabelle.csv", "--images", "eigene/bilder")
    assert result.exit_code == 1
    assert result.stderr == f"Error: {invoke.path}/conf/x cannot be written: No space left on device.\n"
    assert sorted((invoke.path / "conf").rglob("*")) == before


def test_how_the_table_is_written_can_be_said(invoke):
    export(invoke.path / "eigene", 100)
    (invoke.path / "eigene/tabelle.csv").rename(invoke.path / "eigene/tabelle.export")
    words = ("mine", "--table", "eigene/tabelle.export", "--images", "eigene/bilder")
    assert invoke(*words).exit_code == 1
    assert invoke(*words, "--format", "csv", "--separator", ";", "--encoding", "latin-1").exit_code == 0
    written = yaml.safe_load((invoke.path / "conf/mine/catalog.yml").read_text())["raw_samples"]
    written.pop("type")
    assert written == {
        "source": "table",
        "path": "eigene/tabelle.export",
        "format": "csv",
        "separator": ";",
        "encoding": "latin-1",
    }


@pytest.mark.parametrize("bad", [0, 1, 3])
def test_more_missing_pictures_than_a_run_bears_are_told(invoke, bad):
    export(invoke.path / "eigene", 100)
    for name in emoji(100)["image_id"].head(bad):
        (invoke.path / f"eigene/bilder/{name}.png").unlink()
    result = invoke("mine", "--table", "eigene/tabelle.csv", "--images", "eigene/bilder", "--label", "Gruppe")
    assert result.exit_code == 0, result.output
    told = (
        "3.0% of the pictures cannot be used, and a run stops at more than images.max_bad_fraction = 0.01."
        " Mend or remove them, or raise it in conf/mine/parameters_images.yml."
    )
    assert (told in lines_of(result.output)) == (bad == 3)
    if bad == 3:
        with pytest.raises(InputError, match=r"images\.max_bad_fraction"):
            invoke.project.run("ingestion", env="mine")


def test_further_tables_are_joined(invoke):
    folder = invoke.path / "eigene"
    export(folder, 100)
    german = pl.read_csv(folder / "tabelle.csv", separator=";", encoding="latin-1", infer_schema=False)
    tags = german.select("Kennung", Wort=pl.col("Schlagwörter").str.split(", ")).explode("Wort")
    (folder / "mehr").mkdir()
    tags.write_csv(folder / "mehr/worte.csv")
    german.group_by("Herkunft", maintain_order=True).agg(Land=pl.len().cast(pl.String)).with_columns(
        Gruppe=pl.lit("nirgends")
    ).write_parquet(folder / "herkunft.parquet")
    words = ("mine", "--table", "eigene/tabelle.csv", "--images", "eigene/bilder", "--label", "Gruppe")
    result = invoke(*words, "--join", "eigene/mehr/worte.csv", "--join", "eigene/herkunft.parquet")
    assert result.exit_code == 0, result.output
    written = yaml.safe_load((invoke.path / "conf/mine/catalog.yml").read_text())["raw_samples"]
    assert written["join"] == [
        {"path": "mehr/worte.csv", "by": "Kennung", "collect": ["Wort"]},
        {"path": "herkunft.parquet", "by": "Herkunft", "take": ["Land"]},
    ]
    invoke.project.run("ingestion", env="mine")
    attributes = invoke.project.artifact("attributes").load().collect()
    assert attributes["Wort"].list.sort().to_list() == attributes["Schlagwörter"].list.sort().to_list()


def test_columns_may_be_called_what_configuration_has_a_meaning_for(invoke):
    folder = invoke.path / "eigene"
    export(folder, 100)
    names = {
        "Kennung": "${oc.env:HOME}",
        "Bilddatei": "{file}",
        "Gruppe": "1e3",
        "Schlagwörter": "${size}",
        "Herkunft": "1e5",
    }
    german = pl.read_csv(folder / "tabelle.csv", separator=";", encoding="latin-1", infer_schema=False)
    flag = pl.col("Gruppe") == "flags"
    named = pl.when(flag).then(pl.col("Schlagwörter") + ", 1e7").otherwise("Schlagwörter")
    labels = pl.col("Gruppe").replace("flags", "1e7")
    german.with_columns(named, labels).rename(names).write_csv(folder / "tabelle.csv")
    words = ("--table", "eigene/tabelle.csv", "--images", "eigene/bilder", "--label", "1e3")
    result = invoke("mine", *words)
    assert result.exit_code == 0, result.output
    invoke.project.run("ingestion", env="mine")
    schema = invoke.project.artifact("attribute_schema").load()
    assert {"${size}", "1e5"} <= set(schema)
    assert "1e7" in schema["${size}"]["exclude"]
    assert set(invoke.project.artifact("samples").load()["sample_id"]) == set(german["Kennung"])


BAD = {
    "neither": ([], "Give --table, --images, or both: the table of the pictures, and the folder that they are in."),
    "no table": (["--table", "none.csv"], "--table: there is no none.csv (looked for from "),
    "no pictures": (["--table", "T", "--images", "none"], "--images: there is no none (looked for from "),
    "no label": (
        ["--table", "T", "--images", "P", "--label", "Grupe"],
        "--label: there is no column 'Grupe'. Did you mean",
    ),
    "other folder": (["--table", "T", "--images", "."], "the pictures that the table names are not there. Looked for"),
    "no encoding": (
        ["--table", "T", "--images", "P", "--encoding", "latin-0"],
        "--encoding: there is no text encoding 'latin-0' (it is",
    ),
    "no table to read": (
        ["--images", "P", "--separator", ";"],
        "--separator says how a table is written, but there is",
    ),
    "nothing to join to": (["--images", "P", "--join", "T"], "--join: there is no --table that it could be joined to."),
    "no table to join": (["--table", "T", "--join", "none.csv"], "--join: there is no none.csv (looked for from "),
    "nothing new": (["--table", "T", "--join", "T"], "--join eigene/tabelle.csv: all its columns (Kennung, "),
    "no key": (
        ["--table", "T", "--join", "{base}/data/01_raw/emoji/emoji.parquet"],
        "--join {base}/data/01_raw/emoji/emoji.parquet: no column has the name of one in the table of the pictures",
    ),
    "a file": (["--images", "T"], "--images: eigene/tabelle.csv is no folder. Only a folder can be listed"),
    "a URL": (["--images", "http://localhost/x"], "--images: http://localhost/x is no folder. Only a folder"),
    "empty folder": (["--images", "empty"], "empty: there is no picture in this folder (.png, "),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_used_is_one_message(invoke, case):
    words, message = BAD[case]
    export(invoke.path / "eigene", 100)
    (invoke.path / "empty").mkdir()
    places = {"T": "eigene/tabelle.csv", "P": "eigene/bilder"}
    base = invoke.path.as_posix()
    words, message = [word.format(base=base) for word in words], message.format(base=base)
    result = invoke("mine", *(places.get(word, word) for word in words))
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {message}")
    assert not (invoke.path / "conf/mine").exists()
