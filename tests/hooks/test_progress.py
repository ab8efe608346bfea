import logging

import pytest
from kedro.io import DataCatalog, Version
from kedro.pipeline import Node, Pipeline

from weakcl_pipeline.datasets import AtomicDataset
from weakcl_pipeline.hooks import ProgressHook, progress


def test_a_node_is_announced_timed_and_what_it_measured_is_told_with_its_method(caplog):
    hook, node = ProgressHook(), Node(lambda: None, None, "attribute.metrics", name="attribute.evaluate")
    few = {"1%": {"accuracy": 0.506}, "10%": {"accuracy": 0.639}}
    found = {"linear_probe": {"accuracy": 0.683}, "knn": {"accuracy": 0.695}, "few_label": few}
    with caplog.at_level(logging.INFO, logger="weakcl_pipeline"):
        hook.before_node_run(node, "r")
        hook.after_node_run(
            node, {"attribute.metrics": {"labels": {"group": found}}, "attribute.predictions": None}, "r"
        )
    announced, timed, measured = caplog.messages
    assert announced == "attribute.evaluate ..."
    assert timed.startswith("attribute.evaluate took 0.")
    figures = "linear probe 68.3%, k-NN 69.5%, on 1% of the labels 50.6%, on 10% of the labels 63.9%"
    assert measured == f"attribute: group, {figures}"


def test_a_guess_has_no_probes_to_tell_of(caplog):
    hook, node = ProgressHook(), Node(lambda: None, None, "majority.metrics", name="majority.evaluate")
    with caplog.at_level(logging.INFO, logger="weakcl_pipeline"):
        hook.before_node_run(node, "r")
        hook.after_node_run(node, {"majority.metrics": {"labels": {"group": {"majority": {"accuracy": 0.2}}}}}, "r")
    assert len(caplog.messages) == 2


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.04, "0.0 s"), (59.94, "59.9 s"), (59.96, "1 min 0 s"), (179.7, "3 min 0 s"), (3605, "60 min 5 s")],
)
def test_times_are_never_told_as_sixty_seconds(seconds, told, monkeypatch, caplog):
    clock = iter([100.0, 100.0 + seconds])
    monkeypatch.setattr(progress, "perf_counter", lambda: next(clock))
    hook, node = ProgressHook(), Node(lambda: None, None, "supervised.encoder", name="supervised.train")
    with caplog.at_level(logging.INFO, logger="weakcl_pipeline"):
        hook.before_node_run(node, "r")
        hook.after_node_run(node, {}, "r")
    assert caplog.messages[-1] == f"supervised.train took {told}"


def test_sessions_that_run_the_same_node_at_once_have_times_of_their_own(monkeypatch, caplog):
    clock = iter([100.0, 103.0, 104.0, 105.0])
    monkeypatch.setattr(progress, "perf_counter", lambda: next(clock))
    hook, node = ProgressHook(), Node(lambda: None, None, "supervised.encoder", name="supervised.train")
    with caplog.at_level(logging.INFO, logger="weakcl_pipeline"):
        for run in ("first", "second"):
            hook.before_node_run(node, run)
        for run in ("first", "second"):
            hook.after_node_run(node, {}, run)
    assert caplog.messages[2:] == ["supervised.train took 4.0 s", "supervised.train took 2.0 s"]


@pytest.mark.parametrize("there", [False, True])
def test_a_run_without_anything_to_make_says_so(there, tmp_path, caplog):
    inner = {"type": "json.JSONDataset"}
    artifact = AtomicDataset(
        filepath=(tmp_path / "a").as_posix(), file="a.json", dataset=inner, version=Version(None, "2026")
    )
    artifact.save({})
    run_params = {"run_id": "2027" if there else "2026", "only_missing_outputs": True}
    pipeline = Pipeline([Node(lambda: {}, None, "a", name="make")])
    with caplog.at_level(logging.INFO, logger="weakcl_pipeline"):
        ProgressHook().after_pipeline_run(run_params, pipeline, DataCatalog({"a": artifact}))
    message = "Nothing was run: all outputs are there, whatever parameters they were made with"
    assert caplog.messages == ([message] if there else [])
