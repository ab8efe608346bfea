import os

import pytest

from weakcl_pipeline import hardware


def test_cores_are_those_that_the_process_may_use(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 8}, raising=False)
    assert hardware.cores() == 3


@pytest.mark.parametrize(("counted", "cores"), [(6, 6), (None, 1)])
def test_where_no_affinity_is_known_all_cores_are_taken(monkeypatch, counted, cores):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: counted)
    assert hardware.cores() == cores
