import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from weakcl_pipeline.contrastive.tiles import by_anchor_blocks


def numbers(similarities, anchors):
    """Something that depends on all of an anchor's similarities, and on the places of both sides."""
    places = torch.arange(similarities.shape[1], dtype=similarities.dtype)
    return (similarities.sin() * places).sum(dim=1) * places[anchors]


@given(n=st.integers(1, 40), dim=st.integers(1, 6), tile=st.integers(1, 45), seed=st.integers(0, 2**31))
@settings(deadline=None, max_examples=60)
def test_blocks_of_any_size_give_what_all_rows_give_at_once(n, dim, tile, seed):
    z = torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).requires_grad_()
    weights = torch.rand(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    result, whole = by_anchor_blocks(numbers, z, tile=tile), numbers(z @ z.T, slice(0, n))
    (gradient,) = torch.autograd.grad((result * weights).sum(), z)
    (whole_gradient,) = torch.autograd.grad((whole * weights).sum(), z)
    torch.testing.assert_close(result, whole)
    torch.testing.assert_close(gradient, whole_gradient)


@pytest.mark.parametrize(
    ("n", "dim", "sizes"),
    [
        (10, 2, [3, 3, 3, 1]),  # 3 x 10 is the most that fits 6 x 6
        (10, 4, [4, 4, 2]),  # no fewer than the dimensions
        (5, 2, [5]),
    ],
)
def test_blocks_fill_a_tile_in_both_passes(n, dim, sizes):
    seen = []

    def record(similarities, anchors):
        seen.append(len(range(n)[anchors]))
        assert similarities.shape == (seen[-1], n)
        return similarities.sum(dim=1)

    result = by_anchor_blocks(record, torch.ones(n, dim, requires_grad=True), tile=6)
    assert seen == sizes
    result.sum().backward()
    assert seen == sizes * 2


def test_no_rows_are_kept_between_the_passes():
    kept = []

    def pack(tensor):
        kept.append(tensor.shape)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        by_anchor_blocks(numbers, torch.ones(12, 3, requires_grad=True), tile=6)
    assert kept == [(12, 3)]
