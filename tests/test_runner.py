"""`kedro run` runs what can be run side by side, gives each node the same threads, and stops when asked to."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Node, Pipeline
from kedro.runner import SequentialRunner

from weakcl_pipeline.runner import SideBySideRunner


def run(runner, *nodes):
    pipeline = Pipeline(list(nodes))
    catalog = DataCatalog({name: MemoryDataset() for name in pipeline.datasets()})
    catalog.save("start", 0)
    return runner.run(pipeline, catalog)


def node(function, name):
    return Node(function, "start", name, name=name)


def test_nodes_meet_and_each_has_its_share_of_the_cores(two_threads):
    meeting, threads = threading.Barrier(2, timeout=20), []

    def meet(_):
        meeting.wait()
        threads.append(torch.get_num_threads())
        return 1

    run(SideBySideRunner(), node(meet, "first"), node(meet, "second"))
    assert threads == [1, 1]
    assert torch.get_num_threads() == 2


def test_a_node_alone_has_the_same_share(two_threads):
    threads = []
    run(SideBySideRunner(), node(lambda _: threads.append(torch.get_num_threads()) or 1, "only"))
    assert threads == [1]


def test_a_node_has_its_share_whatever_others_do_to_the_default(two_threads):
    torch.set_num_threads(4)
    meeting, threads = threading.Barrier(2, timeout=20), []

    def change_the_default(_):
        changing = threading.Thread(target=torch.set_num_threads, args=(1,))
        changing.start()
        changing.join()
        return 1

    def meet(_):  # so one of the two runs in a thread that is new
        meeting.wait()
        threads.append(torch.get_num_threads())
        return 1

    later = [Node(meet, "changed", name, name=name) for name in ("one", "two")]
    run(SideBySideRunner(max_workers=2), node(change_the_default, "changed"), *later)
    assert threads == [2, 2]


def test_with_a_gpu_nodes_run_one_after_another(two_threads, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    running, most, threads = [], [], []

    def note(_):
        running.append(1)
        most.append(len(running))
        threads.append(torch.get_num_threads())
        time.sleep(0.05)
        running.pop()
        return 1

    run(SideBySideRunner(), *(node(note, str(i)) for i in range(3)))
    assert (most, threads) == ([1, 1, 1], [2, 2, 2])


def test_after_an_error_nothing_new_is_started_and_what_runs_is_finished(two_threads):
    running, failed, done = threading.Event(), threading.Event(), []

    def fail(_):
        running.wait(20)
        failed.set()
        raise ValueError("bad")

    def go_on(_):
        running.set()
        failed.wait(20)
        time.sleep(0.2)
        done.append("running")
        return 1

    def wait_in_line(_):
        done.append("waiting")
        return 1

    late = [Node(wait_in_line, "go_on", name, name=name) for name in ("late", "later")]
    with pytest.raises(ValueError, match="bad"):
        run(SideBySideRunner(), node(fail, "fail"), node(go_on, "go_on"), *late)
    assert done == ["running"]
    assert torch.get_num_threads() == 2


def test_an_interrupted_run_ends_at_once_and_goes_on_later(standin):
    process = standin.start("--params=training.wait_for=never")
    checkpoint = standin.path / "data/06_models/attribute/checkpoints/key/epoch.txt"
    deadline = time.monotonic() + 60
    while not checkpoint.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert time.monotonic() - began < 20
    assert process.returncode == 130
    assert "The same command goes on from the last checkpoints" in out + err
    assert "Traceback" not in out + err
    assert standin.versions("samples")
    assert standin.versions("attribute.encoder") == []
    assert standin.kedro().returncode == 0


INTERRUPTED_TRAINING = """
import os, signal, time
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Node, Pipeline
from weakcl_pipeline.contrastive.progress import training_progress
from weakcl_pipeline.runner import SideBySideRunner

def train(_):
    with training_progress() as progress:
        progress.add_task("training", total=9, loss=0, images_per_second=0)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(60)

SideBySideRunner(max_workers=2).run(Pipeline([Node(train, "start", "end")]), DataCatalog({"start": MemoryDataset(0)}))
"""


def test_an_interrupted_run_gives_the_cursor_back():
    terminal = {**os.environ, "FORCE_COLOR": "1", "TERM": "xterm"}
    command = [sys.executable, "-c", INTERRUPTED_TRAINING]
    process = subprocess.run(command, check=False, env=terminal, capture_output=True, text=True, timeout=50)
    assert process.returncode == 130
    hidden, shown = (process.stdout.rfind(f"\x1b[?25{code}") for code in "lh")
    assert -1 < hidden < shown


@pytest.mark.skipif(os.cpu_count() < 2, reason="needs two cores")
def test_trainings_side_by_side_are_those_one_after_another(full_run, tmp_path, two_threads):
    torch.set_num_threads(1)
    one = full_run.copy(tmp_path / "one")
    alone = one.run("training", "iterative", runner=SequentialRunner())
    together = one.run("training", "iterative", runner=SideBySideRunner(max_workers=2))
    for method in ("self_supervised", "attribute", "iterative", "supervised"):
        hashes = [one.lineage(f"{method}.encoder", version).hash for version in (alone, together)]
        assert hashes[0] == hashes[1]


def children_of(pid):
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            parent = file.read_text().rsplit(")", 1)[1].split()[1]
            found += [int(file.parent.name)] if int(parent) == pid else []
    return found


def test_an_interrupted_run_takes_its_workers_along(full_run, tmp_path):
    project = full_run.copy(tmp_path / "project")
    launcher = "training.epochs=999,training.launcher.kind=torchrun,training.launcher.workers=2"
    process = project.start("--pipelines=training", "--nodes=attribute.train", f"--params={launcher}")
    for line in process.stderr:
        if "attribute: epoch 1 of 999" in line:
            break
    helpers = children_of(process.pid)  # of Python's multiprocessing, one of which forks the workers
    workers = [worker for helper in helpers for worker in children_of(helper)]
    assert len(workers) == 2
    process.send_signal(signal.SIGINT)
    try:
        process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    deadline = time.monotonic() + 30
    while (left := [pid for pid in helpers + workers if Path(f"/proc/{pid}").exists()]) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not left
