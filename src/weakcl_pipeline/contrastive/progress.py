"""The progress bars of trainings, on the console that the log is written to."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from threading import Lock

from rich import get_console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class _Display:
    """One display for all trainings of the process: a console has room for one, and threads may train side by side."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._users = 0
        self._progress: Progress | None = None

    @contextmanager
    def shared(self) -> Iterator[Progress]:
        with self._lock:
            if self._progress is None:
                self._progress = _create()
                self._progress.start()
            progress = self._progress
            self._users += 1
        try:
            yield progress
        finally:
            with self._lock:
                self._users -= 1
                if self._users == 0:
                    progress.stop()
                    self._progress = None

    def stop(self) -> None:
        progress = self._progress
        if progress is not None:
            progress.stop()


_display = _Display()


def training_progress() -> AbstractContextManager[Progress]:
    """Show progress bars while the block runs; silent where the output is no terminal.

    They share rich's global console with Kedro's log handler, so that log lines appear above the bars instead of
    tearing them apart.
    """
    return _display.shared()


@contextmanager
def silent() -> Iterator[Progress]:
    """Show nothing, for all workers of a training but the one that leads."""
    yield _create(disable=True)


def stop_display() -> None:
    """Take the bars away and give the cursor back, for a process that ends without waiting for its trainings."""
    _display.stop()


def _create(*, disable: bool = False) -> Progress:
    console = get_console()
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.3f}"),
        TextColumn("{task.fields[images_per_second]:,.0f} images/s"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=disable or not console.is_terminal,
    )
