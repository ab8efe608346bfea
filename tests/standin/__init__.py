"""A project with the real catalog, hooks and settings, but nodes that take no time.

It lets the tests of what happens *around* nodes make many runs. The real pipelines have tests of their own.
"""
