"""A training's progress bar, on the console that the log is written to."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich import get_console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def training_progress() -> Iterator[Progress]:
    """Show a progress bar while the block runs; silent where the output is no terminal.

    It shares rich's global console with Kedro's log handler, so that log lines appear above the bar instead of
    tearing it apart.
    """
    console = get_console()
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.3f}"),
        TextColumn("{task.fields[images_per_second]:,.0f} images/s"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        yield progress
