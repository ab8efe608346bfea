"""Profiling: a first look at raw data that says what its columns are, and writes an environment to run it with."""

from weakcl_pipeline.profiling.data_profile import Column, Profile, profile
from weakcl_pipeline.profiling.environment import environment
from weakcl_pipeline.profiling.joins import find_join
from weakcl_pipeline.profiling.kinds import Guess, Useless, guess_kind

__all__ = ["Column", "Guess", "Profile", "Useless", "environment", "find_join", "guess_kind", "profile"]
