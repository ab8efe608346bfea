from hypothesis import settings

from tests.images.conftest import server

__all__ = ["server"]

# A busy machine must not turn a slow example into a failure, nor one run into another.
settings.register_profile("sources", deadline=None, derandomize=True)
settings.load_profile("sources")
