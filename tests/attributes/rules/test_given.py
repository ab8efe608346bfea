import numpy as np
import polars as pl
import pytest

from weakcl_pipeline.attributes import AttributeKind, AttributeSpec, FittingData
from weakcl_pipeline.attributes.rules import Given
from weakcl_pipeline.errors import InputError

WORD = AttributeSpec(kind=AttributeKind.CATEGORICAL)


def data(**columns):
    table = pl.DataFrame(columns)
    return FittingData(table, dict.fromkeys(columns, WORD), np.ones(table.height, dtype=bool))


def test_values_become_dense_ids_whatever_they_are_called():
    given = data(gran_3=["7", "1", "7", None, "40"], gran_5=["b", "a", "a", "b", None])
    found = Given(column="gran_{k}").fit(given, [5, 3]).assign(given.attributes)
    assert {k: ids.tolist() for k, ids in found.items()} == {3: [0, 1, 0, -1, 2], 5: [1, 0, 0, 1, -1]}
    later = Given(column="gran_{k}").fit(given, [3]).assign(pl.DataFrame({"gran_3": ["40", "41", None]}))
    assert later[3].tolist() == [2, -1, -1]


def test_one_column_is_one_granularity():
    given = data(theme=["x", "y", "x"])
    assert Given(column="theme").fit(given, [1]).assign(given.attributes)[1].tolist() == [0, 1, 0]
    with pytest.raises(InputError, match=r"clustering\.granularities: 1, 2 are all given by the one column 'theme'"):
        Given(column="theme").fit(given, [1, 2])


def test_a_column_that_is_missing_or_a_list_is_named():
    with pytest.raises(InputError, match=r"'gran_9', which is no attribute that takes part .* There are: gran_3"):
        Given(column="gran_{k}").fit(data(gran_3=["a"]), [3, 9])
    with pytest.raises(InputError, match=r"'gran_3', which is a list"):
        Given(column="gran_3").fit(data(gran_3=[["a"]]), [3])
