import json
import logging
import math
from datetime import date, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from weakcl_pipeline.attributes.casting import AttributeKind
from weakcl_pipeline.attributes.schema import AttributeSpec, null_missing, specs_of, type_alike, type_attributes
from weakcl_pipeline.errors import InputError


def typed_by(table, declared, **options):
    columns = []
    schema = type_attributes(table, declared, lambda cells, _: columns.append(cells.column()), **options)
    return pl.DataFrame(columns), schema


TABLE = pl.DataFrame(
    {
        "id": ["a", "b", "c"],
        "tags": [["x", "y"], None, []],
        "size": [1.0, 2.0, None],
        "blob": [b"1", b"2", b"3"],
    }
)


def test_declared_columns_come_first_and_undeclared_ones_only_if_asked_for():
    declared = {"size": AttributeSpec()}
    typed, _ = typed_by(TABLE, declared)
    assert typed.columns == ["size"]
    typed, schema = typed_by(TABLE, declared, undeclared="infer", reserved=["id", "blob"])
    assert typed.columns == ["size", "tags"]
    assert [entry["kind"] for entry in schema.values()] == ["continuous", "tags"]


def test_the_schema_is_json_and_gives_the_specifications_back():
    declared = {
        "tags": AttributeSpec(kind=AttributeKind.TAGS, min_count=2, exclude=("x",)),
        "size": AttributeSpec(quantiles=(0.25, 0.75), allow_leak=True),
    }
    _, schema = typed_by(TABLE, declared)
    schema = json.loads(json.dumps(schema))
    assert schema["tags"]["inferred"] is False
    assert schema["size"]["inferred"] is True
    assert schema["size"]["missing"] == 1
    assert specs_of(schema) == {
        "tags": declared["tags"],
        "size": declared["size"].model_copy(update={"kind": AttributeKind.CONTINUOUS, "plain": "numbers"}),
    }


def test_the_schema_is_shown_in_the_log(caplog):
    caplog.set_level(logging.INFO)
    typed_by(TABLE, {"size": AttributeSpec()})
    assert "size  continuous   inferred  1 missing" in caplog.text
    typed_by(TABLE, {})
    assert "no attribute columns" in caplog.text


def test_a_column_that_fits_no_kind_is_refused():
    with pytest.raises(InputError, match=r"'blob'.*Binary.*ingestion\.ignore"):
        typed_by(TABLE, {}, undeclared="infer", reserved=["id"])


def test_a_misspelt_exclusion_is_told(caplog):
    typed_by(TABLE, {"tags": AttributeSpec(exclude=("y", "flga"))})
    assert "'flga'" in caplog.text
    assert "'y'" not in caplog.text


def test_nodes_of_a_hierarchy_are_excluded_by_their_paths(caplog):
    table = pl.DataFrame({"kind": [["animal", "bird", "a/b"], ["animal"], None]})
    spec = AttributeSpec(kind=AttributeKind.HIERARCHY, exclude=("animal/bird", "animal/bird/a%2Fb", "bird"))
    typed_by(table, {"kind": spec})
    (record,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert record.getMessage() == "ingestion.attributes.kind.exclude: the column never holds 'bird'"


def test_a_misspelt_key_is_refused():
    with pytest.raises(ValueError, match="min_cuont"):
        AttributeSpec.model_validate({"min_cuont": 3})
    with pytest.raises(ValueError, match="kind"):
        AttributeSpec.model_validate({"kind": "hashtags"})


@pytest.mark.parametrize("quantile", [-0.1, 0.0, 1.0, 5.0])
def test_a_quantile_out_of_range_is_refused(quantile):
    with pytest.raises(ValueError, match="quantiles"):
        AttributeSpec(quantiles=(0.5, quantile))


@pytest.mark.parametrize("kind", [AttributeKind.HIERARCHY, AttributeKind.TAGS])
def test_a_column_without_any_value_may_exclude_words(kind, caplog):
    table = pl.DataFrame({"empty": pl.Series([None] * 3, dtype=pl.Null)})
    typed, schema = typed_by(table, {"empty": AttributeSpec(kind=kind, exclude=("x",))})
    assert typed["empty"].null_count() == schema["empty"]["missing"] == 3
    assert "'x'" in caplog.text


LEVELS = {"habitat": AttributeSpec(kind="hierarchy", levels=("realm", "biome"))}


def test_a_hierarchy_is_made_of_level_columns():
    table = pl.DataFrame(
        {"realm": ["land", "sea", None, "-"], "biome": ["forest", "", None, "NA"], "other": [1, 2, 3, 4]}
    )
    typed, schema = typed_by(table, LEVELS, undeclared="infer", missing=["", "-", "NA"])
    assert typed.columns == ["habitat", "other"]
    assert typed["habitat"].to_list() == [["land", "forest"], ["sea"], None, None]
    assert specs_of(schema)["habitat"] == LEVELS["habitat"]


def test_a_gap_in_level_columns_is_refused_with_its_row():
    table = pl.DataFrame({"realm": ["land", None], "biome": ["forest", "reef"]})
    with pytest.raises(
        InputError, match=r"column 'realm', row 1 .*: missing, but column 'biome' below it holds 'reef'"
    ):
        typed_by(table, LEVELS)


def test_missing_texts_are_null_unless_they_have_a_meaning_of_their_own():
    table = pl.DataFrame({"colour": ["red", " NA ", ""], "seen": ["x", "", "-"], "n": ["1", "?", "2"]})
    declared = {
        "colour": AttributeSpec(),
        "seen": AttributeSpec(kind="bool", true_values=("x",), false_values=("",)),
        "n": AttributeSpec(),
    }
    typed, schema = typed_by(table, declared, missing=["", "NA", "-", "?"])
    assert typed.rows() == [("red", True, 1.0), (None, False, None), (None, None, 2.0)]
    assert schema["n"]["kind"] == "continuous"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"separator": ","}, "separator: needs `kind: tags` or `kind: hierarchy`"),
        ({"kind": "tags", "decimal": ","}, "decimal: needs `kind: continuous`"),
        ({"kind": "tags", "plain": "dates"}, "plain: needs `kind: continuous`"),
        ({"kind": "tags", "levels": ["a"]}, "levels: needs `kind: hierarchy`"),
        ({"true_values": ["a"], "false_values": ["b"]}, "true_values: needs `kind: bool`"),
        ({"kind": "hierarchy", "levels": ["a"], "separator": "/"}, "levels and separator"),
    ],
)
def test_fields_that_do_not_go_with_the_kind_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        AttributeSpec.model_validate(fields)


CELLS = [
    "a", "b", "a/b", "a//b", "/", " a ,b", "", "1", "0", "1,5", "2.5", "1.000", "01/02/2026", "13/02/2026", "yes", "no",
    "2026-01-02", "x", "[]", '["a", "b"]', '["b", null]', "[1, 2]", "[1.5, 2]", "-", None,
]  # fmt: skip


@given(
    cells=st.lists(st.sampled_from(CELLS), min_size=1, max_size=6, unique=True),
    kind=st.sampled_from([None, *AttributeKind]),
    times=st.integers(3, 5),
)
def test_texts_that_repeat_are_read_as_they_are_alone(cells, kind, times):
    separated = kind in (AttributeKind.TAGS, AttributeKind.HIERARCHY)
    spec = AttributeSpec(kind=kind, separator="/" if separated else None)

    def read(column):
        try:
            typed, schema = typed_by(pl.DataFrame({"c": column}, schema={"c": pl.String}), {"c": spec})
        except InputError as error:
            return str(error)
        return typed, schema["c"]["kind"]

    once, repeated = read(cells), read(cells * times)
    if isinstance(once, str):
        assert repeated == once
    else:
        assert repeated[1] == once[1]
        assert_frame_equal(repeated[0], pl.concat([once[0]] * times))


@pytest.mark.parametrize(
    ("cells", "style", "later", "typed"),
    [
        (["1.234,5", "2.000", "3.000"], {"decimal": ","}, ["2.000", "3.000"], [2000.0, 3000.0]),
        (["13/01/1970", "01/02/1970"], {"date_format": "%d/%m/%Y"}, ["01/02/1970"], [31.0]),
        (["1.234", "2.5"], {"plain": "numbers"}, ["1.234", "\u22127", None], [1.234, -7.0, None]),
        ([1.5, None], {"plain": "numbers"}, ["1.234", None], [1.234, None]),
        ([date(1970, 1, 2), None], {"plain": "dates"}, ["1970-01-03", "1970-01-03 12:00", None], [2.0, 2.5, None]),
        ([datetime(1970, 1, 2, 6)], {"plain": "dates"}, ["1970-01-02T06:00:00.000000"], [1.25]),
        ([date(1970, 1, 2)], {"plain": "dates"}, [datetime(1970, 1, 2, 6)], [1.25]),
        ([date(1970, 1, 2)], {"plain": "dates"}, [math.nan], [None]),
        ([1, 2], {"plain": "numbers"}, pl.Series([None], dtype=pl.Date), [None]),
        ([None, None], {}, ["1,5", None], [1.5, None]),
        (pl.Series([None], dtype=pl.Float64), {}, [date(1970, 1, 2)], [1.0]),
    ],
)
def test_later_cells_are_read_in_the_style_that_was_found(cells, style, later, typed):
    _, schema = typed_by(pl.DataFrame({"n": cells}), {"n": AttributeSpec(kind=AttributeKind.CONTINUOUS)})
    schema = json.loads(json.dumps(schema))
    assert {key: schema["n"][key] for key in ("decimal", "date_format", "plain") if schema["n"][key]} == style
    assert type_alike(pl.DataFrame({"n": later}), schema)["n"].to_list() == typed


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize(
    ("cells", "later", "message"),
    [
        (["1,5", "2,25"], ["1,5", "2.25"], "'n', row 1 .* a number .* '2.25'"),
        (["1.234", "2.5", "7"], ["1.234", "1,5"], "'n', row 1 .* a number .* '1,5'"),
        (["2019", "2020"], ["2019-01-01", "2020-01-01"], "'n', row 0 .* a number .* '2019-01-01'"),
        ([1.234, 2.5], ["1.234", "1,5"], "'n', row 1 .* a number .* '1,5'"),
        ([2019, 2020], [date(2019, 1, 1)], "'n' .* needs a number .* its type is Date"),
        (["1,5"], [datetime(2019, 1, 1)], "'n' .* needs a number .* its type is Datetime"),
        (["13/01/1970"], [2019], "'n', row 0 .* a date as %d/%m/%Y .* 2019"),
        ([date(2019, 1, 1)], ["2019-01-01", "2019"], "'n', row 1 .* a date as 2026-01-31 .* '2019'"),
        ([date(2019, 1, 1)], ["13/01/2019"], "'n', row 0 .* a date as 2026-01-31 .* '13/01/2019'"),
        ([datetime(2019, 1, 1)], [2019.0], "'n', row 0 .* a date as 2026-01-31 .* 2019.0"),
    ],
)
def test_a_cell_of_another_style_than_the_one_that_was_found_is_refused(cells, later, message, times):
    spec = AttributeSpec(kind=AttributeKind.CONTINUOUS)
    _, schema = typed_by(pl.DataFrame({"n": cells * times}), {"n": spec})
    with pytest.raises(InputError, match=message):
        type_alike(pl.DataFrame({"n": later * times}), json.loads(json.dumps(schema)))


@pytest.mark.parametrize("vectors", [[[1.0, 2.0]], ["1,2,3,4,5,6,7,8"], ["1,2,3,4,5,6,7,8"] * 3])
def test_later_vectors_of_another_length_are_refused(vectors):
    spec = AttributeSpec(kind=AttributeKind.VECTOR)
    _, schema = typed_by(pl.DataFrame({"v": [[1.0, 2.0, 3.0, 4.0], None]}), {"v": spec})
    with pytest.raises(InputError, match=r"'v' has vectors of length [28], but those .* have length 4"):
        type_alike(pl.DataFrame({"v": vectors}), schema)


def test_whole_numbers_are_one_category_whatever_a_program_makes_of_them_beside_a_missing_cell():
    declared = {"c": AttributeSpec(kind=AttributeKind.CATEGORICAL)}
    typed, schema = typed_by(pl.DataFrame({"c": ["3", "12", "2"]}), declared)
    later = type_alike(pl.DataFrame({"c": ["3.0", "", "2.0"]}), schema, missing=[""])
    assert (typed["c"].to_list(), later["c"].to_list()) == (["3", "12", "2"], ["3", None, "2"])


@pytest.mark.parametrize("mark", ["-1", "-1.0"])
def test_a_number_that_stands_for_a_missing_cell_does_so_in_any_form(mark):
    assert null_missing(pl.Series(["1", "-1", "-1.0"]), [mark]).to_list() == ["1", None, None]


@pytest.mark.parametrize("kind", AttributeKind)
def test_later_rows_may_know_nothing_of_an_attribute(kind):
    cells = {
        "bool": [True, False],
        "categorical": ["a", "b"],
        "tags": [["a"], []],
        "hierarchy": [["a", "b"], ["a"]],
        "continuous": [1.0, 2.5],
        "vector": [[1.0, 2.0], [3.0, 4.0]],
    }[kind]
    typed, schema = typed_by(pl.DataFrame({"c": cells}), {"c": AttributeSpec(kind=kind)})
    for nothing in ([None, None], pl.Series([None, None], dtype=pl.DataFrame({"c": cells})["c"].dtype), ["", "NA"]):
        later = type_alike(pl.DataFrame({"c": nothing}), json.loads(json.dumps(schema)), missing=["", "NA"])
        assert later["c"].to_list() == [None, None]
        assert later.schema == typed.schema


@pytest.mark.parametrize("dtype", [pl.String, pl.Categorical, pl.Enum(["a", "NA", "", "yes", "no"])])
def test_texts_stand_for_missing_cells_whatever_type_they_have(dtype):
    table = pl.DataFrame({"c": ["a", " NA" if dtype == pl.String else "NA", "", "a"], "b": ["yes", "no", "NA", "no"]})
    typed, schema = typed_by(table.cast(dtype), {"c": AttributeSpec(), "b": AttributeSpec()}, missing=["", "NA"])
    assert typed["c"].to_list() == ["a", None, None, "a"]
    assert typed["b"].to_list() == [True, False, None, False]
    assert schema["c"]["missing"] == 2


def test_in_lists_such_texts_are_no_elements_and_a_list_of_nothing_else_is_missing():
    lists = pl.Series("c", [["cat", "NA "], ["NA", ""], [], None, ["dog"]])
    assert null_missing(lists, ["NA", ""]).to_list() == [["cat", None], None, [], None, ["dog"]]
    assert null_missing(lists, []).to_list() == lists.to_list()
    typed, _ = typed_by(lists.to_frame(), {"c": AttributeSpec(kind=AttributeKind.TAGS)}, missing=["NA", ""])
    assert typed["c"].to_list() == [["cat"], None, [], None, ["dog"]]


@pytest.mark.parametrize("nested", [[[{"k": 1}]] * 4, [[["x"]]] * 4])
def test_lists_of_more_than_words_fit_no_kind(nested):
    with pytest.raises(InputError, match="'c': no attribute kind fits"):
        typed_by(pl.DataFrame({"c": nested}), {}, undeclared="infer")
    with pytest.raises(InputError, match="needs a list of words"):
        typed_by(pl.DataFrame({"c": nested}), {"c": AttributeSpec(kind=AttributeKind.TAGS)})
