"""The files of an environment, `conf/<name>/`, that a profile stands for: commented YAML.

Kedro reads them by OmegaConf, which takes more texts for numbers than PyYAML does, and replaces what is in `${...}`.
They are written so that it reads the very values that were found, whatever a table holds.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import yaml  # type: ignore[import-untyped]
from omegaconf import OmegaConf

from weakcl_pipeline.attributes.casting import AttributeKind
from weakcl_pipeline.profiling.data_profile import Column, Profile

_FEW_ROWS = 10_000  # so few that chance would leave rare labels out of a split
_WIDTH = 1 << 20  # no line is broken, so that each begins with its key
_LIKE_A_NUMBER = re.compile(r"[-+.\d]")
_NOT_IN_A_LINE = re.compile("[^ -~\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
"""Characters that may not stand in a line of YAML, not even in a comment."""


def environment(
    profile: Profile, raw_samples: Mapping[str, Any], root: str | None, base: Mapping[str, Mapping[str, Any]]
) -> dict[str, str]:
    """Write a profile down as the files of an environment.

    Args:
        profile: Of the data set.
        raw_samples: The catalog entry of the raw table, without its type.
        root: `images.root`, as the project sees it; none for pictures inside the table.
        base: The parameter groups `images`, `clustering`, `iterative` and `training` of the base environment, which
            are taken over but for what the data set asks for.

    Returns:
        Name of the file -> its text.
    """
    files = {
        "catalog.yml": _catalog(raw_samples),
        "parameters_ingestion.yml": _ingestion(profile),
        "parameters_images.yml": _images(profile, root, base["images"]),
        "parameters_iterative.yml": _iterative(profile, base["iterative"]),
        "parameters_training.yml": _training(profile, base["training"]),
    }
    if profile.clustered:
        files["parameters_clustering.yml"] = _clustering(profile, base["clustering"])
    return files


def _catalog(raw_samples: Mapping[str, Any]) -> str:
    return _lines(
        "# Where the raw table is. All other artifacts are those of conf/base/catalog.yml.",
        "raw_samples:",
        "  type: weakcl_pipeline.datasets.SourceDataset",
        *(f"  {_item(key, value)}" for key, value in raw_samples.items()),
    )


def _ingestion(profile: Profile) -> str:
    roles = profile.roles
    lines = [
        f"# What the columns of the table are, found by looking at {profile.looked_at:,} of its {profile.rows:,} rows.",
        "ingestion:",
    ]
    if roles.id is not None:
        lines.append(f"  {_item('id_column', roles.id)}  # names every sample")
    lines.append(f"  {_item('image_column', roles.image)}")
    if roles.split is not None:
        lines.append(f"  {_item('split_column', roles.split)}")
        lines.append(f"  {_item('split_values', roles.split_values)}")
    elif roles.label is not None and profile.rows < _FEW_ROWS:
        lines.append(
            "  # Each split gets its share of each value of the label, and stays when rows are added at the end."
        )
        lines.append(f"  {_item('split', {'stratify': roles.label})}")
    else:
        lines.append("  # Splits are made by a hash, and stay when rows are added; see `split` for shares and strata.")
    if roles.label is not None:
        lines.append(f"  {_item('labels', [roles.label])}  # for evaluation and `supervised`; never for clustering")
    else:
        lines.append("  # labels: [...]  # a column to evaluate by, and for `supervised`; without one, neither is run")
    if roles.group is not None:
        lines.append(f"  {_item('group_column', roles.group)}  # samples that have it in common share a split")
    attributes = list(profile.attributes.values())
    lines += (
        ["", "  # H is the entropy of an attribute in bits: what its clusters could tell at most."]
        if attributes
        else []
    )
    lines.append("  attributes:" if attributes else "  attributes: {}")
    for column in attributes:
        lines += [f"    # {_told(column, profile)}", *(f"    {line}" for line in _block({column.name: _spec(column)}))]
    left_out = [column for column in profile.columns if not column.role]
    if left_out:
        lines += [
            "",
            "  # Left out:",
            *(f"  #   {_one_line(column.name)}: {_why(column, profile)}" for column in left_out),
        ]
    return _lines(*lines)


def _spec(column: Column) -> dict[str, Any]:
    """The kind first, then what there is to choose, and what else differs from the defaults of an attribute."""
    if column.spec is None:
        return {}
    spec = column.spec
    first = {"kind": str(spec.kind)} | ({} if spec.kind == AttributeKind.BOOL else {"min_count": spec.min_count})
    return first | spec.model_dump(mode="json", exclude_defaults=True, exclude={"kind", "min_count"})


def _told(column: Column, profile: Profile) -> str:
    """What an attribute tells, in one line."""
    bits = [] if column.information is None else [f"H {column.information.entropy:.2f}"]
    return _one_line(", ".join([*bits, *_remaining(column, profile), f"{column.missing:.0%} missing", *_note(column)]))


def _why(column: Column, profile: Profile) -> str:
    """Why a column is left out, in one line."""
    return _one_line(", ".join([*_note(column), *_remaining(column, profile)]))


def _note(column: Column) -> list[str]:
    return [column.note] if column.note else []


def _remaining(column: Column, profile: Profile) -> list[str]:
    told = column.information
    if told is None or told.remaining is None:
        return []
    return [f"H({profile.roles.label} | it) {told.remaining:.2f} of {profile.label_entropy:.2f}"]


def _images(profile: Profile, root: str | None, base: Mapping[str, Any]) -> str:
    sides = profile.pictures.sides
    found = f"between {min(sides)} and {max(sides)} px" if sides else "unknown"
    return _group(
        "images",
        {**base, "size": profile.choices.size, "root": root},
        {
            "size": f"the shorter sides of {len(sides)} pictures are {found}; what is larger trains longer",
            "root": "what the paths in the table are relative to",
        },
        "# How pictures are read and packed.",
    )


def _clustering(profile: Profile, base: Mapping[str, Any]) -> str:
    others = [name for name in profile.attributes if name not in profile.clustered]
    return _group(
        "clustering",
        {
            **base,
            "rule": profile.choices.rule,
            "attributes": profile.clustered,
            "granularities": list(profile.choices.granularities),
            "granularity": "auto",
        },
        {
            "attributes": f"there are also {', '.join(others)}" if others else "all that tell anything",
            "granularities": "numbers of binary attributes that clusters are made of; all are computed and reported",
            "granularity": "the one from which anchors learn the most; no label is looked at",
        },
        "# How pictures are clustered by their attributes.",
    )


def _iterative(profile: Profile, base: Mapping[str, Any]) -> str:
    return _group(
        "iterative",
        {**base, "k": profile.choices.k},
        {"k": "number of clusters, one for 9 samples of the train split, and at most 2,500, as in the paper's code"},
        "# k-means clusters instead of attributes; as in conf/base but for what has a comment.",
    )


def _training(profile: Profile, base: Mapping[str, Any]) -> str:
    return _group(
        "training",
        {**base, "batch_size": profile.choices.batch_size},
        {"epochs": "passes over the train split", "batch_size": "fits the size of the train split"},
        "# How every method is trained; as in conf/base, which explains every key, but for what has a comment.",
    )


def _group(name: str, values: Mapping[str, Any], comments: Mapping[str, str], heading: str) -> str:
    """A parameter group: a key a line, nested ones below, comments behind."""
    lines = [heading, f"{name}:"]
    for key, value in values.items():
        comment = f"  # {_one_line(comments[key])}" if key in comments else ""
        if isinstance(value, Mapping) and value:
            lines += [f"  {key}:{comment}", *(f"    {line}" for line in _block(value))]
        else:
            lines.append(f"  {_item(key, value)}{comment}")
    return _lines(*lines)


def _block(value: Mapping[str, Any]) -> list[str]:
    return _dumped(value, flow=None).splitlines()


def _item(key: str, value: Any) -> str:
    """A key and its value in one line."""
    return _dumped({key: value}, flow=True).strip().removeprefix("{").removesuffix("}")


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]
    """Writes texts so that no reader takes one for a number, each in a line."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    if text.splitlines() != [text]:
        style: str | None = '"'  # in which line breaks are escaped
    else:
        style = "'" if _LIKE_A_NUMBER.match(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def _dumped(value: Mapping[str, Any], *, flow: bool | None) -> str:
    text: str = yaml.dump(
        _literal(value), Dumper=_Dumper, default_flow_style=flow, allow_unicode=True, sort_keys=False, width=_WIDTH
    )
    return text


def _literal(value: Any) -> Any:
    """What OmegaConf reads as a value; keys stand for themselves."""
    if isinstance(value, Mapping):
        return {key: _literal(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_literal(item) for item in value]
    return _literal_text(value) if isinstance(value, str) else value


def _literal_text(text: str) -> str:
    if "${" in text:  # a backslash before it, and those that stand there doubled
        return re.sub(r"(\\*)\$\{", r"\1\1\\${", text)
    read = OmegaConf.to_container(OmegaConf.create([text]))
    return text if read == [text] else f"\\{text}"  # from its version 2.4 on, `\???` is an escaped `???`


def _one_line(text: str) -> str:
    return _NOT_IN_A_LINE.sub("\N{REPLACEMENT CHARACTER}", " ".join(text.split()))


def _lines(*lines: str | Iterable[str]) -> str:
    return "\n".join(str(line) for line in lines) + "\n"
