from weakcl_pipeline.cli import cli, run  # noqa: F401
