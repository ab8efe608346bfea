"""Settings of the Kedro project: https://docs.kedro.org/en/stable/configure/configuration_basics/."""

import warnings

import rich

from weakcl_pipeline.config_loader import ConfigLoader
from weakcl_pipeline.hooks import CheckpointsHook, LineageHook, ParametersHook, PicturesHook, ProgressHook

HOOKS = (ParametersHook(), PicturesHook(), LineageHook(), CheckpointsHook(), ProgressHook())

# Nothing of a run is reported to anybody.
DISABLE_HOOKS_FOR_PLUGINS = ("kedro-telemetry",)

CONFIG_LOADER_CLASS = ConfigLoader
CONFIG_LOADER_ARGS = {"base_env": "base", "default_run_env": "local"}

# A log file has no width of its own; 80 columns would break paths and commands that are there to be copied.
if not rich.get_console().is_terminal:
    rich.get_console().width = 200

# What Kedro 1.7 itself does and newer libraries deprecate; a user can do nothing about it.
warnings.filterwarnings("ignore", message=r"register_new_resolver\(\) is deprecated", category=UserWarning)
warnings.filterwarnings("ignore", message=".*'model_fields' attribute on the instance", category=DeprecationWarning)

# Names of artifacts with a dot are those of a method's namespace, read by a node outside of it on purpose.
warnings.filterwarnings("ignore", message="One or more dataset names contain", category=UserWarning)
