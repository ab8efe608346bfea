import os

from joblib.externals.loky.backend import context

from weakcl_pipeline import hardware


def test_cores_are_those_that_the_process_may_use(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 8}, raising=False)
    assert hardware.cores() == 3


def test_the_quota_of_a_container_bounds_the_cores(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    monkeypatch.setattr(context, "_cpu_count_cgroup", lambda _: 2)
    assert hardware.cores() == 2
