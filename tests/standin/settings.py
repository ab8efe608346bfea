from weakcl_pipeline.settings import (  # noqa: F401
    CONFIG_LOADER_ARGS,
    CONFIG_LOADER_CLASS,
    DISABLE_HOOKS_FOR_PLUGINS,
    HOOKS,
)
