"""Random numbers that come from (seed, purpose), never from where the process happened to be.

Because every stream is named, a run that was killed and resumed draws the same numbers as one that was not.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

import numpy as np
import torch

_GLOBAL_GENERATOR = RLock()


def derive_seed(seed: int, *purpose: str | int) -> int:
    """Hash a run's seed and a purpose, for instance ``("augmentation", epoch)``, to an independent 63-bit seed."""
    digest = hashlib.blake2b(repr((seed, *purpose)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def numpy_generator(seed: int, *purpose: str | int) -> np.random.Generator:
    """Return the NumPy generator of a purpose."""
    return np.random.default_rng(derive_seed(seed, *purpose))


def torch_generator(seed: int, *purpose: str | int) -> torch.Generator:
    """Return the CPU torch generator of a purpose."""
    return torch.Generator().manual_seed(derive_seed(seed, *purpose))


@contextmanager
def seeded_torch(seed: int, *purpose: str | int) -> Iterator[None]:
    """Give code that draws from torch's global generator (initialisation, dropout) the stream of a purpose.

    The global state is put back afterwards. There is one for all threads, so another thread that wants it waits.
    """
    devices = list(range(torch.cuda.device_count()))
    with _GLOBAL_GENERATOR, torch.random.fork_rng(devices=devices):
        torch.manual_seed(derive_seed(seed, *purpose))
        yield
