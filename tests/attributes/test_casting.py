import polars as pl
import pytest

from weakcl_pipeline.attributes.casting import AttributeKind, cast_column, infer_kind
from weakcl_pipeline.errors import InputError


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (pl.Series([True, None]), "bool"),
        (pl.Series([0, 1, None]), "bool"),
        (pl.Series([0.0, 1.0]), "bool"),
        (pl.Series(["True", "false", None]), "bool"),
        (pl.Series([0, 1, 2]), "continuous"),
        (pl.Series([0.5, None]), "continuous"),
        (pl.Series(["a", "true"]), "categorical"),
        (pl.Series(["a", "b"], dtype=pl.Categorical), "categorical"),
        (pl.Series(["a", "b"], dtype=pl.Enum(["a", "b"])), "categorical"),
        (pl.Series([["a"], None]), "tags"),
        (pl.Series([[1, 2], []]), "tags"),
        (pl.Series([[0.5]]), None),
        (pl.Series([b"x"]), None),
        (pl.Series([None, None]), None),
        (pl.Series([{"a": 1}]), None),
    ],
)
def test_kind_is_inferred_from_type_and_content(column, kind):
    assert infer_kind(column) == kind


@pytest.mark.parametrize(
    ("kind", "raw", "typed"),
    [
        ("bool", [True, None, False], [True, None, False]),
        ("bool", ["Yes", " no ", "TRUE", "0", None], [True, False, True, False, None]),
        ("bool", [1, 0, None], [True, False, None]),
        ("bool", [1.0, float("nan"), 0.0], [True, None, False]),
        ("categorical", ["a", None], ["a", None]),
        ("categorical", [3, None], ["3", None]),
        ("categorical", [3.0, float("nan"), 2.5, -0.0, 1e300], ["3", None, "2.5", "0", "1e+300"]),
        ("categorical", [2.0**53 - 1, 2.0**53], ["9007199254740991", "9007199254740992.0"]),  # or another near it
        ("categorical", ["3.0", "3", "-12.00", "-0.0", None], ["3", "3", "-12", "0", None]),
        (
            "categorical",
            ["007.0", "1.5", "1234567890123456.0", "3.0 m"],
            ["007.0", "1.5", "1234567890123456.0", "3.0 m"],
        ),
        ("categorical", ["owl ", " owl", "snowy owl\n"], ["owl", "owl", "snowy owl"]),
        ("categorical", [True], ["true"]),
        ("bool", [None, None], [None, None]),
        ("categorical", [None], [None]),
        ("continuous", [None, None], [None, None]),
        ("continuous", [1, None], [1.0, None]),
        ("continuous", ["1.5", None], [1.5, None]),
        ("continuous", [float("nan"), 2.0], [None, 2.0]),
        ("tags", [["b", "a", "b"], [], None, ["a", None]], [["b", "a"], [], None, ["a"]]),
        ("tags", [["a ", "", " a", " "]], [["a"]]),
        ("tags", [[2, 1]], [["2", "1"]]),
        ("tags", [None, None], [None, None]),
        ("hierarchy", [["root", "leaf", "root"], None, []], [["root", "leaf", "root"], None, []]),
    ],
)
def test_cells_are_typed_and_missing_ones_stay_missing(kind, raw, typed):
    column = cast_column(pl.Series("c", raw), AttributeKind(kind))
    assert column.to_list() == typed
    assert column.name == "c"
    dtypes = {"bool": pl.Boolean, "categorical": pl.String, "continuous": pl.Float64}
    assert column.dtype == dtypes.get(kind, pl.List(pl.String))


@pytest.mark.parametrize(
    ("kind", "raw", "row", "value"),
    [
        ("bool", ["yes", None, "perhaps"], 2, "perhaps"),
        ("bool", [0, 1, 7], 2, "7"),
        ("continuous", ["1", "two", "three"], 1, "two"),
        ("hierarchy", [["a"], ["a", None, "b"]], 1, "None"),
        ("vector", [None, [0.5, 1.0], [0.5, None]], 2, "None"),
        ("vector", [[0.5, 1.0], [0.5, float("nan")]], 1, "nan"),
        ("vector", [[1e300, 1.0]], 0, "1e+300"),
    ],
)
def test_the_first_bad_cell_is_named(kind, raw, row, value):
    with pytest.raises(InputError) as error:
        cast_column(pl.Series("colour", raw), AttributeKind(kind))
    assert "'colour'" in str(error.value)
    assert f"row {row} " in str(error.value)
    assert value in str(error.value)


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        ("tags", [None, "#cat #dog"]),
        ("tags", [None, [0.5]]),
        ("hierarchy", [None, "a/b"]),
        ("bool", [None, ["x"]]),
        ("categorical", [None, ["x"]]),
        ("continuous", [None, ["x"]]),
        ("vector", [None, ["x"]]),
        ("vector", [None, 0.5]),
    ],
)
def test_a_column_of_the_wrong_type_is_refused_with_its_first_value(kind, raw):
    with pytest.raises(InputError, match=r"column 'c' is declared as .* first value, in row 1, is") as error:
        cast_column(pl.Series("c", raw), AttributeKind(kind))
    assert kind in str(error.value)
    assert "ingestion.attributes.c.kind" in str(error.value)


def test_long_values_are_shortened_in_errors():
    with pytest.raises(InputError) as error:
        cast_column(pl.Series("c", ["x" * 5000]), AttributeKind.BOOL)
    assert len(str(error.value)) < 400


@pytest.mark.parametrize("dtype", [pl.List(pl.Float64), pl.List(pl.Int64), pl.Array(pl.Float64, 2)])
def test_vectors_are_arrays_of_one_length_and_missing_ones_stay_missing(dtype):
    column = cast_column(pl.Series("v", [[1, 2], None, [3, 4]], dtype=dtype), AttributeKind.VECTOR)
    assert column.dtype == pl.Array(pl.Float32, 2)
    assert column.to_list() == [[1.0, 2.0], None, [3.0, 4.0]]


def test_vectors_written_as_text_are_read():
    texts = pl.Series("v", ["[1, -2.5e1]", None, " [3,4] "])
    assert cast_column(texts, AttributeKind.VECTOR).to_list() == [[1.0, -25.0], None, [3.0, 4.0]]
    with pytest.raises(InputError, match=r"column 'v', row 1 .* finite numbers"):
        cast_column(pl.Series("v", ["[1, 2]", "[1, two]"]), AttributeKind.VECTOR)


def test_a_vector_of_another_length_is_named_with_row_and_length():
    with pytest.raises(InputError, match=r"column 'v', row 3 .* length 3, but that of row 1 has length 2"):
        cast_column(pl.Series("v", [None, [1.0, 2.0], None, [1.0, 2.0, 3.0]]), AttributeKind.VECTOR)


@pytest.mark.parametrize("values", [[None, None], [[], []]])
def test_a_vector_column_without_numbers_is_refused(values):
    with pytest.raises(InputError, match="'v' is declared as vector, but has no numbers"):
        cast_column(pl.Series("v", values, dtype=pl.List(pl.Float64)), AttributeKind.VECTOR)
