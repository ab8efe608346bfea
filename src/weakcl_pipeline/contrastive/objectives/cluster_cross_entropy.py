"""Cluster cross-entropy: a linear classifier on the features predicts each view's cluster."""

from typing import Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from weakcl_pipeline.config import Config
from weakcl_pipeline.contrastive.objectives.base import Batch, Objective, Setting
from weakcl_pipeline.errors import InputError


class ClusterCrossEntropyConfig(Config):
    """Parameters of :class:`ClusterCrossEntropy`.

    Attributes:
        name: The objective.
        label_smoothing: The share of the target that is spread evenly over all clusters; 0 in the authors' code.
    """

    name: Literal["cluster_cross_entropy"] = "cluster_cross_entropy"
    label_smoothing: float = Field(default=0, ge=0, lt=1)


class ClusterCrossEntropy(Objective):
    r"""The baseline of Tsai et al., "Learning Weakly-Supervised Contrastive Representations" (ICLR 2022).

    It asks of the clusters what a supervised classifier asks of classes. With features h of the K clusters' linear
    classifier, :math:`p_i = \operatorname{softmax}(W h_i + b)`, and c(i) the cluster of view i,

    .. math:: L = \operatorname{mean}_{i : c(i) \ge 0} \Bigl[ -(1 - \varepsilon) \log p_{i, c(i)}
              - \frac{\varepsilon}{K} \sum_{k=1}^K \log p_{i k} \Bigr]

    with label smoothing :math:`\varepsilon` (Szegedy et al., "Rethinking the Inception Architecture", CVPR 2016).
    As in the authors' code, the classifier sits on the backbone's features, without a projection head. A view without
    a cluster adds nothing, which leaves the mean to the others.

    Args:
        config: Label smoothing.
        feature_dim: Width F of the features.
        n_clusters: The number of clusters K.

    Raises:
        ValueError: If there is no cluster.
    """

    trains_head = False

    def __init__(self, config: ClusterCrossEntropyConfig, feature_dim: int, n_clusters: int) -> None:
        if n_clusters < 1:
            msg = f"expected at least one cluster to predict, got {n_clusters}"
            raise ValueError(msg)
        super().__init__()
        self.config = config
        self.classifier = nn.Linear(feature_dim, n_clusters)

    @classmethod
    def build(cls, config: ClusterCrossEntropyConfig, setting: Setting) -> Self:
        """Build the classifier of the train split's clusters.

        Raises:
            InputError: If no sample has one.
        """
        n_clusters = int(setting.clusters.max(initial=-1)) + 1
        if not n_clusters:
            msg = (
                "cluster_cross_entropy: no sample of the train split has a cluster to predict. Lower"
                " clustering.granularity, or take another clustering.rule"
            )
            raise InputError(msg)
        return cls(config, setting.encoder.feature_dim, n_clusters)

    def loss(self, batch: Batch) -> Tensor:
        """Compute the loss of a batch from its features and the clusters of its samples."""
        loss: Tensor = self(batch.features, batch.per_view(batch.clusters))
        return loss

    def forward(self, features: Tensor, clusters: Tensor) -> Tensor:
        """Compute the loss of a batch.

        Args:
            features: The backbone's features of all views, float (N, F); computed in the classifier's dtype, which is
                float32 unless it was converted.
            clusters: The cluster of each view, int64 (N,), below K; negative where it has none.

        Returns:
            The loss in nats, a scalar; 0 where no view has a cluster.

        Raises:
            ValueError: If the shapes do not belong together.
        """
        width = self.classifier.in_features
        if features.ndim != 2 or features.shape[1] != width or clusters.shape != features.shape[:1]:
            msg = (
                f"expected features (N, {width}) and clusters (N,), got {tuple(features.shape)} and "
                f"{tuple(clusters.shape)}"
            )
            raise ValueError(msg)
        with torch.autocast(features.device.type, enabled=False):
            logits = self.classifier(features.to(self.classifier.weight.dtype))
            total = F.cross_entropy(
                logits,
                clusters.clamp(min=-1),
                ignore_index=-1,
                reduction="sum",  # the mean of no view at all would be NaN
                label_smoothing=self.config.label_smoothing,
            )
            return total / (clusters >= 0).sum().clamp(min=1)
