"""Random numbers that come from (seed, purpose), never from where the process happened to be.

Because every stream is named, a run that was killed and resumed draws the same numbers as one that was not.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from threading import RLock
from typing import Annotated

import numpy as np
import torch
from pydantic import Field

_GLOBAL_GENERATOR = RLock()

Seed = Annotated[int, Field(strict=True, ge=0, lt=2**63)]
"""The seed of a run, as the parameter of that name has it; tables of seeds hold 64 bits with a sign."""


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
def seeded_torch(seed: int, *purpose: str | int) -> Iterator[Callable[[], bool]]:
    """Give code that draws from torch's global generator (initialisation, dropout) the stream of a purpose.

    The global state is put back afterwards. There is one for all threads, so another thread that wants it waits.

    Yields:
        A function that ends this at once, if nothing has been drawn so far, and leaves the generator to other threads;
        it says whether it did.
    """
    devices = list(range(torch.cuda.device_count()))
    with ExitStack() as stack:
        stack.enter_context(_GLOBAL_GENERATOR)
        stack.enter_context(torch.random.fork_rng(devices=devices))
        torch.manual_seed(derive_seed(seed, *purpose))
        before = _global_states(devices)

        def release_if_unused() -> bool:
            unused = all(torch.equal(old, new) for old, new in zip(before, _global_states(devices), strict=True))
            if unused:
                stack.close()
            return unused

        yield release_if_unused


def _global_states(devices: Sequence[int]) -> list[torch.Tensor]:
    return [torch.get_rng_state(), *(torch.cuda.get_rng_state(device) for device in devices)]
