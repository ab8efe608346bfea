"""A validation split for data that come without one."""

from collections.abc import Iterable

from weakcl_pipeline.sources.splits import point


def held_out(ids: Iterable[str], share: float) -> list[bool]:
    """Say which samples are held out: about a share of them, by a hash of their ids.

    Whether a sample is held out depends on its own id and the share alone, so it stays where it is when others come or
    go, and one that is held out at a small share is so at a larger one.

    Args:
        ids: The samples' ids.
        share: Between 0 and 1.
    """
    return [point(name) < share for name in ids]
