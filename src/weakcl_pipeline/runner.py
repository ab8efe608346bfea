"""The runner of `kedro run`: nodes that do not need each other run side by side."""

import logging
import os
import signal
from concurrent.futures import Executor, ThreadPoolExecutor
from threading import current_thread, main_thread
from types import TracebackType
from typing import Any

import torch
from kedro.runner import ThreadRunner

from weakcl_pipeline.contrastive.device import resolve_device
from weakcl_pipeline.contrastive.progress import stop_display
from weakcl_pipeline.images.parallel import set_threads

logger = logging.getLogger(__name__)

_INTERRUPTED = 130  # what shells expect of a process that Ctrl-C ended


class SideBySideRunner(ThreadRunner):
    """Runs nodes in threads, so that trainings on a CPU share its cores instead of each step doing so.

    See benchmarks/side_by_side.py for what that brings. Cores are those that torch may use (OMP_NUM_THREADS); each node
    gets an equal share of them, even while it runs alone, since their number decides how sums are rounded. Where there
    is a GPU, or one core, nodes run one after another.

    Args:
        max_workers: Nodes at a time; by default one for each core, at most four, and one where there is a GPU. Another
            number changes the threads of a node, and so the last bits of what it computes.
        is_async: Without effect, as for Kedro's `ThreadRunner`.
    """

    def __init__(self, max_workers: int | None = None, is_async: bool = False) -> None:
        cores = torch.get_num_threads()  # as the environment allows, see OMP_NUM_THREADS
        side_by_side = min(cores, 4) if resolve_device("auto").type == "cpu" else 1
        super().__init__(max_workers or side_by_side, is_async)
        self._threads = max(1, cores // self._max_workers)

    def _get_executor(self, max_workers: int) -> Executor:
        return _Pool(max_workers, initializer=set_threads, initargs=(self._threads,))

    def _run(self, *args: Any, **kwargs: Any) -> None:
        before = torch.get_num_threads()
        torch.set_num_threads(self._threads)
        _let_interrupts_wake_the_main_thread()
        try:
            super()._run(*args, **kwargs)
        except KeyboardInterrupt:
            # Python would wait for the threads, minutes long. Artifacts and checkpoints bear being cut off.
            stop_display()
            logger.warning("Interrupted. The same command goes on from the last checkpoints.")
            logging.shutdown()
            os._exit(_INTERRUPTED)
        finally:
            torch.set_num_threads(before)


def _let_interrupts_wake_the_main_thread() -> None:
    """Put Python's signal handler back: that of polars 2 leaves the main thread asleep while it waits for others."""
    if current_thread() is main_thread():
        signal.signal(signal.SIGINT, signal.getsignal(signal.SIGINT))


class _Pool(ThreadPoolExecutor):
    """Starts nothing new once a node has failed."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None and issubclass(kind, Exception):
            logger.warning("Waiting for the nodes that still run; what they make is kept")
        self.shutdown(wait=kind is None or issubclass(kind, Exception), cancel_futures=kind is not None)
