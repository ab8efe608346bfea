"""A training that two machines share: here two commands, which meet on the loopback interface."""

import socket

import pytest
from click.testing import CliRunner
from kedro.framework.startup import bootstrap_project

from weakcl_pipeline.contrastive.group import LauncherConfig
from weakcl_pipeline.join import join


def launcher(**changes):
    return ",".join(f"training.launcher.{key}={value}" for key, value in changes.items())


def free_port():
    with socket.socket() as listening:
        listening.bind(("localhost", 0))
        return listening.getsockname()[1]


@pytest.mark.slow
def test_a_machine_that_joins_trains_and_writes_nothing(full_run, tmp_path):
    project = full_run.copy(tmp_path / "project")
    params = launcher(kind="torchrun", workers=1, machines=2, rendezvous=f"localhost:{free_port()}")
    before = project.artifact("attribute.encoder").list_versions()
    running = project.start("--pipelines=training", "--nodes=attribute.train", f"--params={params}")
    joining = project.start("attribute.train", f"--params={params}", command=("kedro", "weakcl", "join"))
    out, err = running.communicate(timeout=120)
    joined, told = joining.communicate(timeout=120)
    assert running.returncode == 0, err
    assert joining.returncode == 0, told
    assert "attribute, seed 0: 1 workers on each of 2 machines" in out
    assert "attribute: epoch 2 of 2" in err + told
    assert "attribute.train is trained; the machine that runs it saves it." in joined
    assert len(project.artifact("attribute.encoder").list_versions()) == len(before) + 1
    history = project.artifact("attribute.history").load()
    assert history["epoch"].to_list() == [1, 2]
    alone = full_run.artifact("attribute.history").load()
    assert history["loss"].to_list() == pytest.approx(alone["loss"].to_list(), rel=0.05)  # Muon computes in bf16


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("attribute.trian",), "there is no node attribute.trian. Did you mean attribute.train?"),
        (("form_clusters",), "form_clusters trains nothing, so there is nothing to join"),
        (("attribute.train",), "training.launcher.machines: there is nothing to join where one machine trains"),
        (
            ("attribute.train", "--params=training.launcher.machines=2"),
            "training.launcher: several machines need kind: torchrun, and a rendezvous, the HOST:PORT where they meet",
        ),
    ],
)
def test_what_cannot_be_joined(full_run, words, message):
    with full_run.entered():
        done = CliRunner().invoke(join, list(words), obj=bootstrap_project(full_run.path))
    assert done.exit_code == 1
    assert message in " ".join(done.stderr.split())


def test_machines_need_a_place_to_meet():
    with pytest.raises(ValueError, match="several machines need kind: torchrun"):
        LauncherConfig(kind="inline", machines=2, rendezvous="there:1")
    assert LauncherConfig(kind="torchrun", machines=2, rendezvous="there:1").machines == 2
