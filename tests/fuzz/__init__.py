"""Fuzzing of all that reads a user's files: whatever is in them, they are read, or refused with the place.

    python -m tests.fuzz wordnet --seconds 300

needs atheris (`pip install -e '.[fuzz]'`), which goes where the coverage of the readers leads it. Without it, the same
targets are tried with seeded random inputs by test_fuzz.py, and a found input is tried again by

    python -m tests.fuzz wordnet build/fuzz/wordnet/crash-...

To add a target, describe it in targets.py, where all are listed. What is found belongs into tests/broken, or into the
tests of its reader.
"""
