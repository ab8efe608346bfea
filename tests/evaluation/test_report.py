import re
from dataclasses import replace
from html.parser import HTMLParser

import polars as pl
import pytest

from tests.evaluation.data import make_features, make_images, make_samples
from tests.evaluation.test_comparison import outcome
from tests.evaluation.test_figures import history
from weakcl_pipeline.evaluation import (
    EvaluationConfig,
    ReportConfig,
    ReportContent,
    build_report,
    check_claims,
    compare,
    evaluate_features,
    evaluate_majority,
    measure_accuracies,
)

CONFIG = EvaluationConfig.model_validate(
    {
        "linear_probe": {"costs": [0.1]},
        "knn": {"ks": [5]},
        "few_label": {"shares": [0.1], "repeats": 1, "costs": [1.0]},
        "bootstrap": {"resamples": 200},
    }
)
SHOWN = ReportConfig(largest_clusters=1, typical_clusters=2, cluster_pictures=3, queries=2, neighbours=4)
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"}


class Page(HTMLParser):
    """Collects what the tests ask of a page, and checks that its tags are balanced."""

    def __init__(self, page):
        super().__init__()
        self.open, self.urls, self.ids, self.texts, self.tags = [], [], [], [], []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        self.urls += [value for name, value in attrs if name in ("src", "href", "srcset", "action", "data")]
        self.ids += [attributes["id"]] if "id" in attributes else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


@pytest.fixture(scope="module")
def content():
    samples = make_samples()
    names = ["self_supervised", "attribute", "supervised"]
    embeddings = {name: make_features(samples, signal=i + 0.5) for i, name in enumerate(names)}
    evaluated = {name: evaluate_features(found, samples, CONFIG, 0) for name, found in embeddings.items()}
    evaluated["majority"] = evaluate_majority(samples, None, 0)
    metrics = {name: found[0] for name, found in evaluated.items()}
    outcomes = {name: outcome(*found) for name, found in evaluated.items()}
    accuracies = measure_accuracies(outcomes, samples, CONFIG.bootstrap, 0)
    comparison = compare(outcomes, accuracies, CONFIG.bootstrap.confidence)
    cluster = pl.Series([i % 5 if i % 7 else None for i in range(len(samples))], dtype=pl.Int32)
    return ReportContent(
        samples=samples,
        images=make_images(samples),
        ingestion_summary={
            "rows": 133,
            "accepted": 130,
            "quarantined": 3,
            "quarantine_reasons": {"truncated <data>": 3},
            "splits": {"train": 60, "val": 30, "test": 40},
            "groups": 52,
            "labels": {"kind": {f"kind {k}": 40 for k in range(15)}, "side": {"left": 65, "right": 60}},
            "unlabelled": {"kind": 0, "side": 5},
            "attributes": {"tags": {"kind": "tags", "inferred": True, "missing": 1234, "distinct": 9}},
        },
        cluster_report={
            "chosen": "top_5",
            "granularity_is": "level",
            "criterion": "the <finest> that does",
            "batch_size": 64,
            "labels": ["kind"],
            "granularities": [
                {
                    "granularity": k,
                    "column": f"top_{k}",
                    "clusters": 4 + k,
                    "singletons": 0,
                    "largest_share": 0.3,
                    "unclustered_share": 0.143,
                    "H(Z)": 2.25,
                    "partner_share_uniform": 0.9,
                    "labels": {"kind": {"I(Z;T)": 1.125, "I(Z;T) shuffled": 0.5, "H(Z|T)": 1.25}},
                }
                for k in (5, 10)
            ],
        },
        clusters=samples.select("sample_id").with_columns(cluster=cluster),
        binary_attributes=samples.select("sample_id").with_columns(
            pl.Series("tags=<script>alert(1)</script>", [i % 5 == 1 for i in range(len(samples))])
        ),
        histories={name: history() for name in names},
        embeddings=embeddings,
        metrics=metrics,
        comparison=comparison,
        claims=check_claims(accuracies, CONFIG.bootstrap.confidence),
        lineage={
            "attribute.metrics": {
                "version": "2026-01-02T00.00.00.000Z",
                "hash": None,
                "repeats": [
                    {"seed": 3, "version": "2026-01-01T00.00.00.003Z", "hash": "sha256:" + "cd" * 32},
                    {"seed": None, "version": "2026-01-01T00.00.00.001Z", "hash": None},
                ],
            },
            "samples": {"version": "2026-01-01T00.00.00.000Z", "hash": "sha256:" + "ab" * 32, "repeats": []},
        },
        confidence=0.95,
        seed=0,
    )


@pytest.fixture(scope="module")
def page(content):
    return build_report(content, SHOWN)


def test_nothing_is_fetched_from_anywhere(page):
    parsed = Page(page)
    assert parsed.urls
    assert all(url.startswith(("data:image/", "#")) for url in parsed.urls)
    assert not {tag for tag, _ in parsed.tags} & {"script", "link", "iframe", "object", "embed"}
    outside = re.sub(r"data:image/[a-z+]+;base64,[A-Za-z0-9+/=]+", "", page)
    assert not re.search(r"https?:|@import|url\(", outside)


def test_anchors_lead_somewhere_and_are_unique(page):
    parsed = Page(page)
    assert {url[1:] for url in parsed.urls if url.startswith("#")} <= set(parsed.ids)
    assert len(set(parsed.ids)) == len(parsed.ids)


def test_tables_and_pictures_are_accessible(page):
    tags = Page(page).tags
    assert all(attributes.get("alt") for tag, attributes in tags if tag == "img")
    assert all(attributes.get("scope") for tag, attributes in tags if tag == "th")
    assert ("html", {"lang": "en"}) in tags


def test_text_of_the_data_is_escaped(page):
    assert "<script>" not in page
    text = Page(page).text
    assert "truncated <data>: 3" in text
    assert "tags=<script>alert(1)</script>" in text
    assert "the <finest> that does" in text


def test_every_section_says_what_it_should(page, content):
    text = Page(page).text
    first = content.comparison.filter(pl.col("probe") == "linear", pl.col("method") == "attribute")
    assert f"{100 * first['accuracy'][0]:.1f}%" in text
    for label in ("kind", "side"):
        assert re.search(f"On {label}, (it is open whether )?auxiliary information", text)
    assert "regularised is chosen on all labels of the validation split" in text
    for word in ("Rows read 133", "In quarantine 3", "kind , 15 classes", "and 3 more", "5 pictures without", "1,234"):
        assert word in text, word
    assert "10% of the labels" in text
    assert "inference" in text
    assert "2026-01-01T00.00.00.000Z" in text
    assert "ab" * 6 in text
    assert "ab" * 7 not in text
    assert "Cluster 1" in text
    assert "5 (used)" in text
    assert "k level clusters kind" in text  # what a granularity counts is the rule's


def test_a_claim_is_a_table_of_rivals_by_measures(page, content):
    section = page[page.index('id="claims"') : page.index('id="few"')]
    tables = section.split("<table>")[1:]
    heads = [re.findall(r'<th scope="col">(.*?)(?:<small>(.*?)</small>)?</th>', table) for table in tables]
    assert heads == [
        [
            ("Against", ""),
            *((label, probe) for label in ("kind", "side") for probe in ("linear probe", "k-NN")),
            ("Seeds", ""),
        ],
        [("Against", ""), *((label, "10% of the labels") for label in ("kind", "side")), ("Seeds", "")],
    ]
    assert all("<td>seed 0</td></tr>" in table for table in tables)
    assert "To measure them, with the environment and parameters of this run: <code>kedro run --params=seed=0" in page
    assert all(table.count('<th scope="row">Self-supervised</th>') == 1 for table in tables)
    measured = content.claims.filter(claim=1)
    shown = [f"{100 * gain:+.1f}".replace("-", "\N{MINUS SIGN}") for gain in measured["difference"]]
    assert sorted(re.findall(r'<td(?: class="best")?>([+\N{MINUS SIGN}][\d.]+)<', section)) == sorted(shown)
    assert section.count("% of the gap") == measured["gap_closed"].count() > 0


def test_a_method_that_never_clustered_is_named(content):
    told = "Iterative k-means never clustered: all of its epochs were warm-up"
    histories = {**content.histories, "iterative": history(3)}
    assert told in Page(build_report(replace(content, histories=histories), SHOWN)).text
    clustered = histories["iterative"].with_columns(inertia=pl.Series([None, 2.0, 1.0]))
    histories |= {"iterative": clustered}
    assert "never clustered" not in Page(build_report(replace(content, histories=histories), SHOWN)).text


def test_no_share_of_the_gap_is_given_for_what_was_not_trained(page):
    section = page[page.index('id="comparison"') : page.index('id="claims"')]
    (row, *_) = [row for row in section.split("<tr") if "Majority class" in row]
    assert re.findall(r"<td[^>]*>(.*?)<", row)[3] == "\N{EN DASH}"


def test_seeds_have_a_column_where_methods_differ_in_them(page, content):
    assert "as far as a method has them" not in Page(page).text
    assert "Intervals cover the choice of test pictures, not the chance of training" in Page(page).text
    text = text_with_seeds(content, pl.when(pl.col("method") == "attribute").then([0, 7]).otherwise("seeds"))
    assert "means over the seeds 0, 7, as far as a method has them, " in text
    assert "Training Seeds" in text
    assert " seeds 0, 7 " in text
    assert " seed 0 " in text


def text_with_seeds(content, seeds):
    comparison = content.comparison.with_columns(seeds=seeds)
    return Page(build_report(replace(content, comparison=comparison), SHOWN)).text


def test_intervals_cover_seeds_where_there_are_several(content):
    several = text_with_seeds(content, pl.lit([0, 7]))
    assert "Intervals cover the choice of test pictures and of seeds." in several
    assert "bootstrap interval over test pictures and seeds." in several
    only = pl.col("label") == "side", pl.col("method") == "attribute"
    mixed = text_with_seeds(content, pl.when(*only).then([0, 7]).otherwise("seeds"))
    assert "and that of seeds, where there are several: of a single training they do not say how another" in mixed
    assert "over test pictures and seeds, where a method has several." in mixed
    assert "Ranks are over the seeds that all methods have, differences over those that both have." in mixed
    apart = text_with_seeds(content, pl.when(pl.col("method") == "attribute").then([7]).otherwise("seeds"))
    assert "Intervals cover the choice of test pictures, not the chance of training" in apart
    assert "bootstrap interval over test pictures." in apart


def test_a_method_without_a_rank_has_a_dash(content):
    ranked = content.comparison.with_columns(rank=pl.lit(None, pl.Int64))
    page = build_report(replace(content, comparison=ranked), SHOWN)
    assert re.search(r'<th scope="row">Attributes</th>\s*<td>\N{EN DASH}</td>', page)


def test_a_confidence_is_told_in_full(content):
    text = Page(build_report(replace(content, confidence=0.999), SHOWN)).text
    assert text.count("99.9% ") > 4
    assert "about one difference in 1,000 looks beyond chance all the same with one seed, fewer with several" in text
    assert "100% interval" not in text


def test_without_attributes_there_is_no_command_that_needs_them(content):
    assert "To measure them" not in build_report(replace(content, cluster_report=None), SHOWN)


def test_groups_of_test_pictures_are_counted(page, content):
    groups = content.comparison["groups"][0]
    caption = f"accuracy on 40 test pictures in {groups} groups, which intervals take as wholes, with 95% intervals"
    assert f"Label kind : {caption}" in Page(page).text
    alone = pl.when(label="kind").then("samples").otherwise(7)
    shown = replace(content, comparison=content.comparison.with_columns(groups=alone))
    text = Page(build_report(shown, SHOWN)).text
    assert "Label kind : accuracy on 40 test pictures, with 95%" in text
    assert "Label side : accuracy on 40 test pictures in 7 groups, which" in text


def test_the_lineage_names_the_artifacts_of_every_seed(page, content):
    text = Page(page).text
    assert "with seed 0; where it shows means over seeds" in text
    assert "attribute.metrics 2026-01-02T00.00.00.000Z \N{EN DASH}" in text
    assert f"attribute.metrics of seed 3 2026-01-01T00.00.00.003Z {'cd' * 6}" in text
    assert "attribute.metrics of another seed 2026-01-01T00.00.00.001Z \N{EN DASH}" in text
    alone = {"samples": content.lineage["samples"]}
    assert "over seeds, the artifacts" not in Page(build_report(replace(content, lineage=alone), SHOWN)).text


def test_neighbours_of_every_method(page, content):
    parsed = Page(page)
    marks = [attributes["class"] for tag, attributes in parsed.tags if tag == "li" and "class" in attributes]
    assert len(marks) == 2 * 3 * 4
    assert {*marks} <= {"right", "wrong"}
    counts = re.findall(r"(\d) of 4", parsed.text)
    assert sum(map(int, counts)) == marks.count("right")


def test_the_best_of_a_column_is_marked(page):
    best = re.findall(r'<td class="best">([\d.]+)%', page)
    assert len(best) >= 4


def test_the_same_content_gives_the_same_page(page, content):
    assert build_report(content, SHOWN) == page


def test_a_report_of_little(content):
    bare = replace(
        content,
        lineage={},
        histories={},
        comparison=content.comparison.filter(~pl.col("probe").str.starts_with("linear_"), pl.col("label") == "kind"),
        ingestion_summary=content.ingestion_summary | {"quarantine_reasons": {}, "groups": 0},
    )
    text = Page(build_report(bare, ReportConfig(largest_clusters=0, typical_clusters=0, queries=0))).text
    for word in ("outside a recorded run", "Nothing was trained", "No few-label probe", "None were asked for"):
        assert word in text, word
    assert "Cluster 0" not in text
