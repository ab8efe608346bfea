import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from weakcl_pipeline.attributes.rules import combinations
from weakcl_pipeline.attributes.rules.combinations import Combinations, word_names
from weakcl_pipeline.attributes.rules.numbering import look_up, number_by_size


def written(words, k):
    """The first k attributes as text, from words of 62 bits each."""
    return "".join(format(word, "b").zfill(min(62, k - 62 * i)) for i, word in enumerate(words))


@pytest.mark.parametrize("width", [1, 8, 17, 62, 63, 130])
@given(data=st.data())
def test_the_words_of_each_row_are_its_attributes(width, data):
    seed, rows = data.draw(st.integers(0, 2**20)), data.draw(st.integers(0, 40))
    missing, few = data.draw(st.sampled_from([0.0, 0.02, 0.5])), data.draw(st.sampled_from([0, 1 << 16]))
    rng = np.random.default_rng(seed)
    cells = rng.random((rows, width)) < 0.3
    cells[rows // 2 :] = cells[: rows - rows // 2]  # so that combinations repeat
    known = rng.random((rows, width)) >= missing
    binary = pl.DataFrame({f"a{i}": pl.Series(cells[:, i]).set(pl.Series(~known[:, i]), None) for i in range(width)})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(combinations, "_ROWS_AT_ONCE", data.draw(st.integers(1, 50)))
        patch.setattr(combinations, "_PACKED_AT_ONCE", data.draw(st.integers(1, 50)))
        patch.setattr(combinations, "_FEW", few)
        found = Combinations.of(binary)
    assert found.codes.dtype == np.int32
    for k in {1, width, data.draw(st.integers(1, width))}:
        words = found.first(k)
        assert words.columns == word_names(k)
        for row, code in enumerate(found.codes):
            held = words.row(int(code))
            if known[row, :k].all():
                assert written(held, k) == "".join("01"[int(cell)] for cell in cells[row, :k])
            else:
                assert held == (None,) * words.width
        train = rng.random(rows) < 0.6
        keys = words[found.codes.tolist()] if rows else words.clear()
        expected = number_by_size(keys, train)
        numbered, ids = found.numbered(k, train)
        assert_frame_equal(numbered, expected)
        assert ids.tolist() == look_up(keys, expected).tolist()
    assert len(np.unique(found.codes)) == len(found.words)
