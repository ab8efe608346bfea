"""Strong representations from pictures and side information, as a Kedro project."""

__version__ = "0.1.0"
