"""The objectives, one per file, found by name."""

from weakcl_pipeline.contrastive.objectives.cl_infonce import ClInfoNCE, ClInfoNCEConfig

OBJECTIVES = {
    "cl_infonce": ClInfoNCE,
}

ObjectiveConfig = ClInfoNCEConfig

__all__ = ["OBJECTIVES", "ClInfoNCE", "ClInfoNCEConfig", "ObjectiveConfig"]
