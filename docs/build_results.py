"""Rebuilds the tables and figures of results.md from the metric tables under results/.

    python docs/build_results.py             # rewrite the generated parts of results.md, and the figures
    python docs/build_results.py --collect   # before that, take the metric tables of this project's newest comparison
                                             # and studies, with the seeds that are repeats of them

Generated parts stand between `<!-- begin: name -->` and `<!-- end: name -->`; all other text is written by hand.
"""

import argparse
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
from scipy import stats

from weakcl_pipeline.datasets.lineage import Lineage
from weakcl_pipeline.evaluation import comparison_figure, study_figure
from weakcl_pipeline.evaluation.claims import Judgement, judge
from weakcl_pipeline.evaluation.claims_figure import claim_figure
from weakcl_pipeline.evaluation.methods import METHODS, describe_method, in_order
from weakcl_pipeline.evaluation.probes import AUGMENTED, KNN, LINEAR, PROBES, by_probe, short_title
from weakcl_pipeline.evaluation.study_figure import mean_over_seeds, rank_correlation

DOCS = Path(__file__).parent
TABLES, IMAGES, PAGE = DOCS / "results", DOCS / "images", DOCS / "results.md"
REPORTING = DOCS.parent / "data" / "08_reporting"
CONFIDENCE = 0.95
SUPERVISED_BY = "group"  # the label

Cell = tuple[str, str]  # a label and a probe

_MAIN = [LINEAR.name, KNN.name]  # of every run; the paper's protocol, which is asked for, has tables of its own
_AUGMENTED = "evaluation.augmented_probe.epochs=100"  # asks for it

# What each study says: the column that its accuracies are held against, and the direction the paper expects.
STUDIES = {
    "merged": ("information", "rises with I(Z;T)"),
    "split": ("conditional_entropy", "falls with H(Z\\|T)"),
    "noise": ("value", "falls with the share of noise"),
    "missing": ("value", "falls with the share of cells that are missing"),
    "missing one by one": ("value", "falls with the share of binary attributes that are missing"),
}

_MEANS = ("mean on all labels", "mean on few")

# The studies of what is lost when cells are deleted, and what a cell is in each.
MISSING = {"missing": "whole lists of hashtags", "missing one by one": "single hashtags"}


def collect() -> None:
    """Write the metric tables of the newest comparison and studies, and of every seed that went into them."""
    compared = max(path.parent for path in REPORTING.glob("comparison/*/comparison.parquet"))
    for name in ("comparison", "claims"):  # one node makes both, under one version
        _write(
            pl.read_parquet(REPORTING / name / compared.name / f"{name}.parquet").with_columns(
                pl.col(pl.List(pl.Int64)).list.eval(pl.element().cast(pl.String)).list.join(" ")
            ),
            name,
        )
    _write(pl.DataFrame(_by_seed(compared)).sort("seed", "label", "probe", "method"), "seeds")
    studies = sorted(path.name for path in REPORTING.glob("study/*") if any(path.glob("*/*.parquet")))
    if studies:
        tables = pl.concat(table for name in studies for table in _of_all_seeds(name))
        _write(tables.drop("checkpoint").sort("seed", maintain_order=True), "study")


def _of_all_seeds(name: str) -> Iterable[pl.DataFrame]:
    """Return a study's newest table, and the newest of each other seed that repeats the same experiment."""
    found = {path: Lineage.read(path.parent) for path in sorted(REPORTING.glob(f"study/{name}/*/{name}.parquet"))}
    *_, newest = found.values()
    if newest.recipe is None:  # it repeats no other
        found = {path: lineage for path, lineage in found.items() if lineage is newest}
    newest_of = {lineage.seed: path for path, lineage in found.items() if lineage.recipe == newest.recipe}
    return [pl.read_parquet(path) for path in newest_of.values()]


def _by_seed(compared: Path) -> Iterable[dict[str, Any]]:
    """Yield what was measured of each method and seed that a comparison is of, a row for each label and probe."""
    lineage = Lineage.read(compared)
    for name, own in lineage.inputs.items():
        method, _, kind = name.rpartition(".")
        if kind != "metrics":
            continue
        for record in (own, *lineage.repeats.get(name, ())):
            metrics = json.loads((REPORTING / method / kind / record.version / "metrics.json").read_text())
            for label, found in metrics["labels"].items():
                for probe, about in by_probe(found).items():
                    if probe in PROBES:
                        measured = {name: about[name] for name in ("accuracy", "validation_accuracy")}
                        yield {"seed": metrics["seed"], "label": label, "probe": probe, "method": method} | measured


def _write(table: pl.DataFrame, name: str) -> None:
    table.write_csv(TABLES / f"{name}.csv", float_precision=6)


def _read(name: str) -> pl.DataFrame:
    table = pl.read_csv(TABLES / f"{name}.csv", infer_schema_length=None)
    return table.with_columns(pl.col("^(shared_)?seeds$").cast(pl.String).str.split(" "))


def build() -> str:
    """Return the page with its generated parts made anew, and write the figures it shows."""
    comparison, claims, seeds, study = (_read(name) for name in ("comparison", "claims", "seeds", "study"))
    parts = {
        "claims": "\n\n".join(_claim(judgement) for judgement in _judge(claims, comparison)),
        "comparison": _comparison(comparison),
        "few": _few_labels(comparison),
        "paper": _paper_protocol(comparison, seeds),
        "seeds": _seeds(seeds.filter(pl.col("probe").is_in(_MAIN))),
        "study": _study(study),
    }
    page = PAGE.read_text()
    for name, text in parts.items():
        begin, end = f"<!-- begin: {name} -->", f"<!-- end: {name} -->"
        if begin not in page or end not in page:
            msg = f"{PAGE}: there is no part {name!r}; put {begin} and {end} where it belongs"
            raise SystemExit(msg)
        page = re.sub(f"{begin}.*?{end}", lambda _, t=f"{begin}\n\n{text}\n\n{end}": t, page, flags=re.DOTALL)
    return page


def draw() -> None:
    """Write the figures that the page shows, and README's, of the methods of the default pipeline."""
    comparison, rivals = _read("comparison"), [method.name for method in METHODS if method.rival]
    for judgement in _judge(_read("claims"), comparison):
        if len(judgement.rows):
            differences = judgement.rows.vstack(judgement.few_label_rows)
            claim_figure(differences, CONFIDENCE).savefig(IMAGES / _picture(judgement), dpi=150)
    comparison_figure(comparison, CONFIDENCE).savefig(IMAGES / "methods.png", dpi=150)
    of_default = comparison.filter(~pl.col("method").is_in(rivals))
    comparison_figure(of_default, CONFIDENCE, _MAIN).savefig(IMAGES / "comparison.png", dpi=150)
    study = _read("study")
    study_figure(study, study["label"][0]).savefig(IMAGES / "study.png", dpi=150)


def _judge(claims: pl.DataFrame, comparison: pl.DataFrame) -> list[Judgement]:
    return judge(claims, comparison, CONFIDENCE, SUPERVISED_BY)


def _claim(judgement: Judgement) -> str:
    claim, rows = judgement.claim, judgement.rows
    augmented = rows.filter(probe=AUGMENTED.name)
    parts = [f"### {claim.text}: {judgement.verdict}", judgement.text]
    if len(rows):
        seeds = ", ".join(rows["seeds"].explode().unique().sort())
        about = f"Differences in points, with their 95 % intervals over test emoji and seeds; seeds {seeds}."
        parts += [about, _differences(rows.filter(pl.col("probe").is_in(_MAIN)))]
        if len(augmented):
            parts += ["By the linear protocol of the paper's code:", _differences(augmented)]
        if len(judgement.few_label_rows):
            parts += ["With few labels:", _differences(judgement.few_label_rows)]
        parts.append(f"![The differences above](images/{_picture(judgement)})")
    asked_for = [_AUGMENTED] if len(augmented) else []
    return "\n\n".join([*parts, f"```bash\n{judgement.command(*asked_for)}\n```"])


def _differences(rows: pl.DataFrame) -> str:
    cells = rows.select("label", "probe").unique(maintain_order=True).rows()
    table = [["against", *_titles(cells)]]
    for rival in rows["rival"].unique(maintain_order=True):
        found = _by_cell(rows.filter(rival=rival))
        table.append([describe_method(rival).title, *(_difference(found.get(cell)) for cell in cells)])
    return _table(table)


def _picture(judgement: Judgement) -> str:
    return f"claim_{judgement.claim.number}.png"


def _difference(row: dict[str, Any] | None) -> str:
    if row is None:
        return ""
    return _interval(*(100 * row[f"difference{end}"] for end in ("", "_low", "_high")))


def _comparison(comparison: pl.DataFrame) -> str:
    head, *rows = _accuracies(comparison.filter(pl.col("probe").is_in(_MAIN)))
    table = [[*head, "training", "images/s"]]
    for method, row in zip(in_order(comparison["method"].unique()), rows, strict=True):
        seconds, rate = comparison.filter(method=method).select("seconds", "images_per_second").row(0)
        table.append([*row, *(["", ""] if seconds is None else [f"{seconds:.0f} s", f"{rate:.0f}"])])
    return _table(table)


def _few_labels(comparison: pl.DataFrame) -> str:
    return _table(_accuracies(comparison.filter(~pl.col("probe").is_in(list(PROBES)))))


def _paper_protocol(comparison: pl.DataFrame, seeds: pl.DataFrame) -> str:
    means = _table(_accuracies(comparison.filter(probe=AUGMENTED.name)))
    return f"{means}\n\nSeed by seed:\n\n{_seeds(seeds.filter(probe=AUGMENTED.name))}"


def _accuracies(shown: pl.DataFrame) -> list[list[str]]:
    cells = shown.select("label", "probe").unique(maintain_order=True).rows()
    found = {method: _by_cell(shown.filter(method=method)) for method in in_order(shown["method"].unique())}
    rows = [
        [describe_method(method).title, *(_accuracy(rows.get(cell)) for cell in cells)]
        for method, rows in found.items()
    ]
    return [["method", *_titles(cells)], *rows]


def _accuracy(row: dict[str, Any] | None) -> str:
    if row is None:
        return ""
    spread = "" if row["deviation"] is None else f" ± {100 * row['deviation']:.1f}"
    rank = "\N{EN DASH}" if row["rank"] is None else row["rank"]
    return f"{100 * row['accuracy']:.1f}{spread} ({rank})"


def _seeds(seeds: pl.DataFrame) -> str:
    cells = (
        seeds.select("label", "probe")
        .unique(maintain_order=True)
        .sort("label", "probe", descending=[False, True])
        .rows()
    )
    table = [["method", *_titles(cells)]]
    for method in in_order(seeds["method"].unique()):
        own = seeds.filter(method=method).sort("seed")
        values = [own.filter(label=label, probe=probe)["accuracy"] for label, probe in cells]
        table.append(
            [describe_method(method).title, *(" / ".join(f"{100 * v:.1f}" for v in found) for found in values)]
        )
    return _table(table)


def _study(study: pl.DataFrame) -> str:
    means = mean_over_seeds(study)
    cells = study.select("label", "probe").unique(maintain_order=True).rows()
    cells.sort(key=lambda cell: cell[1] not in PROBES)  # those on all labels first, as everywhere
    table = [["accuracy", "method", *_titles(cells)]]
    for variable, (by, says) in STUDIES.items():
        for method in in_order(means.filter(variable=variable)["method"].unique()):
            points = [
                means.filter(variable=variable, method=method, label=label, probe=probe) for label, probe in cells
            ]
            correlations = ["" if found.is_empty() else f"{rank_correlation(found, by):+.2f}" for found in points]
            table.append([says, describe_method(method).title, *correlations])
    values = [["variable", "method", "value", "I(Z;T)", "by chance", "H(Z\\|T)", "with a partner", *table[0][2:]]]
    for (variable, method, value), rows in means.partition_by(
        "variable", "method", "value", as_dict=True, maintain_order=True
    ).items():
        found = _by_cell(rows)
        (first, *_) = found.values()
        about = [
            str(variable),
            describe_method(str(method)).title,
            f"{value:g}" + (" (chosen)" if first["chosen"] else ""),
        ]
        told = ("information", "information_shuffled", "conditional_entropy", "partner_share")
        clusters = [f"{first[name]:.2f}" for name in told]
        accuracies = [f"{100 * found[cell]['accuracy']:.1f}" if cell in found else "" for cell in cells]
        values.append([*about, *clusters, *accuracies])
    return "\n\n".join(
        [
            "Spearman's rank correlation of the accuracy on the test split with what was varied:",
            _table(table),
            "![Accuracy against what was varied](images/study.png)",
            "Cluster-aware batches against uniform ones at every granularity, differences in points; the shares are of"
            " anchors that have a partner in their batch. Intervals here and below are 95 %, over the seeds by"
            " Student's t, and in bold where they exclude 0:",
            _samplers(study, cells),
            "What deleted cells cost, in points: cells of the attribute table, where a list of hashtags is one,"
            " or of the table of binary attributes, where every hashtag of every picture, had or not, is one:",
            _losses(study, cells),
            "Every training of the studies; accuracies in percent, information in bits, and by chance what shuffled"
            " clusters would seem to tell:",
            _table(values),
        ]
    )


def _samplers(study: pl.DataFrame, cells: Sequence[Cell]) -> str:
    table = [["binary attributes k", "uniform", "cluster-aware", *_titles(cells), *_MEANS]]
    aware, uniform = (study.filter(variable=f"granularity, {name} batches") for name in ("cluster_aware", "uniform"))
    for k in aware["value"].unique().sort():
        reference, found = (rows.filter(value=k) for rows in (uniform, aware))
        shares = [f"{100 * rows['partner_share'].mean():.0f} %" for rows in (reference, found)]
        table.append([f"{k:g}", *shares, *_points(found, reference, cells)])
    return _table(table)


def _losses(study: pl.DataFrame, cells: Sequence[Cell]) -> str:
    table = [["deleted", "method", *_titles(cells), *_MEANS]]
    for variable, what in MISSING.items():
        missing = study.filter(variable=variable)
        for share in missing.filter(pl.col("value") > 0)["value"].unique().sort():
            for method in in_order(missing["method"].unique()):
                of_method = missing.filter(method=method)
                points = _points(of_method.filter(value=share), of_method.filter(value=0), cells)
                table.append([f"{share:.0%} of {what}", describe_method(method).title, *points])
    return _table(table)


def _by_cell(rows: pl.DataFrame) -> dict[Cell, dict[str, Any]]:
    """Return the row of each label and probe."""
    return {(row["label"], row["probe"]): row for row in rows.iter_rows(named=True)}


def _points(found: pl.DataFrame, reference: pl.DataFrame, cells: Sequence[Cell]) -> list[str]:
    """Return the differences in accuracy in points, cell by cell, and their means on all labels and on few."""
    paired = found.join(reference, on=["seed", "label", "probe"], suffix="_reference")
    difference = 100 * (pl.col("accuracy") - pl.col("accuracy_reference"))
    paired = paired.select("seed", "label", "probe", difference=difference)
    by_cell = [paired.filter(label=label, probe=probe)["difference"].mean() for label, probe in cells]
    shown = ["" if mean is None else f"{mean:+.1f}" for mean in by_cell]
    on_all = pl.col("probe").is_in(list(PROBES))
    means = [paired.filter(kind).group_by("seed").agg(pl.mean("difference")) for kind in (on_all, ~on_all)]
    return [*shown, *(_mean_over_seeds(of_seeds["difference"]) for of_seeds in means)]


def _mean_over_seeds(values: pl.Series) -> str:
    """Return the mean of what each seed came to, with its interval by Student's t where there are two seeds or more."""
    if len(values) < 2:
        return "".join(f"{value:+.1f}" for value in values)
    mean, spread = values.mean(), values.std() / len(values) ** 0.5
    half = spread * stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)
    return _interval(mean, mean - half, mean + half)


def _interval(value: float, low: float, high: float) -> str:
    """Return a difference in points with its interval, in bold where that excludes 0."""
    text = f"{value:+.1f} ({low:+.1f} to {high:+.1f})"
    return f"**{text}**" if low > 0 or high < 0 else text


def _titles(cells: Sequence[Cell]) -> list[str]:
    return [f"{label}, {short_title(probe)}" for label, probe in cells]


def _table(rows: Sequence[Sequence[str]]) -> str:
    head, *body = rows
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *body])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--collect", action="store_true", help="take the metric tables from the newest artifacts first")
    if parser.parse_args().collect:
        collect()
    PAGE.write_text(build())
    draw()
