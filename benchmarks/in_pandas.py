"""Ingestion and clustering of `wide_table` in pandas: the same steps, checks and files."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from weakcl_pipeline.attributes.schema import AttributeSpec
from weakcl_pipeline.sources import IngestionConfig

_TRUTH = {"true": True, "yes": True, "1": True, "ja": True, "false": False, "no": False, "0": False, "nein": False}


def ingest(
    source: Path, folder: Path, config: IngestionConfig, rejected: list[str], lap: Callable[[str], None]
) -> None:
    """Type and check the table, and write samples, attributes and their summary."""
    raw = pd.read_csv(source, dtype=str, keep_default_na=False)
    lap("read CSV")
    samples = _samples(raw, config)
    train = samples["split"] == "train"
    labels = samples.loc[train, "label_label"]
    typed, summary = {}, {}
    for name, spec in config.attributes.items():
        column = raw.pop(name)
        typed[name], kind = _typed(column, spec, config.missing)
        summary[name] = {"kind": kind, "missing": int(typed[name].isna().sum())}
        if _gives_away(typed[name][train], labels, kind, config.leak_tolerance):
            raise ValueError(f"{name} determines the label")
    table = pd.concat([samples, pd.DataFrame(typed)], axis=1)
    del typed, raw, samples
    lap("type and check")
    table.to_parquet(folder / "sample_table.parquet")
    lap("write sample table")
    table = table[~table["sample_id"].isin(rejected)].reset_index(drop=True)
    for name, entry in summary.items():
        values = table[name].explode() if entry["kind"] in ("tags", "hierarchy") else table[name]
        entry["distinct"] = int(values.nunique())
    lap("accept")
    table[["sample_id", *summary]].to_parquet(folder / "attributes.parquet")
    table.drop(columns=list(summary)).to_parquet(folder / "samples.parquet")
    (folder / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    lap("write attributes")


def cluster(folder: Path, config: IngestionConfig, granularities: tuple[int, ...], lap: Callable[[str], None]) -> None:
    """Write binary attributes, and the clusters of every granularity."""
    samples = pd.read_parquet(folder / "samples.parquet", columns=["sample_id", "split"])
    kinds = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    train = (samples["split"] == "train").to_numpy()
    binary: dict[str, pd.Series] = {}
    for name, spec in config.attributes.items():
        column = pd.read_parquet(folder / "attributes.parquet", columns=[name])[name]
        binary |= _indicators(column, kinds[name]["kind"], spec, train)
    lap("binarise")
    table = pd.DataFrame({"sample_id": samples["sample_id"]} | binary)
    table.to_parquet(folder / "binary.parquet")
    del table
    lap("write binary attributes")
    order = sorted(binary, key=lambda name: (-_score(binary[name][train]), name))
    clusters = {"sample_id": samples["sample_id"]}
    for k in granularities:
        clusters[f"top_{k}"] = _numbered([binary[name] for name in order[:k]], train)
    lap("cluster")
    pd.DataFrame(clusters).to_parquet(folder / "clusters.parquet")
    lap("write clusters")


def _samples(raw: pd.DataFrame, config: IngestionConfig) -> pd.DataFrame:
    samples = pd.DataFrame(
        {
            "sample_id": raw.pop(config.id_column),
            "split": _known(raw.pop("split"), config.missing),
            "group": pd.Series([None] * len(raw), dtype="str"),
            "image": raw.pop(config.image_column),
            "label_label": _known(raw.pop("label"), config.missing),
        }
    )
    if samples["sample_id"].duplicated().any() or (samples["sample_id"].str.strip() == "").any():
        raise ValueError("ids")
    if not samples["split"].isin(["train", "val", "test"]).all():
        raise ValueError("splits")
    if samples[samples["split"] == "train"]["label_label"].nunique() < 2:
        raise ValueError("labels")
    return samples


def _known(column: pd.Series, missing: tuple[str, ...]) -> pd.Series:
    return column.mask(column.str.strip().isin(missing))


def _typed(column: pd.Series, spec: AttributeSpec, missing: tuple[str, ...]) -> tuple[pd.Series, str]:
    column = _known(column, missing)
    kind = None if spec.kind is None else spec.kind.value
    if kind == "categorical":
        return column, kind
    if kind == "tags" and spec.separator is None:
        return column.map(lambda text: list(dict.fromkeys(json.loads(text))), na_action="ignore"), kind
    if kind in ("tags", "hierarchy"):
        separator = spec.separator
        return column.map(lambda text: [word.strip() for word in text.split(separator)], na_action="ignore"), kind
    truth = column.str.strip().str.lower().map(_TRUTH)
    if truth.isna().sum() == column.isna().sum():
        return truth.astype("boolean"), "bool"
    numbers = pd.to_numeric(column, errors="coerce")
    if numbers.isna().sum() > column.isna().sum():
        days = pd.to_datetime(column, format="%Y-%m-%d", errors="coerce")
        if days.isna().sum() > column.isna().sum():
            raise ValueError(f"{column.name} is no number")
        numbers = (days - pd.Timestamp(0)) / pd.Timedelta(days=1)
    return numbers.astype("float64"), "continuous"


def _entropy(counts: Any) -> float:
    counts = np.asarray(counts, dtype=np.float64)
    counts = counts[counts > 0]
    return float(np.log2(counts.sum()) - (counts * np.log2(counts)).sum() / counts.sum()) if counts.size else 0.0


def _gives_away(column: pd.Series, label: pd.Series, kind: str, tolerance: float) -> bool:
    total = _entropy(label.value_counts())
    if kind == "tags":
        there = column.notna()
        per_label = label[there].value_counts()
        long = pd.DataFrame({"tag": column[there], "label": label[there]}).explode("tag").dropna()
        both = long.groupby(["tag", "label"]).size().unstack(fill_value=0)
        without = per_label.reindex(both.columns).to_numpy() - both.to_numpy()
        rows = per_label.sum()
        for with_tag, others in zip(both.to_numpy(), without, strict=True):
            left = (with_tag.sum() * _entropy(with_tag) + others.sum() * _entropy(others)) / rows
            if left <= tolerance * total:
                return True
        return False
    if kind == "hierarchy":
        column = column.map("/".join, na_action="ignore")
    if kind == "continuous" and column.nunique() > len(column) / 2:
        column = pd.qcut(column.rank(method="first"), 32, labels=False)
    pairs = pd.DataFrame({"value": column, "label": label}).groupby(["value", "label"], dropna=False).size()
    views = [pairs, pairs[pairs.index.get_level_values("value").notna()]]
    return any(
        _entropy(view) - _entropy(view.groupby("value", dropna=False).sum()) <= tolerance * total for view in views
    )


def _indicators(column: pd.Series, kind: str, spec: AttributeSpec, train: Any) -> dict[str, pd.Series]:
    missing = column.isna()
    if kind == "bool":
        return {str(column.name): column.astype("boolean")}
    if kind == "continuous":
        threshold = column[train].quantile(0.5, interpolation="lower")
        return {f"{column.name}>{float(threshold)!r}": (column > threshold).astype("boolean").mask(missing)}
    if kind == "hierarchy":
        nodes = column.map(lambda path: ["/".join(path[: i + 1]) for i in range(len(path))], na_action="ignore")
        long, relation = nodes.explode(), ">="
    else:
        long, relation = column.explode() if kind == "tags" else column, "="
    long = long.dropna()
    counts = long[train[long.index]].value_counts()
    found = {}
    for value in sorted(counts.index[counts >= spec.min_count]):
        has = np.zeros(len(column), dtype=bool)
        has[long.index[long == value]] = True
        found[f"{column.name}{relation}{value}"] = pd.Series(has).astype("boolean").mask(missing)
    return found


def _score(answers: pd.Series) -> float:
    known = answers.dropna()
    return _entropy([known.sum(), (~known).sum()]) * len(known) / len(answers)


def _numbered(answers: list[pd.Series], train: Any) -> pd.Series:
    known = ~np.logical_or.reduce([answer.isna().to_numpy() for answer in answers])
    word = np.zeros(len(known), dtype=np.int64)
    for answer in answers:
        word = 2 * word + answer.fillna(value=False).to_numpy(dtype=bool)
    counts = pd.DataFrame({"word": word[known], "train": train[known]}).groupby("word")["train"].sum().reset_index()
    counts = counts.sort_values(["train", "word"], ascending=[False, True])
    ids = pd.Series(np.arange(len(counts), dtype=np.int32), index=counts["word"])
    return pd.Series(word).map(ids).astype("Int32").mask(~known)
