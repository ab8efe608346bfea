import polars as pl
import torch

from weakcl_pipeline.attributes import Affinity, AttributeSpec
from weakcl_pipeline.attributes.affinity import AffinityConfig
from weakcl_pipeline.contrastive.objectives.base import Batch, SideInformation, separate


def test_what_belongs_to_samples_is_repeated_view_by_view():
    z, samples = torch.zeros(6, 2), torch.arange(3)
    batch = Batch(z, z, z, samples, samples)
    assert batch.per_view(samples).tolist() == [0, 1, 2, 0, 1, 2]
    rows = torch.arange(6).reshape(3, 2)
    assert torch.equal(batch.per_view(rows), torch.cat([rows, rows]))


def test_another_affinity_is_other_side_information():
    table = pl.DataFrame({"kind": ["a", "b", "a"], "size": [1.0, 2.0, 5.0]})
    specs = {"kind": AttributeSpec(kind="categorical"), "size": AttributeSpec(kind="continuous")}
    configs = AffinityConfig(), AffinityConfig(weights={"kind": 2.0}), AffinityConfig(width=0.5)
    assert len({SideInformation(affinity=Affinity(table, specs, config)).describe() for config in configs}) == 3


def test_samples_without_a_cluster_share_none():
    clusters = torch.tensor([-1, 3, 3, -1, 0])
    found = separate(clusters)
    assert found[clusters >= 0].tolist() == [3, 3, 0]
    assert len({*found.tolist()}) == 4
