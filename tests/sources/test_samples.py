import json
from datetime import timedelta

import polars as pl
import pytest

from weakcl_pipeline.attributes.schema import AttributeSpec
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.sources import IngestionConfig, Table, read_new_samples
from weakcl_pipeline.sources import read_samples as read_lazily

CONFIG = IngestionConfig(
    id_column="name",
    image_column="file",
    split_column="part",
    labels=("class",),
    group_column="object",
    attributes={"words": AttributeSpec(kind="tags")},
)


def raw_table(**columns):
    table = {
        "name": [f"s{i}" for i in range(8)],
        "file": [f"{i}.png" for i in range(8)],
        "part": ["train"] * 4 + ["val"] * 2 + ["test"] * 2,
        "class": ["cat", "dog", "cat", "dog", "cat", None, "dog", "cat"],
        "object": ["o0", "o0", None, None, "o4", "o4", "o6", "o7"],
        "words": [["a"], ["a", "b"], ["b"], None, [], ["c"], ["a"], ["b"]],
        "weight": [1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5],
    }
    return pl.DataFrame(table | columns)


def read_samples(raw, config):
    table, schema = read_lazily(raw.lazy(), config)
    return table.collect(), schema


def config_with(**changes):
    return IngestionConfig.model_validate(CONFIG.model_dump() | changes)


def refused(raw, config=CONFIG):
    with pytest.raises(InputError) as error:
        read_samples(raw, config)
    return str(error.value)


def test_roles_become_columns_and_every_row_is_kept_in_order():
    samples, schema = read_samples(raw_table(), CONFIG)
    assert samples.columns == ["sample_id", "split", "group", "image", "label_class", "words"]
    assert samples["sample_id"].to_list() == [f"s{i}" for i in range(8)]
    assert samples["image"].to_list() == [f"{i}.png" for i in range(8)]
    assert samples["group"].to_list() == ["o0", "o0", None, None, "o4", "o4", "o6", "o7"]
    assert samples["label_class"].null_count() == 1
    assert samples["words"].to_list()[3:5] == [None, []]
    assert list(schema) == ["words"]


def test_without_an_id_samples_are_named_after_their_rows():
    samples, _ = read_samples(raw_table().drop("name"), config_with(id_column=None))
    assert samples["sample_id"].to_list() == [f"row_{i}" for i in range(8)]


@pytest.mark.parametrize("name", ["count", "split", "value", "literal"])
def test_a_split_column_may_be_called_anything(name):
    samples, _ = read_samples(raw_table().rename({"part": name}), config_with(split_column=name))
    assert samples["split"].to_list() == ["train"] * 4 + ["val"] * 2 + ["test"] * 2


def test_spaces_around_words_tell_nothing():
    spaced = raw_table()
    spaced = spaced.with_columns(
        pl.when(pl.int_range(8) % 2 == 0).then(pl.col(name) + " ").otherwise(name).alias(name)
        for name in ("name", "part", "class", "object")
    )
    for values in (
        {"train": "train", "val": "val", "test": "test"},
        {"train ": "train", "val": "val", "test ": "test"},
    ):
        samples, _ = read_samples(spaced, config_with(split_values=values))
        assert samples.equals(read_samples(raw_table(), CONFIG)[0])


def test_numbers_become_names_and_split_values_are_mapped():
    raw = raw_table(name=list(range(8)), **{"part": [0] * 4 + [1] * 2 + [2] * 2, "class": [1, 2, 1, 2, 1, 2, 1, 2]})
    samples, _ = read_samples(raw, config_with(split_values={"0": "train", "1": "val", "2": "test"}))
    assert samples["sample_id"].to_list() == [str(i) for i in range(8)]
    assert samples["split"].to_list() == ["train"] * 4 + ["val"] * 2 + ["test"] * 2
    assert samples["label_class"].to_list() == ["1", "2"] * 4


def test_nan_is_a_missing_label_group_and_attribute():
    raw = raw_table(
        **{
            "class": [1.0, 2.0, 1.0, float("nan"), 1.0, 2.0, 2.0, 1.0],
            "object": [1.0, 1.0, float("nan"), float("nan"), 2.0, float("nan"), 3.0, float("nan")],
            "weight": [1.5, float("nan")] * 4,
        }
    )
    samples, schema = read_samples(raw, config_with(attributes={"weight": {"kind": "categorical", "allow_leak": True}}))
    assert samples["label_class"].to_list() == ["1", "2", "1", None, "1", "2", "2", "1"]
    assert samples["group"].to_list() == ["1", "1", None, None, "2", None, "3", None]
    assert samples["weight"].to_list() == ["1.5", None] * 4
    assert schema["weight"]["missing"] == 4


def test_nan_is_no_id_and_no_split():
    numbers = [0.0, float("nan"), 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    assert "null in row 1" in refused(raw_table(name=numbers))
    splits = config_with(split_values={"0": "train", "1": "val", "2": "test"})
    assert "None in row 1" in refused(raw_table(part=[0.0, float("nan"), 0.0, 0.0, 1.0, 1.0, 2.0, 2.0]), splits)


@pytest.mark.parametrize("column", ["name", "part", "class", "object"])
def test_long_cells_are_not_told_in_full(column):
    message = refused(raw_table(**{column: ["x" * 10_000] * 7 + ["y" if column == "object" else "x" * 10_000]}))
    assert f"column '{column}'" in message
    assert f"'{'x' * 57}...'" in message
    assert len(message) < 400


@pytest.mark.parametrize("column", ["name", "part", "class", "object"])
def test_spans_of_time_are_no_words(column):
    assert f"column '{column}'" in refused(raw_table(**{column: [timedelta(days=i) for i in range(8)]}))


@pytest.mark.parametrize(("split", "rows"), [("val", (4, 5)), ("test", (6, 7))])
def test_a_label_without_labelled_samples_to_evaluate_on(split, rows):
    labels = [None if row in rows else ("cat", "dog")[row % 2] for row in range(8)]
    message = refused(raw_table(**{"class": labels}))
    assert f"label column 'class' (ingestion.labels) holds no value at all in the {split} samples" in message


@pytest.mark.parametrize("undeclared", ["ignore", "infer"])
def test_pictures_without_any_attribute_are_fine(undeclared):
    raw = raw_table().drop("words", "weight")
    samples, schema = read_samples(raw, config_with(attributes={}, undeclared=undeclared))
    assert schema == {}
    assert samples.columns == ["sample_id", "split", "group", "image", "label_class"]
    assert samples.height == 8


def test_pictures_inside_the_table_are_referred_to_by_row():
    pictures = [b"x", None, b"y", b"", b"z", b"", b"", b""]
    samples, _ = read_samples(raw_table(file=pictures), CONFIG)
    assert samples["image"].to_list() == ["file[0]", None, *(f"file[{row}]" for row in range(2, 8))]
    assert "no attribute" in refused(raw_table(file=pictures), config_with(attributes={"file": {}}))


def test_no_group_and_no_label_are_fine_and_then_no_test_split_is_needed():
    raw = raw_table(part=["train"] * 8)
    samples, _ = read_samples(raw, config_with(labels=(), group_column=None))
    assert samples["group"].to_list() == [None] * 8
    assert samples["group"].dtype == pl.String


def test_undeclared_columns_are_inferred_but_never_those_with_a_role():
    config = config_with(undeclared="infer", labels=(), ignore=("class",))
    samples, schema = read_samples(raw_table(), config)
    assert list(schema) == ["words", "weight"]
    assert samples["weight"].dtype == pl.Float64


def as_text(raw):
    """The table as a text file gives it."""
    lists = [pl.col(name).list.join(";") for name, dtype in raw.schema.items() if dtype == pl.List]
    return raw.with_columns(lists).cast(pl.String).fill_null("")


def test_a_table_of_texts_gives_the_same_samples_as_a_typed_one():
    config = config_with(attributes={"words": {"kind": "tags", "separator": ";"}, "weight": {"allow_leak": True}})
    typed, _ = read_samples(
        raw_table(), config_with(attributes={"words": {"kind": "tags"}, "weight": {"allow_leak": True}})
    )
    samples, schema = read_samples(as_text(raw_table()), config)
    assert schema["weight"]["kind"] == "continuous"
    words = pl.Series([["a"], ["a", "b"], ["b"], None, None, ["c"], ["a"], ["b"]])  # an empty text is missing
    assert samples.drop("words").equals(typed.drop("words"))
    assert samples["words"].to_list() == words.to_list()


def test_missing_texts_are_null_in_every_role_but_an_id_may_look_like_one():
    raw = raw_table(
        name=["NA", "-", "s2", "s3", "s4", "s5", "s6", "s7"],
        file=["NA", "", "2", "3", "4", "5", "6", "7"],
        object=["?", "NA", "n/a", "-", "null", "", "o6", "o6"],
        words=[["a"]] * 8,
        **{"class": ["cat", "dog", "-", "dog", "NA", "cat", "dog", "cat"]},
    )
    samples, _ = read_samples(raw, CONFIG)
    assert samples["sample_id"].to_list()[:2] == ["NA", "-"]
    assert samples["image"].to_list()[:3] == ["NA", None, "2"]
    assert samples["group"].to_list() == [None] * 6 + ["o6"] * 2
    assert samples["label_class"].to_list()[:5] == ["cat", "dog", None, "dog", None]
    assert "null in row 1" in refused(raw.with_columns(name=pl.Series(["a", "", *"cdefgh"])))
    kept, _ = read_samples(raw, config_with(missing=["?"]))
    assert kept["label_class"].to_list()[2] == "-"


def test_splits_are_made_where_none_are_given():
    raw = pl.DataFrame(
        {
            "name": [f"s{i}" for i in range(300)],
            "file": ["x.png"] * 300,
            "class": ["cat", "dog", "owl"] * 100,
            "object": [f"o{i // 2}" for i in range(300)],
            "words": [["a"]] * 300,
        }
    )
    config = config_with(split_column=None)
    samples, _ = read_samples(raw, config)
    assert set(samples["split"]) == {"train", "val", "test"}
    assert samples.group_by("group").agg(pl.col("split").n_unique())["split"].max() == 1
    more, _ = read_samples(pl.concat([raw.with_columns(name="new " + pl.col("name")), raw]), config)
    assert more.filter(~pl.col("sample_id").str.starts_with("new"))["split"].equals(samples["split"])
    stratified, _ = read_samples(raw, config_with(split_column=None, split={"stratify": "class"}))
    assert not stratified["split"].equals(samples["split"])
    assert "ingestion.split.stratify" in refused(raw, config_with(split_column=None, split={"stratify": "clas"}))


@pytest.mark.parametrize("cell", [{}, [{}], {"a": {}}])
def test_objects_without_a_key_are_named_and_no_damage(tmp_path, cell):
    rows = [{"file": f"{i}.png", "part": "train", "m": cell} for i in range(3)]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    raw = Table(path=(tmp_path / "t.jsonl").as_posix()).scan()
    config = IngestionConfig(image_column="file", split_column="part", undeclared="infer")
    assert "raw_samples: column 'm' has type" in refused(raw, config)
    assert "objects without a key" in refused(raw, config)
    samples, _ = read_samples(raw, config.model_copy(update={"ignore": ("m",)}))
    assert samples.columns == ["sample_id", "split", "group", "image"]


def test_a_name_that_is_a_pattern_is_refused_by_the_name_of_the_table():
    config = config_with(attributes={"*": {"kind": "tags"}})
    raw = raw_table().rename({"words": "*"})
    assert refused(raw, config).startswith("raw_samples: a column cannot be called '*'")
    with pytest.raises(InputError, match=r"^new_samples: a column cannot be called '\*'"):
        read_new_samples(raw.lazy(), config, {"*": {"kind": "tags"}})


def test_splits_are_given_or_made_but_not_both():
    with pytest.raises(ValueError, match="split_column and split"):
        config_with(split={"train": 0.8, "val": 0.1, "test": 0.1})


def test_level_columns_must_be_there():
    config = config_with(attributes={"habitat": {"kind": "hierarchy", "levels": ["class", "objekt"]}})
    assert "'objekt', which ingestion.attributes.habitat.levels names. Did you mean 'object'?" in refused(
        raw_table(), config
    )


def test_errors_in_cells_name_the_table():
    message = refused(
        raw_table(weight=["1", "2", "x", *"45678"]), config_with(attributes={"weight": {"kind": "continuous"}})
    )
    assert message.startswith("raw_samples: column 'weight', row 2 (counted from 0): expected a number")


def test_an_empty_table():
    assert "empty (0 rows)" in refused(raw_table().clear())


@pytest.mark.parametrize(
    ("change", "key", "hint"),
    [
        ({"id_column": "nane"}, "ingestion.id_column", "'name'"),
        ({"image_column": "fil"}, "ingestion.image_column", "'file'"),
        ({"split_column": "parts"}, "ingestion.split_column", "'part'"),
        ({"labels": ["clas"]}, "ingestion.labels", "'class'"),
        ({"group_column": "objekt"}, "ingestion.group_column", "'object'"),
        ({"attributes": {"word": {}}}, "ingestion.attributes.word", "'words'"),
    ],
)
def test_a_missing_column(change, key, hint):
    message = refused(raw_table(), config_with(**change))
    assert key in message
    assert f"Did you mean {hint}?" in message
    assert "name, file, part, class, object, words, weight" in message


def test_a_missing_column_like_no_other_gets_no_suggestion():
    message = refused(raw_table(), config_with(id_column="zzz"))
    assert "Did you mean" not in message


def test_repeated_ids():
    message = refused(raw_table(name=["s0", "s1", "s0", "s3", "s1", "s0", "s6", "s7"]))
    assert "'name'" in message
    assert "repeats 2 ids: 's0' in rows 0, 2, 5; 's1' in rows 1, 4" in message


def test_a_missing_id():
    assert "null in rows 1, 7" in refused(raw_table(name=["s0", None, "s2", "s3", "s4", "s5", "s6", None]))


def test_an_unknown_split_and_a_missing_one():
    message = refused(raw_table(part=["train"] * 4 + ["val", "dev"] + ["test", None]))
    assert "'dev', None in rows 5, 7" in message
    assert "allowed: train, val, test" in message
    assert "ingestion.split_values" in message


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (["val"] * 4 + ["test"] * 4, "the train split has no samples (train 0, val 4, test 4)"),
        (["train"] * 6 + ["test"] * 2, "the val split has no samples (train 6, val 0, test 2)"),
        (["train"] * 4 + ["val"] * 4, "the test split has no samples (train 4, val 4, test 0)"),
    ],
)
def test_an_empty_split(part, message):
    assert message in refused(raw_table(part=part), config_with(group_column=None))


def test_an_empty_train_split_is_refused_even_without_labels():
    assert "train split" in refused(raw_table(part=["val"] * 8), config_with(labels=(), group_column=None))


@pytest.mark.parametrize(
    ("values", "held"),
    [
        (["cat"] * 4 + ["dog"] * 4, "only the value 'cat' in the 4 labelled train samples"),
        ([None] * 4 + ["cat", "dog"] * 2, "no value at all in the 0 labelled train samples"),
    ],
)
def test_a_label_with_one_value(values, held):
    message = refused(raw_table(**{"class": values}))
    assert "label column 'class'" in message
    assert held in message


def test_a_label_that_train_never_shows_is_told(caplog):
    read_samples(raw_table(**{"class": ["cat", "dog", "cat", "dog", "cat", None, "owl", "cat"]}), CONFIG)
    assert "no train sample has owl" in caplog.text


def test_a_group_in_two_splits():
    message = refused(raw_table(object=["o0", "o0", None, None, "o0", "o4", "o6", "o6"]))
    assert "1 groups of column 'object'" in message
    assert "'o0' in train and val" in message


def test_a_tags_column_of_the_wrong_type():
    message = refused(raw_table(words=["a b"] * 8))
    assert "'words'" in message
    assert "row 0" in message
    assert "'a b'" in message


def test_roles_need_single_cells_and_pictures_bytes_or_paths():
    assert "ingestion.labels" in refused(raw_table(**{"class": [["cat"]] * 8}))
    assert "ingestion.image_column" in refused(raw_table(file=list(range(8))))


def test_an_attribute_that_determines_the_label_is_refused_unless_allowed():
    raw = raw_table(weight=["x", "y", "x", "y", "x", "x", "y", "x"])
    message = refused(raw, config_with(attributes={"weight": {}}))
    assert "H(class | weight) = 0.000 bits of H(class) = 1.000 bits" in message
    _, schema = read_samples(raw, config_with(attributes={"weight": {"allow_leak": True}}))
    assert schema["weight"]["allow_leak"] is True


def test_leaks_are_looked_for_in_train_only():
    hint = ["x", "x", "y", "y", "z", "z", "u", "z"]  # separates the classes of test, tells nothing in train
    _, schema = read_samples(raw_table(weight=hint), config_with(attributes={"weight": {}}))
    assert "weight" in schema


def test_an_attribute_named_like_a_role_is_refused():
    raw = raw_table().rename({"words": "split"})
    assert "'split'" in refused(raw, config_with(attributes={"split": {"kind": "tags"}}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lables": ["class"]}, "lables"),
        ({"labels": ["class", "class"]}, "twice"),
        ({"leak_tolerance": 2}, "leak_tolerance"),
        ({"split_values": {"a": "training"}}, "split_values"),
    ],
)
def test_wrong_parameters_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        config_with(**change)
