"""The commands that this package adds to Kedro's, `kedro weakcl ...`; Kedro finds them by their entry point.

Kedro loads this module at each of its commands, so what the commands need is imported once one of them is called.
"""

import click
from kedro.framework.cli.utils import LazyGroup

weakcl = LazyGroup(
    name="weakcl",
    help="Commands of weakcl-pipeline beside `kedro run`.",
    lazy_subcommands={
        "join": "weakcl_pipeline.join.join",
        "new-data": "weakcl_pipeline.new_data.new_data",
    },
)

commands = click.Group(name="weakcl-pipeline", commands=[weakcl])
