import pytest
import torch
import torch.nn.functional as F

from weakcl_pipeline.contrastive import ClInfoNCE, ClInfoNCEConfig
from weakcl_pipeline.contrastive.objectives import AffinityInfoNCE, Cmc, CmcConfig

IDS = torch.arange(12) % 4
INSIDE_LOG = ClInfoNCEConfig(mean_over_positives="inside_log")


def of_attributes(z):
    torch.manual_seed(0)
    return Cmc(CmcConfig(picture_weight=0), n_attributes=3, output_dim=8)(z, F.one_hot(IDS[:6] % 3).float())


LOSSES = {
    "partition functions in tiles": lambda z: ClInfoNCE()(z, IDS),
    "blocks of anchors": lambda z: ClInfoNCE(INSIDE_LOG)(z, IDS),
    "two modalities": of_attributes,
    "affinities": lambda z: AffinityInfoNCE()(z, IDS[:6], lambda a, b: (a[:, None] == b).float()),
}


def embeddings():
    z = torch.randn(12, 8, generator=torch.Generator().manual_seed(0))
    return F.normalize(z, dim=1).requires_grad_()


@pytest.mark.parametrize("name", LOSSES)
def test_a_second_derivative_is_refused(name):
    z = embeddings()
    with pytest.raises(RuntimeError, match="differentiable once"):
        torch.autograd.grad(LOSSES[name](z), z, create_graph=True)


@pytest.mark.parametrize("name", LOSSES)
def test_a_backward_pass_within_autocast_is_computed_in_float32(name):
    z = embeddings()
    (expected,) = torch.autograd.grad(LOSSES[name](z), z)
    with torch.autocast("cpu", torch.bfloat16):
        (gradient,) = torch.autograd.grad(LOSSES[name](z), z)
    assert torch.equal(gradient, expected)
