"""What is fuzzed: the reader of every official format, of every format of tables, of archives and of pictures."""

from tests.fuzz import official, pictures, tables
from tests.fuzz.trial import Target

TARGETS: dict[str, Target] = official.TARGETS | tables.TARGETS | pictures.TARGETS
"""Name -> target."""
