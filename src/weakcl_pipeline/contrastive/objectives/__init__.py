"""The objectives, one per file, found by name."""

from weakcl_pipeline.contrastive.objectives.affinity import AffinityInfoNCE, AffinityInfoNCEConfig
from weakcl_pipeline.contrastive.objectives.attribute_prediction import AttributePrediction, AttributePredictionConfig
from weakcl_pipeline.contrastive.objectives.base import FULL_VIEWS, Batch, Objective, Setting, SideInformation, separate
from weakcl_pipeline.contrastive.objectives.cl_infonce import ClInfoNCE, ClInfoNCEConfig
from weakcl_pipeline.contrastive.objectives.cluster_cross_entropy import ClusterCrossEntropy, ClusterCrossEntropyConfig
from weakcl_pipeline.contrastive.objectives.cmc import Cmc, CmcConfig
from weakcl_pipeline.contrastive.objectives.pcl import Pcl, PclConfig
from weakcl_pipeline.contrastive.objectives.swav import Swav, SwavConfig

OBJECTIVES: dict[str, type[Objective]] = {
    "cl_infonce": ClInfoNCE,
    "affinity": AffinityInfoNCE,
    "cluster_cross_entropy": ClusterCrossEntropy,
    "attribute_prediction": AttributePrediction,
    "cmc": Cmc,
    "pcl": Pcl,
    "swav": Swav,
}

ObjectiveConfig = (
    ClInfoNCEConfig
    | AffinityInfoNCEConfig
    | ClusterCrossEntropyConfig
    | AttributePredictionConfig
    | CmcConfig
    | PclConfig
    | SwavConfig
)

__all__ = [
    "FULL_VIEWS",
    "OBJECTIVES",
    "AffinityInfoNCE",
    "AffinityInfoNCEConfig",
    "AttributePrediction",
    "AttributePredictionConfig",
    "Batch",
    "ClInfoNCE",
    "ClInfoNCEConfig",
    "ClusterCrossEntropy",
    "ClusterCrossEntropyConfig",
    "Cmc",
    "CmcConfig",
    "Objective",
    "ObjectiveConfig",
    "Pcl",
    "PclConfig",
    "Setting",
    "SideInformation",
    "Swav",
    "SwavConfig",
    "separate",
]
