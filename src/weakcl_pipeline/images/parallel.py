"""Work on independent chunks in threads that each compute alone.

PyTorch splits every single operation over its threads and makes them wait for each other after it. A chain of many
small operations spends a third of its time there on idle cores, and on cores that another program wants too it can
become ten to fifty times slower, as each of the waits lasts until the scheduler gives the missing core back. Splitting
the work once, by chunks, waits once.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from threading import Barrier, local
from typing import TypeVar

import torch

T = TypeVar("T")

_own = local()


def for_each(function: Callable[[T], None], items: Iterable[T]) -> None:
    """Call a function on every item, in as many threads as PyTorch may use; each call's operations use one thread.

    Args:
        function: Called once per item; the calls must not write to the same memory.
        items: What to work on.
    """
    threads = torch.get_num_threads()
    inference = torch.is_inference_mode_enabled()

    def call(item: T) -> None:
        with torch.inference_mode(inference):  # the mode belongs to the thread
            function(item)

    if threads == 1:
        for item in items:
            call(item)
    else:
        list(_pool(threads).map(call, items))


def set_threads(number: int) -> None:
    """Let PyTorch's operations use so many threads if the calling thread asks for them."""
    torch.get_num_threads()  # a thread's first call resets its number, hence before the next line
    torch.set_num_threads(number)


def _pool(threads: int) -> ThreadPoolExecutor:
    """Return the calling thread's pool, which ends with it: trainings side by side do not wait for each other's."""
    pools: dict[int, ThreadPoolExecutor] = _own.__dict__.setdefault("pools", {})
    if threads not in pools:
        pools[threads] = _start_pool(threads)
    return pools[threads]


def _start_pool(threads: int) -> ThreadPoolExecutor:
    """Return a pool of threads in which PyTorch's operations run serially.

    It does not survive a fork, but neither do PyTorch's own threads: a forked process must set their number to one, as
    a DataLoader's workers do, and then no pool is used.
    """
    started = Barrier(threads)

    def compute_alone() -> None:
        set_threads(1)
        started.wait()

    pool = ThreadPoolExecutor(threads, thread_name_prefix="augment", initializer=compute_alone)
    wait([pool.submit(int) for _ in range(threads)])  # the barrier keeps all busy, so that each one starts a thread
    torch.set_num_threads(threads)  # what a thread sets for itself is also the default of threads to come
    return pool
