"""`kedro weakcl new-data`: an environment for a user's own pictures, written by looking at them."""

import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from kedro.config import OmegaConfigLoader
from kedro.framework.project import settings
from kedro.framework.startup import ProjectMetadata
from pydantic import ValidationError
from rich import get_console
from rich.console import Console
from rich.table import Table
from rich.text import Text

from weakcl_pipeline.cli import plain_errors
from weakcl_pipeline.config import explained
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.images.decode import ImagesConfig
from weakcl_pipeline.images.roots import is_url
from weakcl_pipeline.profiling import Column, Profile, environment, find_join, profile
from weakcl_pipeline.sources import SOURCES, Source

_NAME = re.compile(r"\w[\w-]*")


@click.command("new-data")
@click.argument("name")
@click.option("--table", help="The table, a row for each picture: CSV, JSON lines, Parquet, Arrow, ...")
@click.option("--join", multiple=True, help="A further table about the same pictures; may be given more than once.")
@click.option("--images", help="What the paths in the table are relative to. Without a table: a folder of pictures.")
@click.option("--label", help="Column to evaluate by; without a table, folder_1, folder_2, ...")
@click.option("--format", help="Of the table, where its name does not tell: csv, jsonl, parquet or arrow.")
@click.option("--encoding", help="Of a text table, if it is found wrongly, for example windows-1252.")
@click.option("--separator", help="Of a CSV table, if it is found wrongly.")
@click.option("--quote", help="Of a CSV table, if it is found wrongly; empty where cells are never quoted.")
@click.pass_obj
def new_data(
    project: ProjectMetadata,
    /,
    name: str,
    table: str | None,
    join: tuple[str, ...],
    images: str | None,
    label: str | None,
    **written: str | None,
) -> None:
    """Write conf/NAME for your own pictures, by looking at them and at the table that came with them.

    `kedro run --env NAME` then runs everything on them. Nothing is overwritten.
    """
    with plain_errors():
        target = _target(project.project_path / settings.CONF_SOURCE, name)
        raw_samples = _with_joins(_raw_samples(table, images, written), join)
        found = profile(_source(raw_samples).scan(), images, label)
        _show(found, get_console())
        base = _base_parameters(target.parent)
        _write(target, _environment(project.project_path, raw_samples, found, base))
    conf = target.relative_to(project.project_path)
    if too_many := _too_many_bad(found, base["images"]):
        click.echo(f"\n{too_many} Mend or remove them, or raise it in {conf}/parameters_images.yml.")
    click.echo(f"\nLook through the files in {conf}, and then:\n")
    click.echo(f"  kedro run --env={name}{_run_options(found)}")


def _environment(
    here: Path, raw_samples: Mapping[str, Any], found: Profile, base: Mapping[str, Mapping[str, Any]]
) -> dict[str, str]:
    """Return the files of the environment, with paths as the project sees them."""
    root = found.pictures.root
    return environment(
        found,
        {**raw_samples, "path": _seen_from(here, raw_samples["path"])},
        None if root is None else _seen_from(here, root),
        base,
    )


def _too_many_bad(found: Profile, images: Mapping[str, Any]) -> str:
    """Say that more pictures cannot be used than a run bears, by those that were opened; nothing where not."""
    most = ImagesConfig.model_validate(images).max_bad_fraction
    missing = next(column.missing for column in found.columns if column.name == found.roles.image)
    bad = missing + (1 - missing) * len(found.pictures.rejects) / found.pictures.checked
    if bad <= most:
        return ""
    return f"{bad:.1%} of the pictures cannot be used, and a run stops at more than images.max_bad_fraction = {most:g}."


def _run_options(found: Profile) -> str:
    """Return the options with which `kedro run` does all that the data set allows."""
    if found.roles.label is None:
        methods = ["self_supervised", *(["attribute"] if found.clustered else []), "iterative"]
        return f" --to-nodes={','.join(f'{method}.embed' for method in methods)}"
    return "" if found.clustered else " --pipelines=pictures"


def _target(conf: Path, name: str) -> Path:
    """Return the folder to write.

    Raises:
        InputError: The name is no name of a folder, or taken.
    """
    if not _NAME.fullmatch(name):
        raise InputError(
            f"NAME: {name!r} cannot be the name of an environment. Use letters, digits, '_' and '-', as in 'my-birds'."
        )
    target = conf / name
    if target.exists():
        raise InputError(
            f"NAME: {target} is there already, and nothing is overwritten. Choose another name, or remove it."
        )
    return target


def _raw_samples(table: str | None, images: str | None, written: Mapping[str, str | None]) -> dict[str, Any]:
    """Return the catalog entry of the raw table.

    Raises:
        InputError: Neither table nor pictures are given, or they are not there.
    """
    for option, place in (("--table", table), ("--images", images)):
        if place is not None:
            _require(option, place)
    options = {name: value for name, value in written.items() if value is not None}
    if table is not None:
        return {"source": "table", "path": table, **options}
    if images is None:
        raise InputError("Give --table, --images, or both: the table of the pictures, and the folder that they are in.")
    if options:
        raise InputError(f"--{next(iter(options))} says how a table is written, but there is no --table.")
    if is_url(images) or not Path(images).is_dir():
        raise InputError(
            f"--images: {images} is no folder. Only a folder can be listed; with others, give --table, too."
        )
    return {"source": "folder", "path": images}


def _require(option: str, place: str) -> None:
    """Refuse a file or folder that is not there."""
    if not is_url(place) and not Path(place).exists():
        raise InputError(f"{option}: there is no {place} (looked for from {Path.cwd()}).")


def _with_joins(raw_samples: dict[str, Any], join: Sequence[str]) -> dict[str, Any]:
    """Return the catalog entry with further tables joined to it.

    Raises:
        InputError: One is not there, cannot be read, or nothing tells how it belongs to the table.
    """
    if join and raw_samples["source"] != "table":
        raise InputError("--join: there is no --table that it could be joined to.")
    for place in join:
        _require("--join", place)
        other = _source({"source": "table", "path": place}).scan()
        found = find_join(_source(raw_samples).scan(), other, place)
        side = {"path": _beside(place, raw_samples["path"]), **found}
        raw_samples = {**raw_samples, "join": [*raw_samples.get("join", []), side]}
    return raw_samples


def _beside(place: str, table: str) -> str:
    """Return a path relative to the folder of the table where both are files, and absolute where it is one alone."""
    if is_url(place):
        return place
    absolute = Path(place).absolute()
    return (
        absolute.as_posix()
        if is_url(table)
        else Path(os.path.relpath(absolute, Path(table).absolute().parent)).as_posix()
    )


def _source(raw_samples: Mapping[str, Any]) -> Source:
    """Return the source of a catalog entry.

    Raises:
        InputError: It does not take these options.
    """
    options = {key: value for key, value in raw_samples.items() if key != "source"}
    try:
        return SOURCES[raw_samples["source"]].model_validate(options)
    except ValidationError as error:
        raise InputError(f"--{next(explained(error, SOURCES[raw_samples['source']], noun='option'))}.") from error


def _seen_from(project: Path, place: str) -> str:
    """Return a path as the catalog has it: relative inside the project, absolute elsewhere, and a URL as it is."""
    if is_url(place):
        return place
    path = Path(place).absolute()
    return path.relative_to(project).as_posix() if path.is_relative_to(project) else path.as_posix()


def _base_parameters(conf: Path) -> Mapping[str, Mapping[str, Any]]:
    """Return the parameters of the base environment, which are what any other environment adds to."""
    base = settings.CONFIG_LOADER_ARGS.get("base_env", "base")
    parameters: Mapping[str, Mapping[str, Any]] = OmegaConfigLoader(str(conf), base_env=base, default_run_env=base)[
        "parameters"
    ]
    return parameters


def _write(target: Path, files: Mapping[str, str]) -> None:
    """Write a folder that is there as a whole or not at all.

    Raises:
        InputError: It cannot be written.
    """
    try:
        with tempfile.TemporaryDirectory(prefix=".new-data-", dir=target.parent, ignore_cleanup_errors=True) as folder:
            staged = Path(folder) / target.name
            staged.mkdir()
            for name, text in files.items():
                (staged / name).write_text(text, encoding="utf-8")
            staged.rename(target)
    except OSError as error:
        raise InputError(f"{target} cannot be written: {error.strerror}.") from error


def _show(found: Profile, console: Console) -> None:
    """Print what was found out."""
    pictures = found.pictures
    looked = "all" if found.looked_at == found.rows else f"{found.looked_at:,}"
    console.print(
        f"{found.rows:,} rows, {looked} of them looked at. {pictures.checked} pictures opened, {len(pictures.rejects)}"
        f" of them cannot be used; shorter sides {min(pictures.sides)} to {max(pictures.sides)} px.",
        highlight=False,
    )
    for reference, reason in pictures.rejects[:5]:
        console.print(Text(f"  cannot be used: {reference}: {reason}"))
    console.print(_columns(found), highlight=False)
    if not found.clustered:
        console.print("There is nothing to cluster by: what needs pictures alone can be trained, `attribute` cannot.")
    if found.roles.label is None:
        console.print("There is no label: encoders are trained, and nothing is measured. Name one with --label.")


def _columns(found: Profile) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    label = found.roles.label
    for heading in ("column", "is", "looks like"):
        table.add_column(heading, overflow="fold")
    for heading in ("missing", "values", "H"):
        table.add_column(heading, justify="right", no_wrap=True)
    if label is not None:
        table.add_column(Text(f"H({label} | column)"), justify="right")
    table.add_column("note", overflow="fold")
    for column in found.columns:
        told = column.information
        bits = [None if told is None else told.entropy]
        bits += [] if label is None else [None if told is None else told.remaining]
        cells = [
            column.name,
            column.role or "left out",
            _kind(column),
            f"{column.missing:.0%}",
            "" if column.distinct is None else f"{column.distinct:,}",
            *("" if value is None else f"{value:.2f}" for value in bits),
            ", ".join(filter(None, ["makes clusters" if column.clusters else "", column.note])),
        ]
        table.add_row(*map(Text, cells))
    return table


def _kind(column: Column) -> str:
    """What a column looks like, where that matters."""
    if column.role not in ("attribute", "level", "label", ""):
        return ""
    form, separator = column.guess.form.value, column.guess.separator
    detail = form if separator is None else f"{form} by {separator!r}"
    return f"{column.guess.kind.value} ({detail})" if detail else column.guess.kind.value
