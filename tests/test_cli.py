"""What a user sees of `kedro run`."""

import errno
import logging
import shutil

import click
import pytest
import yaml
from click.testing import CliRunner
from kedro.framework.cli.project import run as kedro_run
from kedro.io import DatasetError

from weakcl_pipeline import cli
from weakcl_pipeline.datasets import staging
from weakcl_pipeline.errors import InputError


@pytest.fixture
def run(standin):
    def invoke(*words: str):
        with standin.entered():
            return CliRunner().invoke(cli.run, list(words))

    return invoke


def test_all_of_kedros_options_are_there():
    names = {option.name for option in cli.run.params}
    assert names == {option.name for option in kedro_run.params} | {"verbose"}
    assert cli.cli.commands["run"] is cli.run


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--params=sed=1"], "sed: there is no such parameter. Did you mean seed?"),
        (["--params=training.epocs=1"], "training.epocs: there is no such parameter. Did you mean training.epochs?"),
        (["--params=seed=abc"], "seed: Input should be a valid integer (it is 'abc')"),
        (["--params=training.epochs=few"], "training.epochs: Input should be a valid integer"),
        (["--pipelines=trainin"], "Failed to find the pipeline named 'trainin'"),
        (["--nodes=nothing"], "Pipeline does not contain nodes named ['nothing']"),
        (["--tags=nothing"], "Pipeline contains no nodes"),
        (["--env=nowhere"], "does not exist"),
        (["--load-versions=nothing:1"], "'load_versions' keys [nothing] are not found in the catalog."),
        (["--load-versions=clusters"], "'load_versions' to be 'dataset_name:YYYY-MM-DDThh.mm.ss.sssZ',found clusters"),
        (["--runner=Nope"], "--runner=Nope: module 'kedro.runner' has no attribute 'Nope'; there are SequentialRunner"),
        (["--runner=ThredRunner"], "no attribute 'ThredRunner'. Did you mean ThreadRunner?"),
        (["--runner=nowhere.Runner"], "--runner=nowhere.Runner: No module named 'nowhere'"),
        (["--runner=pathlib.Path"], "--runner=pathlib.Path: that is no runner"),
        (["--runner-params=foo=1"], "--runner-params: SideBySideRunner: got an unexpected keyword argument 'foo'"),
        (["--runner-params=max_workers=-1"], "--runner-params=max_workers=-1: must be a whole number, 1 or more"),
        (["--runner-params=max_workers=few"], "--runner-params=max_workers=few: must be a whole number"),
        (
            ["--params=clustering.count=["],
            "--params or --runner-params: did not find expected node content. A value is",
        ),
        (
            ["--params=seed=${nix"],
            "--params or --runner-params: no viable alternative at input '${nix'. A value is YAML",
        ),
        (["--params=seed=${nix}"], "or --params: seed cannot be resolved: interpolation key 'nix' not found"),
        (["--pipeline=full", "--pipelines=full"], "'--pipeline'"),
        (["--pipelines=clustering"], "samples has not been made yet"),
        (["--conf-source=conf", "--pipelines=clustering"], "Make it first: kedro run --pipelines=ingestion\n"),
        (["--params=training.fail=row [3] is bad"], "Error: row [3] is bad\n"),
    ],
)
def test_a_users_mistake_is_one_message_without_a_traceback(run, words, message):
    result = run(*words)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert message in result.stderr
    assert "Traceback" not in result.output


def test_a_full_disk_is_one_message_without_a_traceback(run, standin, monkeypatch):
    def full(path):
        raise OSError(errno.ENOSPC, f"{path}: no space left on device")

    monkeypatch.setattr(staging, "flush", full)
    result = run("--pipelines=ingestion")
    assert result.exit_code == 1
    assert "cannot be written: no space is left on its disk. Free some, and give the same command" in result.stderr
    assert result.stderr.startswith(f"Error: {standin.path}/data/")
    assert "Traceback" not in result.output


def test_misspelt_parameters_stop_a_run_before_its_first_node(run, standin):
    run("--params=training.epocs=1")
    assert [path.name for path in (standin.path / "data").iterdir()] == ["01_raw"]


def test_a_file_that_kedro_cannot_parse_is_a_users_mistake(run, standin):
    (standin.path / "conf/local/parameters.yml").write_text("seed: [1")
    result = run()
    assert (result.exit_code, result.stderr[:7]) == (1, "Error: ")
    assert "parameters.yml" in result.stderr


def test_verbose_shows_where_the_error_came_from(run):
    result = run("--params=training.fail=bad", "--verbose")
    assert isinstance(result.exception, InputError)


def test_the_traceback_is_in_the_debug_log(run, caplog):
    caplog.set_level(logging.DEBUG, logger="weakcl_pipeline.cli")
    run("--params=sed=1")
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [InputError]


def test_a_run_succeeds_and_returns_zero(run, standin, caplog):
    caplog.set_level(logging.INFO, logger="weakcl_pipeline")
    result = run("--pipeline=full", "--params=training.epochs=1")
    assert (result.exit_code, result.stderr) == (0, "")
    run_id = standin.versions("report")[0]
    assert f"attribute.metrics: data/08_reporting/attribute/metrics/{run_id}/metrics.json" in caplog.messages
    assert caplog.messages[-1] == f"report: data/08_reporting/report/{run_id}/report.html"
    assert "attribute.train ..." in caplog.messages


def test_results_are_announced_only_by_the_run_that_made_them(run, caplog):
    run()
    caplog.clear()
    run("--pipelines=clustering")
    run("--only-missing-outputs")
    assert not [message for message in caplog.messages if message.startswith(("report", "attribute.metrics"))]


def test_a_suggested_command_keeps_the_source_of_the_configuration(run, standin):
    shutil.copytree(standin.path / "conf", standin.path / "other")
    message = run("--conf-source=other", "--pipelines=clustering").stderr
    assert message.endswith(f"Make it first: kedro run --conf-source={standin.path}/other --pipelines=ingestion\n")


def test_what_libraries_of_configuration_refuse_is_a_users_mistake_wherever_it_is_raised():
    def parse() -> None:
        yaml.safe_load("seed: *x")

    assert "found undefined alias" in cli.explain(raised(parse))


def raised(function) -> BaseException:
    with pytest.raises(BaseException) as error:  # noqa: PT011
        function()
    return error.value


def wrapped() -> None:
    try:
        raise InputError("row 3")
    except InputError as error:
        raise DatasetError("Failed while loading") from error


def test_what_a_dataset_wraps_is_unwrapped():
    assert cli.explain(raised(wrapped)) == "row 3"


def test_a_defect_is_not_explained_away():
    def defect() -> None:
        raise ValueError("of ours")

    assert cli.explain(raised(defect)) is None


def test_a_defect_keeps_its_traceback(run, monkeypatch):
    def defect(**_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(cli.run, "callback", defect)
    result = run()
    assert isinstance(result.exception, ZeroDivisionError)


def test_kedros_command_is_the_projects(standin):
    done = standin.kedro("--params=sed=1")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: The parameters cannot be used:\n  sed: there is no such parameter.")
    assert "Traceback" not in done.stdout + done.stderr
    assert not isinstance(cli.run, click.Group)


def test_what_kedro_refuses_in_the_command_line_is_one_message_too(standin):
    done = standin.kedro("--load-versions=clusters")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: Expected the form of 'load_versions' to be")
    assert len(done.stderr.splitlines()) == 1


def test_the_log_keeps_brackets_and_paths_whole(standin):
    done = standin.kedro("--params=training.fail=row [3] is bad")
    assert "Error: row [3] is bad" in done.stderr
    assert "attribute.train failed" in done.stdout
    assert '--from-nodes "attribute.train"' in done.stdout  # how to resume
    assert "Loading data from" not in done.stdout
    done = standin.kedro()
    run_id = standin.versions("report")[0]
    assert f"report: data/08_reporting/report/{run_id}/report.html" in done.stdout
