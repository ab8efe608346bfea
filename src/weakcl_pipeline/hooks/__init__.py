"""What happens around a run: parameters checked, pictures found, lineage kept, progress told, checkpoints removed."""

from weakcl_pipeline.hooks.checkpoints import CheckpointsHook
from weakcl_pipeline.hooks.lineage import LineageHook
from weakcl_pipeline.hooks.parameters import ParametersHook
from weakcl_pipeline.hooks.pictures import PicturesHook
from weakcl_pipeline.hooks.progress import ProgressHook

__all__ = ["CheckpointsHook", "LineageHook", "ParametersHook", "PicturesHook", "ProgressHook"]
