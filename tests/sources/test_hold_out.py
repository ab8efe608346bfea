from hypothesis import given
from hypothesis import strategies as st

from weakcl_pipeline.sources.hold_out import held_out

IDS = st.lists(st.text(max_size=8), max_size=30)
MANY = [str(number) for number in range(20_000)]


def test_what_is_held_out_never_changes():
    """Splits of data sets that people have trained on rest on it; the figures are those of b2sum -l 48."""
    found = [name for name, out in zip(MANY[:30], held_out(MANY[:30], 0.2), strict=True) if out]
    assert found == ["2", "12", "13", "16", "17", "19", "24", "28", "29"]


def test_the_share_is_met():
    for share in (0.0, 0.1, 0.3, 0.9, 1.0):
        assert abs(sum(held_out(MANY, share)) / len(MANY) - share) < 0.01
    assert not any(held_out(MANY, 0.0))
    assert all(held_out(MANY, 1.0))


@given(IDS, IDS, st.floats(0, 1), st.floats(0, 1))
def test_other_ids_their_order_and_a_larger_share_do_not_bring_any_back(ids, others, share, more):
    alone = dict(zip(ids, held_out(ids, share), strict=True))
    among = [*others, *reversed(ids)]
    together = dict(zip(among, held_out(among, max(share, more)), strict=True))
    assert all(together[name] for name in ids if alone[name])
    again = dict(zip(among, held_out(among, share), strict=True))
    assert all(again[name] == alone[name] for name in ids)
