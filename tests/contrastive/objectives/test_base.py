import polars as pl

from weakcl_pipeline.attributes import Affinity, AttributeSpec
from weakcl_pipeline.attributes.affinity import AffinityConfig
from weakcl_pipeline.contrastive.objectives.base import SideInformation


def test_another_affinity_is_other_side_information():
    table = pl.DataFrame({"kind": ["a", "b", "a"], "size": [1.0, 2.0, 5.0]})
    specs = {"kind": AttributeSpec(kind="categorical"), "size": AttributeSpec(kind="continuous")}
    configs = AffinityConfig(), AffinityConfig(weights={"kind": 2.0}), AffinityConfig(width=0.5)
    assert len({SideInformation(affinity=Affinity(table, specs, config)).describe() for config in configs}) == 3
