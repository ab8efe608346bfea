"""``python -m weakcl_pipeline`` and the script ``weakcl-pipeline``: `kedro run` without Kedro's command."""

import sys
from pathlib import Path
from typing import Any

from kedro.framework.cli.utils import find_run_command
from kedro.framework.project import configure_project


def main(*args: Any, **kwargs: Any) -> Any:
    """Run a pipeline of the project in the current directory; the options are those of `kedro run`."""
    package = Path(__file__).parent.name
    configure_project(package)
    kwargs.setdefault("standalone_mode", not hasattr(sys, "ps1"))  # in an interactive session, do not exit
    return find_run_command(package)(*args, **kwargs)


if __name__ == "__main__":
    main()
