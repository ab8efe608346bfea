"""Contrastive learning on clusters: objectives, encoders, batches, k-means and the trainer."""

from weakcl_pipeline.attributes.kmeans import kmeans
from weakcl_pipeline.contrastive.device import DeviceConfig
from weakcl_pipeline.contrastive.embedding import EmbeddingJob, embed, embed_views
from weakcl_pipeline.contrastive.encoder import Encoder, EncoderConfig, EncoderState, load_encoder
from weakcl_pipeline.contrastive.launchers import launch
from weakcl_pipeline.contrastive.objectives import OBJECTIVES, ClInfoNCE, ClInfoNCEConfig, SideInformation, separate
from weakcl_pipeline.contrastive.positives import (
    CompletedPositives,
    FixedPositives,
    IterativeConfig,
    IterativePositives,
)
from weakcl_pipeline.contrastive.sampler import SamplerConfig, draw_batches, partner_share
from weakcl_pipeline.contrastive.trainer import TrainingConfig, TrainingResult, train

__all__ = [
    "OBJECTIVES",
    "ClInfoNCE",
    "ClInfoNCEConfig",
    "CompletedPositives",
    "DeviceConfig",
    "EmbeddingJob",
    "Encoder",
    "EncoderConfig",
    "EncoderState",
    "FixedPositives",
    "IterativeConfig",
    "IterativePositives",
    "SamplerConfig",
    "SideInformation",
    "TrainingConfig",
    "TrainingResult",
    "draw_batches",
    "embed",
    "embed_views",
    "kmeans",
    "launch",
    "load_encoder",
    "partner_share",
    "separate",
    "train",
]
