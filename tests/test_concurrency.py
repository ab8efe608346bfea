"""Sessions at the same time: each reads what it made itself, and what was there when it began."""

import time

import pytest
from kedro.runner import SequentialRunner, ThreadRunner


@pytest.fixture
def waiting(standin):
    """Start a run that waits at the end of its training; return it with a function that lets it go on."""
    gate = standin.path / "gate"
    processes = []

    def start(*words: str):
        processes.append(standin.start(*words, f"--params=training.wait_for={gate}"))
        checkpoint = standin.path / "data/06_models/attribute/checkpoints/key"
        deadline = time.monotonic() + 120
        while not checkpoint.exists():
            assert processes[-1].poll() is None, processes[-1].communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return processes[-1]

    yield start, gate.touch
    for process in processes:
        process.kill()
        process.communicate()


def finish(process) -> None:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err


def test_two_full_runs_keep_their_own_lineages(standin, waiting):
    start, release = waiting
    first = start()
    began = standin.versions("clusters")[0]
    second = standin.run("full", params={"clustering": {"count": 7}})  # from beginning to end meanwhile
    release()
    finish(first)
    assert standin.versions("report") == [second, began]
    for run in (began, second):
        for name in ("attribute.encoder", "attribute.metrics", "report"):
            ancestry = {
                key: value for key, value in standin.lineage(name, run).ancestry.items() if key != "raw_samples"
            }
            assert set(ancestry.values()) == {run}
    assert standin.lineage("report", began).hash != standin.lineage("report", second).hash


def test_a_run_reads_what_was_newest_when_it_began(standin, waiting):
    start, release = waiting
    old = standin.run("full")
    process = start("--pipelines=training,evaluation")  # `clusters` is read again by its last node
    standin.run("clustering", params={"clustering": {"count": 7}})
    release()
    finish(process)
    lineage = standin.lineage("report")
    assert lineage.run_id == standin.versions("attribute.encoder")[0] != old
    assert lineage.ancestry["clusters"] == old


@pytest.mark.parametrize("runner", [lambda: ThreadRunner(max_workers=2), lambda: SequentialRunner(is_async=True)])
def test_threads_do_not_mix_lineages(standin, runner):
    run = standin.run("full", runner=runner())
    for name, node in {"samples": "accept_samples", "ingestion_summary": "count_pictures"}.items():
        lineage = standin.lineage(name)
        assert (lineage.dataset, lineage.node, lineage.version) == (name, node, run)
    assert set(standin.lineage("ingestion_summary").inputs) == {"raw_samples", "sample_table"}
    assert list((standin.path / "data/06_models/attribute/checkpoints").iterdir()) == []
