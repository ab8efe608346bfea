import logging

from kedro.pipeline import Node

from weakcl_pipeline.hooks import ProgressHook


def test_a_node_is_announced_timed_and_what_it_measured_is_told_with_its_method(caplog):
    hook, node = ProgressHook(), Node(lambda: None, None, "attribute.metrics", name="attribute.evaluate")
    found = {"linear_probe": {"accuracy": 0.683}, "knn": {"accuracy": 0.695}}
    with caplog.at_level(logging.INFO, logger="weakcl_pipeline"):
        hook.before_node_run(node)
        hook.after_node_run(node, {"attribute.metrics": {"labels": {"group": found}}, "attribute.predictions": None})
    announced, timed, measured = caplog.messages
    assert announced == "attribute.evaluate ..."
    assert timed.startswith("attribute.evaluate took 0.")
    assert measured == "attribute: group, linear probe 68.3%, k-NN 69.5%"


def test_a_guess_has_no_probes_to_tell_of(caplog):
    hook, node = ProgressHook(), Node(lambda: None, None, "majority.metrics", name="majority.evaluate")
    with caplog.at_level(logging.INFO, logger="weakcl_pipeline"):
        hook.before_node_run(node)
        hook.after_node_run(node, {"majority.metrics": {"labels": {"group": {"majority": {"accuracy": 0.2}}}}})
    assert len(caplog.messages) == 2
