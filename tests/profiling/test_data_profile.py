"""What is found out about a table with its pictures."""

import shutil

import polars as pl
import pytest

from tests.profiling.conftest import animals
from weakcl_pipeline.attributes import conditional_entropy, entropy
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.profiling import profile
from weakcl_pipeline.profiling.sampling import sample_table


def profiled(pictures, table=None, label="species", **options):
    return profile((animals() if table is None else table).lazy(), str(pictures), label, **options)


@pytest.fixture(scope="module")
def found(pictures):
    """What is found out about the table as it is."""
    return profiled(pictures)


def roles(found):
    return {column.name: column.role for column in found.columns}


def notes(found):
    return {column.name: column.note for column in found.columns}


def test_every_column_has_its_role(found):
    assert roles(found) == {
        "nr": "id",
        "file": "picture",
        "animal_id": "group",
        "subset": "split",
        "species": "label",
        "tags": "attribute",
        "family": "attribute",
        "indoors": "attribute",
        "weight": "attribute",
        "seen": "attribute",
        "place": "attribute",
        "country": "level",
        "region": "level",
        "country_region": "attribute",
        "camera": "",
        "remark": "",
        "empty": "",
    }


def test_kinds_come_with_what_reads_them(found):
    specs = {name: column.spec for name, column in found.attributes.items()}
    assert (specs["tags"].kind, specs["tags"].separator) == ("tags", ",")
    assert (specs["place"].kind, specs["place"].separator) == ("hierarchy", "/")
    assert (specs["country_region"].kind, specs["country_region"].levels) == ("hierarchy", ("country", "region"))
    assert {name: str(specs[name].kind) for name in ("family", "indoors", "weight", "seen")} == {
        "family": "categorical",
        "indoors": "bool",
        "weight": "continuous",
        "seen": "continuous",
    }


@pytest.mark.parametrize("name", ["group", "image", "label_x"])
def test_a_column_whose_name_cannot_be_used_is_told(pictures, name):
    found = profiled(pictures, animals().rename({"family": name}))
    assert roles(found)[name] == ""
    assert notes(found)[name].endswith("rename it to use it")


@pytest.mark.parametrize("name", ["count", "missing", "distinct", "row number", "", "${size}"])
def test_a_column_may_have_any_other_name(pictures, name):
    for column, role in (("nr", "id"), ("file", "picture"), ("animal_id", "group"), ("family", "attribute")):
        assert roles(profiled(pictures, animals().rename({column: name})))[name] == role
    assert name in roles(profiled(pictures, animals().rename({"remark": name}), sample_rows=100))


@pytest.mark.parametrize("name", ["*", "^a$", "^.*$"])
def test_a_column_of_which_the_name_is_a_pattern_is_told_and_not_used(pictures, found, name):
    for column in ("family", "nr", "subset", "animal_id", "empty"):
        renamed = profiled(pictures, animals().rename({column: name}))
        assert roles(renamed)[name] == ""
        assert notes(renamed)[name] == "its name is taken for a pattern of names: rename it in the file to use it"
    assert roles(profiled(pictures, animals().with_columns(pl.lit(b"x").alias(name)), sample_rows=100))[name] == ""
    with pytest.raises(InputError, match=r"--label: a column cannot be called .* taken for a pattern of names"):
        profiled(pictures, animals().rename({"species": name}), label=name)


def test_small_whole_numbers_may_be_called_count(pictures):
    counted = animals(40).with_columns(count=pl.int_range(pl.len()) % 11)
    assert roles(profiled(pictures, counted))["count"] == "attribute"


def test_durations_are_told_and_not_used(pictures):
    took = pl.duration(seconds=pl.int_range(pl.len()) // 2)
    found = profiled(pictures, animals().with_columns(took.alias("session"), pl.concat_list(took).alias("laps")))
    assert (roles(found)["session"], roles(found)["laps"]) == ("", "")
    assert notes(found)["session"] == "durations or times of day: make numbers of them, say of seconds, to use them"
    with pytest.raises(InputError, match="column 'session' are lists, bytes or durations"):
        profiled(pictures, animals().with_columns(took.alias("session")), label="session")


def test_a_table_of_categoricals_is_the_same_as_one_of_texts(pictures, found):
    texts = pl.col(pl.String)
    for dtype in (pl.Categorical, pl.Enum(pl.concat(animals().select(texts).get_columns(), how="vertical").unique())):
        stored = profiled(pictures, animals().with_columns(texts.cast(dtype)))
        assert stored.roles == found.roles
        assert stored.columns == found.columns


def test_splits_are_read_in_the_words_of_the_table(found):
    assert found.roles.split_values == {"train": "train", "dev": "val", "test": "test"}


def test_what_is_left_out_says_why(found):
    assert {name: note for name, note in notes(found).items() if name in ("camera", "remark", "empty")} == {
        "camera": "has one value only",
        "remark": "free text",
        "empty": "no cell has a value",
    }


def test_information_is_measured_on_the_train_split(pictures, found):
    information = {column.name: column.information for column in found.columns}
    train = animals().filter(pl.col("subset") == "train")
    assert information["family"].entropy == pytest.approx(entropy(train["family"]))
    assert information["family"].remaining == pytest.approx(
        conditional_entropy(train["species"], given=train["family"])
    )
    assert information["place"].entropy == pytest.approx(entropy(train["place"]))
    assert found.label_entropy == pytest.approx(entropy(train["species"]))
    assert profiled(pictures, label=None).label_entropy is None


def test_missing_cells_are_those_without_anything(found):
    missing = {column.name: column.missing for column in found.columns}
    assert missing["indoors"] == (animals()["indoors"] == "").mean()
    assert missing["empty"] == 1


def test_words_of_the_label_are_no_tags(pictures):
    assert profiled(pictures).attributes["tags"].spec.exclude == ("cat", "emu", "lynx", "owl")
    assert profiled(pictures, label=None).attributes["tags"].spec.exclude == ()


def test_tags_of_which_no_word_is_left_are_left_out_with_the_reason(pictures):
    named = pl.concat_list("species", pl.lit("animal"))
    found = profiled(pictures, animals(236).with_columns(tags=named))
    assert (roles(found)["tags"], found.columns[5].information.indicators) == ("", 0)
    rare = "no value of it is that of 2 training samples, but not of all"
    assert notes(found)["tags"] == f"without 4 words that name the label, {rare}"


def test_a_column_that_determines_the_label_is_left_out(pictures):
    table = animals().with_columns(
        kind=pl.col("species").replace({"cat": "I", "lynx": "II", "owl": "III", "emu": "IV"})
    )
    found = profiled(pictures, table)
    assert roles(found)["kind"] == ""
    assert notes(found)["kind"] == "gives the label away"
    assert roles(profiled(pictures, table, label=None))["kind"] == "attribute"


def test_clusters_are_made_of_what_somebody_said_of_the_pictures(pictures):
    assert profiled(pictures).clustered == ["tags", "place", "country_region"]
    plain = animals().drop("tags", "place", "country", "region")
    assert profiled(pictures, plain).clustered == ["family", "indoors", "weight", "seen"]


def test_granularities_are_no_more_than_there_are_indicators(pictures):
    few = animals().select("file", "subset", "species", "family", "indoors")
    choices = profiled(pictures, few).choices
    assert max(choices.granularities) <= 3
    assert choices.batch_size <= 120
    assert (choices.size, choices.k) == (32, 14)


def test_the_path_of_the_picture_is_an_id_where_there_is_no_other(pictures):
    assert profiled(pictures, animals().drop("nr")).roles.id == "file"


def test_without_an_id_rows_are_numbered_and_a_picture_stays_in_one_split(pictures):
    twice = pl.concat([animals().drop("nr", "animal_id", "subset", "remark")] * 2)
    found = profiled(pictures, twice)
    assert (found.roles.id, found.roles.group) == (None, "file")


def test_a_split_that_is_not_whole_is_told_and_not_used(pictures):
    table = animals().with_columns(pl.col("subset").replace("dev", "test"))
    found = profiled(pictures, table)
    assert found.roles.split is None
    assert notes(found)["subset"] == "names splits, but not all of train, val and test: splits are made"
    assert profiled(pictures, table, label=None).roles.split == "subset"  # nothing is evaluated


@pytest.mark.parametrize("name", ["subset", "split"])
@pytest.mark.parametrize(("odd", "fault"), [("", "are empty"), ("extra", "hold 'extra'")])
def test_a_split_with_a_few_other_cells_is_told_and_no_attribute(pictures, name, odd, fault):
    some = pl.col("nr").cast(pl.Int64) % 10 == 0
    table = animals().with_columns(subset=pl.when(some).then(pl.lit(odd)).otherwise("subset")).rename({"subset": name})
    found = profiled(pictures, table)
    assert (found.roles.split, roles(found)[name]) == (None, "")
    assert notes(found)[name] == f"names splits, but 24 of 240 cells {fault}: splits are made"


def test_words_for_splits_among_others_are_categories(pictures):
    vehicles = pl.Series(["train", "car", "ship", "test"] * 60)
    assert roles(profiled(pictures, animals().with_columns(vehicle=vehicles)))["vehicle"] == "attribute"


def test_spaces_around_words_tell_nothing(pictures, found):
    padded = pl.when(pl.col("nr").cast(pl.Int64) % 3 == 0).then(pl.col("subset", "species", "family") + " ")
    table = animals().with_columns(padded.otherwise(pl.col("subset", "species", "family")))
    spaced = profiled(pictures, table)
    assert spaced.roles == found.roles
    assert spaced.label_entropy == found.label_entropy
    assert spaced.attributes["family"].information == found.attributes["family"].information


def test_months_are_no_groups(pictures):
    for written in ("2024-{:02}", "2024-W{:02}", "{:02}.2024"):
        months = pl.Series([written.format(row // 8 + 1) for row in range(240)])
        assert profiled(pictures, animals().drop("animal_id").with_columns(month=months)).roles.group is None
    numbers = pl.Series([f"{20000 + row // 4}" for row in range(240)])
    assert profiled(pictures, animals().drop("animal_id").with_columns(bird_id=numbers)).roles.group == "bird_id"


def test_groups_that_lie_in_several_splits_are_none(pictures):
    torn = animals().with_columns(subset=pl.Series(["train", "dev", "test"] * 80))
    assert profiled(pictures, torn).roles.group is None


def test_paths_may_begin_with_the_name_of_the_folder(pictures):
    longer = animals().with_columns(file=pl.lit("pictures/") + pl.col("file"))
    found = profiled(pictures, longer)
    assert found.pictures.root == str(pictures.parent)
    assert found.pictures.sides == (40,) * 100


def test_pictures_inside_the_table(pictures):
    inside = animals().with_columns(file=pl.Series([(pictures / name).read_bytes() for name in animals()["file"]]))
    found = profile(inside.lazy(), None, "species")
    assert (found.roles.image, found.roles.id, found.pictures.root) == ("file", "nr", None)
    assert set(found.pictures.sides) == {40}
    assert profile(inside.drop("nr", "remark", "animal_id").lazy(), None, "species").roles.group is None


def test_pictures_in_an_archive(pictures, tmp_path):
    archive = shutil.make_archive(str(tmp_path / "pictures"), "zip", pictures)
    found = profile(animals().lazy(), archive, "species")
    assert (found.pictures.root, found.pictures.checked, set(found.pictures.sides)) == (archive, 100, {40})


def test_single_pictures_that_cannot_be_used_are_told(pictures, tmp_path):
    for name in animals()["file"]:
        (tmp_path / name).write_bytes((pictures / name).read_bytes())
    for row in range(0, 240, 3):
        (tmp_path / f"{row}.png").write_bytes(b"no picture")
    found = profiled(tmp_path)
    assert 0 < len(found.pictures.rejects) < 50
    assert {reason.split(" in ")[0] for _, reason in found.pictures.rejects} == {"not a picture"}


def test_what_is_found_of_a_sample_of_a_large_table_is_what_it_is(pictures, found):
    large = animals(4800).with_columns(file=pl.concat_str(pl.int_range(pl.len()) % 240, pl.lit(".png")))
    of_sample = profiled(pictures, large, sample_rows=1000)
    assert of_sample.rows == 4800
    assert 800 < of_sample.looked_at <= 1000
    assert roles(of_sample) == roles(found)
    assert {column.spec.min_count for column in of_sample.attributes.values()} == {2400 // 500}  # of all train samples
    for name, column in of_sample.attributes.items():
        assert column.information.entropy == pytest.approx(found.attributes[name].information.entropy, abs=0.2)


def test_an_id_that_repeats_beyond_the_rows_that_are_looked_at_is_none(pictures):
    table = animals().select("nr", "file", "subset", "species", "tags")
    unseen = sorted(set(table["nr"]) - set(sample_table(table.lazy(), 100).frame["nr"]))
    for other, found in ((unseen[0], "nr"), (unseen[1], "file"), (None, "file")):
        changed = table.with_columns(nr=pl.when(nr=unseen[0]).then(pl.lit(other)).otherwise("nr"))
        assert profiled(pictures, changed, sample_rows=100).roles.id == found


LABELS = {
    "no such column": (
        "specis",
        "--label: there is no column 'specis'. Did you mean 'species'? The table has: nr, file",
    ),
    "one value": ("camera", "--label: column 'camera' holds only the value 'x100'; at least two are needed."),
    "no value": ("empty", "--label: column 'empty' holds no value at all; at least two are needed."),
    "all unique": ("remark", "--label: column 'remark' has a value of its own in each of 240 rows"),
}


@pytest.mark.parametrize("case", LABELS)
def test_a_label_that_cannot_be_one_is_refused(pictures, case):
    label, message = LABELS[case]
    with pytest.raises(InputError) as error:
        profiled(pictures, label=label)
    assert str(error.value).startswith(message)


def test_a_label_of_lists_is_refused(pictures):
    with pytest.raises(InputError, match="--label: the cells of column 'tags' are lists, bytes or durations"):
        profiled(pictures, animals().with_columns(pl.col("tags").str.split(", ")), label="tags")


@pytest.mark.parametrize("table", [animals().clear(), pl.DataFrame()])
def test_an_empty_table_is_refused(pictures, table):
    with pytest.raises(InputError, match=r"the table is empty \(0 rows\)|no columns"):
        profiled(pictures, table)


def test_a_table_without_pictures_is_refused(pictures):
    with pytest.raises(InputError, match=r"no column of pictures: .* name a file below .*Its columns: nr, animal_id"):
        profiled(pictures, animals().drop("file"))
    with pytest.raises(InputError, match=r"no column of the table holds encoded pictures .* Say with --images"):
        profile(animals().lazy(), None, "species")


def test_pictures_that_are_not_there_are_named_with_where_they_were_looked_for(pictures, tmp_path):
    with pytest.raises(InputError) as error:
        profiled(tmp_path)
    message = str(error.value)
    assert message.startswith("the pictures that the table names are not there. Looked for, among others:\n")
    for root in (tmp_path, tmp_path.parent):
        assert f"  column 'file', images.root = {root}: reference '0.png': no such file below images.root\n" in message
    assert "Say with --images" in message


def test_paths_that_cannot_be_looked_for_are_named_with_the_reason(pictures):
    absolute = pl.lit("/home/me/") + pl.col("file")
    with pytest.raises(InputError, match=r"reference '/home/me/0\.png' is absolute; it must be relative to"):
        profiled(pictures, animals().with_columns(file=absolute))
    with pytest.raises(InputError, match=r"reference 'a\\\\0\.png': .*'/'"):
        profiled(pictures, animals().with_columns(file=pl.lit("a\\") + pl.col("file")))


def test_a_table_without_a_header_is_told(pictures):
    first, *others = animals().select("file", "species").rows()
    with pytest.raises(InputError, match=r"the table has no header: a column is called '0\.png'"):
        profiled(pictures, pl.DataFrame(others, schema=first, orient="row"), label=None)


def test_pictures_that_are_none_are_refused(tmp_path):
    for name in animals()["file"]:
        (tmp_path / name).write_bytes(b"GIF89a nothing")
    with pytest.raises(InputError, match=r"(?s)100 of 100 pictures of column 'file' cannot be used:.*and 95 more"):
        profiled(tmp_path)
