import logging

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weakcl_pipeline.attributes import leaks
from weakcl_pipeline.attributes.casting import AttributeKind
from weakcl_pipeline.attributes.coded import Coded
from weakcl_pipeline.attributes.leaks import find_leaks, refuse_leaks
from weakcl_pipeline.attributes.measures import conditional_entropy, entropy
from weakcl_pipeline.attributes.schema import AttributeSpec
from weakcl_pipeline.errors import InputError

RNG = np.random.default_rng(0)
LABEL = pl.Series("class", [f"c{i}" for i in RNG.integers(0, 4, 400)])
LABELS = LABEL.to_frame()


def leaks_of(column, kind, labels=LABELS, tolerance=0.05, **spec):
    return find_leaks(column, labels, AttributeSpec(kind=kind, **spec), tolerance)


def test_a_finer_category_that_determines_the_label_leaks_with_its_figures():
    finer = pl.Series("breed", [f"{c}-{i % 3}" for i, c in enumerate(LABEL)])
    (leak,) = leaks_of(finer, AttributeKind.CATEGORICAL)
    assert leak.remaining == 0
    assert leak.total == pytest.approx(entropy(LABEL))
    assert not leak.identifier
    assert f"H(class | breed) = 0.000 bits of H(class) = {entropy(LABEL):.3f} bits" in str(leak)


def test_an_unrelated_category_and_a_weak_hint_do_not_leak():
    noise = pl.Series("noise", RNG.integers(0, 9, 400).astype(str))
    hint = pl.Series("hint", [c if i % 2 else "c0" for i, c in enumerate(LABEL)])
    assert leaks_of(noise, AttributeKind.CATEGORICAL) == []
    assert leaks_of(hint, AttributeKind.CATEGORICAL) == []


def test_the_tolerance_is_a_share_of_the_labels_entropy():
    nearly = pl.Series("nearly", [c if i % 10 else "c0" for i, c in enumerate(LABEL)])
    share = conditional_entropy(LABEL, given=nearly) / entropy(LABEL)
    assert leaks_of(nearly, AttributeKind.CATEGORICAL, tolerance=share - 0.001) == []
    assert len(leaks_of(nearly, AttributeKind.CATEGORICAL, tolerance=share + 0.001)) == 1


def test_an_identifier_leaks_and_is_called_one():
    (leak,) = leaks_of(pl.Series("file", [f"{i}.png" for i in range(400)]), AttributeKind.CATEGORICAL)
    assert leak.identifier
    assert "identifier" in str(leak)


def test_a_boolean_a_path_and_a_measurement_can_leak():
    two = pl.Series("class", ["a" if c in ("c0", "c1") else "b" for c in LABEL]).to_frame()
    assert len(leaks_of((two["class"] == "a").alias("is_a"), AttributeKind.BOOL, two)) == 1
    path = pl.Series("path", [["animal", c, str(i % 3)] for i, c in enumerate(LABEL)])
    assert len(leaks_of(path, AttributeKind.HIERARCHY)) == 1
    # A measurement with as many values as samples: only bins can be compared.
    score = pl.Series("score", [int(c[1]) + RNG.random() * 0.9 for c in LABEL])
    assert score.n_unique() == 400
    assert len(leaks_of(score, AttributeKind.CONTINUOUS, tolerance=0.1)) == 1
    assert leaks_of(pl.Series("noise", RNG.random(400)), AttributeKind.CONTINUOUS, tolerance=0.1) == []
    code = pl.Series("code", [float(c[1]) for c in LABEL])
    assert len(leaks_of(code, AttributeKind.CONTINUOUS)) == 1


def test_of_many_measurements_some_bound_the_bins(monkeypatch):
    monkeypatch.setattr(leaks, "_DRAWN", 100)
    within = np.random.default_rng(1).random(400) * 0.9
    score = pl.Series("score", [int(c[1]) + part for c, part in zip(LABEL, within, strict=True)]).set(
        LABEL == "c3", None
    )
    assert len(leaks_of(score, AttributeKind.CONTINUOUS, tolerance=0.15)) == 1
    assert leaks_of(pl.Series("noise", within), AttributeKind.CONTINUOUS, tolerance=0.15) == []


@pytest.mark.parametrize(
    ("count", "missing"), [(5, 0.0), (9, 0.0), (20, 0.0), (63, 0.0), (400, 0.0), (2000, 0.6), (300, 0.9)]
)
@pytest.mark.parametrize("written", [False, True])
def test_a_measurement_of_which_little_is_known_is_no_identifier(count, missing, written):
    rng = np.random.default_rng(1)
    noise = pl.Series("weight", rng.normal(size=count)).set(pl.Series(rng.random(count) < missing), None)
    labels = pl.DataFrame({"class": rng.integers(0, 3, count).astype(str)})
    # A column of texts is coded where at most half its cells differ; missing cells are alike.
    texts = Coded.of([noise.cast(pl.String)], "weight") if written else None
    cells = noise if texts is None else Coded(texts.values.cast(pl.Float64), texts.places)
    assert leaks_of(cells, AttributeKind.CONTINUOUS, labels) == []


def test_no_bin_of_a_measurement_holds_so_few_samples_that_they_are_alike_by_chance():
    found = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        labels = pl.DataFrame({"class": rng.integers(0, 2, 9).astype(str)})
        found += len(leaks_of(pl.Series("weight", rng.normal(size=9)), AttributeKind.CONTINUOUS, labels))
    assert found == 0


@pytest.mark.parametrize("missing", [0.0, 0.6])
@pytest.mark.parametrize("count", [100, 5000])
def test_a_measurement_that_is_the_class_leaks_however_much_of_it_is_missing(count, missing):
    rng = np.random.default_rng(1)
    classes = rng.integers(0, 3, count)
    unknown = pl.Series(rng.random(count) < missing)
    labels = pl.DataFrame({"class": classes.astype(str)})
    number = pl.Series("number", classes.astype(float)).set(unknown, None)
    assert len(leaks_of(number, AttributeKind.CONTINUOUS, labels)) == 1
    score = pl.Series("score", classes + 0.9 * rng.random(count)).set(unknown, None)
    if count > 100:  # with few samples, those at the bounds of the bins are many
        assert len(leaks_of(score, AttributeKind.CONTINUOUS, labels)) == 1


def test_missing_cells_can_give_the_label_away_and_so_can_the_few_that_are_there():
    two = pl.Series("class", ["a", "b"] * 50).to_frame()
    only_for_a = pl.Series("weight", [1.0, None] * 50)
    assert len(leaks_of(only_for_a, AttributeKind.CONTINUOUS, two)) == 1
    noted_for_some = pl.Series("note", ["is a", "is b"] * 10 + [None] * 80)
    assert len(leaks_of(noted_for_some, AttributeKind.CATEGORICAL, two)) == 1
    # Known for a few of one class only: neither its values nor where it is missing tell much.
    gender = pl.Series("gender", ["m", None, "f", None] * 5 + [None] * 80)
    assert leaks_of(gender, AttributeKind.CATEGORICAL, two) == []


def test_unlabelled_samples_are_left_out():
    label = pl.Series("class", ["a", "b", None, None] * 20).to_frame()
    column = pl.Series("c", ["x", "y", "x", "x"] * 20)
    assert len(leaks_of(column, AttributeKind.CATEGORICAL, label)) == 1
    none = pl.Series("class", [None] * 80, dtype=pl.String).to_frame()
    assert leaks_of(column, AttributeKind.CATEGORICAL, none) == []
    assert leaks_of(pl.Series("t", [["x"]] * 80), AttributeKind.TAGS, none) == []


@given(
    st.lists(st.tuples(st.sets(st.sampled_from("uvwxyz"), max_size=4), st.sampled_from("abc")), min_size=2, max_size=30)
)
def test_single_tags_are_measured_as_indicators(rows):
    tags = pl.Series("tags", [sorted(words) for words, _ in rows], dtype=pl.List(pl.String))
    label = pl.Series("class", [label for _, label in rows])
    leaks = leaks_of(tags, AttributeKind.TAGS, label.to_frame(), tolerance=1.0)
    found = {leak.indicator: leak.remaining for leak in leaks}
    if entropy(label) == 0:
        assert found == {}
        return
    expected = {}
    for word in "uvwxyz":
        has = [word in words for words, _ in rows]
        if any(has):
            expected[f"tags={word}"] = conditional_entropy(label, given=has)
    assert found == pytest.approx(expected, abs=1e-9)


def test_a_tag_that_is_the_label_leaks_unless_it_is_excluded():
    two = pl.Series("class", ["cat", "dog"] * 20)
    tags = pl.Series("tags", [[c, "pet"] for c in two])
    found = leaks_of(tags, AttributeKind.TAGS, two.to_frame())
    assert [leak.indicator for leak in found] == ["tags=cat", "tags=dog"]
    assert leaks_of(tags, AttributeKind.TAGS, two.to_frame(), exclude=("cat", "dog")) == []


def test_tags_that_each_name_one_class_leak_together():
    species = pl.Series("class", [f"c{i}" for i in range(8)] * 25)
    codes = pl.Series("tags", [[f"code-{c}", f"noise-{i % 7}"] for i, c in enumerate(species)])
    (leak,) = leaks_of(codes, AttributeKind.TAGS, species.to_frame())
    assert leak.remaining == 0
    shown = ", ".join(f"tags=code-c{i}" for i in range(5))
    assert f"'{shown} and 3 more' determines the label 'class'" in str(leak)
    # Where none names the last class, to have none of the others tells it; where none names the last two, one bit of
    # theirs is left, of two eighths of the samples.
    assert len(leaks_of(codes, AttributeKind.TAGS, species.to_frame(), exclude=("code-c7",))) == 1
    two = {"labels": species.to_frame(), "exclude": ("code-c6", "code-c7")}
    assert leaks_of(codes, AttributeKind.TAGS, **two) == []
    (leak,) = leaks_of(codes, AttributeKind.TAGS, tolerance=0.25 / 3 + 1e-9, **two)
    assert leak.remaining == pytest.approx(0.25)


def test_tags_that_nearly_name_their_classes_leak_together_too():
    species = pl.Series("class", [f"c{i}" for i in range(8)] * 100)
    codes = pl.Series("tags", [[f"code-{c}"] if i >= 8 else ["none"] for i, c in enumerate(species)])  # 1 % has no code
    (leak,) = leaks_of(codes, AttributeKind.TAGS, species.to_frame())
    assert len(leak.tags) == 8
    assert leaks_of(codes, AttributeKind.TAGS, species.to_frame(), tolerance=0.01) == []


@given(st.data())
def test_what_naming_tags_leave_open_is_what_is_left_once_they_are_known(data):
    species = data.draw(st.lists(st.sampled_from("abcde"), min_size=6, max_size=40)) * 10
    named = data.draw(st.sets(st.sampled_from("abcde")))
    tags = [[c.upper()] if c in named else [] for c in species]
    label = pl.Series("class", species)
    tolerance = data.draw(st.floats(0.0, 0.5))
    found = leaks_of(pl.Series("tags", tags, dtype=pl.List(pl.String)), AttributeKind.TAGS, label.to_frame(), tolerance)
    together = [leak for leak in found if ", " in leak.indicator]
    left = conditional_entropy(label, given=["".join(words) for words in tags])
    if together:
        assert together[0].remaining == pytest.approx(left, abs=1e-9)
    elif len(named & set(species)) > 1 and not found:
        assert left > tolerance * entropy(label) - 1e-9


def test_rare_words_name_small_classes_by_chance():
    species = pl.Series("class", [f"c{i}" for i in range(8)] * 9)
    words = pl.Series("tags", [[f"word of {c}"] for c in species])
    assert leaks_of(words, AttributeKind.TAGS, species.to_frame()) == []


def found_in(table, specs):
    return [leak for column in table for leak in find_leaks(column, LABELS, specs[column.name], 0.05)]


def test_refusal_names_every_column_and_what_to_do():
    rows = range(400)
    table = pl.DataFrame({"copy": LABEL, "file": [str(i) for i in rows], "odd": [i % 2 == 1 for i in rows]})
    specs = {
        "copy": AttributeSpec(kind=AttributeKind.CATEGORICAL),
        "file": AttributeSpec(kind=AttributeKind.CATEGORICAL),
        "odd": AttributeSpec(kind=AttributeKind.BOOL),
    }
    with pytest.raises(InputError) as error:
        refuse_leaks(found_in(table, specs), specs, 0.05)
    message = str(error.value)
    assert "ingestion.attributes.copy, ingestion.attributes.file" in message
    assert "H(class | copy)" in message
    assert "allow_leak: true" in message
    assert "odd" not in message


def test_allow_leak_turns_the_refusal_into_a_warning(caplog):
    specs = {"class": AttributeSpec(kind=AttributeKind.CATEGORICAL, allow_leak=True)}
    with caplog.at_level(logging.WARNING):
        refuse_leaks(found_in(LABELS, specs), specs, 0.05)
    assert "allow_leak" in caplog.text
    assert "H(class | class)" in caplog.text


def test_vectors_are_no_identifiers():
    rng = np.random.default_rng(0)
    vectors = pl.Series("v", rng.normal(size=(40, 3)), dtype=pl.Array(pl.Float32, 3))
    label = pl.DataFrame({"label": ["a", "b"] * 20})
    assert leaks_of(vectors, AttributeKind.VECTOR, label) == []
