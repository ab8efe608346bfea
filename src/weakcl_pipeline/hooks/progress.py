"""The hook that says how far a run is, and at its end where its results are."""

import logging
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from weakcl_pipeline.datasets import AtomicDataset
from weakcl_pipeline.evaluation.probes import LINEAR, by_probe, probe_title, share_of

logger = logging.getLogger(__name__)

_RESULTS = ("metrics", "comparison", "report")  # in the order in which they are announced


class ProgressHook:
    """One line when a node starts, one when it ends, and the paths of what people look for at the end.

    When a node started is kept by the run's id, since sessions of one process may run the same node at once.
    """

    def __init__(self) -> None:
        self._started: dict[tuple[str | None, str], float] = {}

    @hook_impl
    def before_node_run(self, node: Node, run_id: str | None) -> None:
        """Announce the node."""
        self._started[run_id, node.name] = perf_counter()
        logger.info("%s ...", node.name)

    @hook_impl
    def after_node_run(self, node: Node, outputs: dict[str, Any], run_id: str | None) -> None:
        """Say how long it took, and what it measured."""
        logger.info("%s took %s", node.name, _duration(perf_counter() - self._started.pop((run_id, node.name))))
        for name, data in outputs.items():
            if name.endswith(".metrics"):
                _log_accuracies(name.removesuffix(".metrics"), data.get("labels", {}))

    @hook_impl
    def on_node_error(self, node: Node, run_id: str | None) -> None:
        """Name the node that failed; the error itself is reported once, by the command."""
        self._started.pop((run_id, node.name), None)
        logger.error("%s failed", node.name)

    @hook_impl
    def after_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: DataCatalog) -> None:
        """Say where the report and the figures are, if this run wrote them, or why it wrote nothing."""
        outputs = {name: catalog.get(name) for name in sorted(pipeline.all_outputs())}
        made = {
            name: dataset
            for name, dataset in outputs.items()
            if isinstance(dataset, AtomicDataset) and dataset.resolve_load_version() == run_params["run_id"]
        }
        for kind in _RESULTS:
            for name, dataset in made.items():
                if name.split(".")[-1] == kind:
                    logger.info("%s: %s", name, _relative(dataset.path))
        if not made and run_params.get("only_missing_outputs"):
            logger.info("Nothing was run: all outputs are there, whatever parameters they were made with")


def _log_accuracies(method: str, labels: Mapping[str, Mapping[str, Any]]) -> None:
    for label, found in labels.items():
        if LINEAR.key in found:  # the majority class has no probe
            measured = by_probe(found)
            figures = [f"{_words(probe)} {about['accuracy']:.1%}" for probe, about in measured.items()]
            logger.info("%s: %s, %s", method, label, ", ".join(figures))


def _words(probe: str) -> str:
    share = share_of(probe)
    return f"on {share} of the labels" if share else probe_title(probe)


def _duration(seconds: float) -> str:
    if seconds < 59.95:  # from there on it would be rounded to 60.0
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def _relative(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
