"""Workers on a Ray cluster; what needs Ray, and the patience that it asks for, is slow."""

import os
import socket
import sys
from importlib import import_module
from typing import get_args

import numpy as np
import pytest
import torch

from tests.contrastive.launchers.test_torchrun import ON_CPU, Deadly
from tests.contrastive.test_trainer import KINDS, ROWS, config, make_images, weights
from weakcl_pipeline.contrastive import train
from weakcl_pipeline.contrastive.group import LauncherConfig
from weakcl_pipeline.contrastive.launchers import LAUNCHERS
from weakcl_pipeline.contrastive.optimiser import OptimiserConfig
from weakcl_pipeline.errors import InputError


def on_ray(**changes):
    return config(launcher=LauncherConfig(kind="ray", **changes), **ON_CPU)


@pytest.fixture(scope="module")
def images():
    return make_images()


@pytest.fixture
def ray(monkeypatch):
    """Return Ray, with workers that find this module, as they unpickle what it defines."""
    module = pytest.importorskip("ray", reason="Ray is an extra: pip install 'weakcl-pipeline[ray]'")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    monkeypatch.setenv("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "300")  # a busy machine is slow to start workers
    return module


def test_every_kind_has_a_launcher():
    assert set(LAUNCHERS) == set(get_args(LauncherConfig.model_fields["kind"].annotation))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "ray", "machines": 2}, "machines and rendezvous belong to kind: torchrun"),
        ({"kind": "ray", "rendezvous": "there:1"}, "machines and rendezvous belong to kind: torchrun"),
        ({"kind": "torchrun", "address": "auto"}, "address belongs to kind: ray, not to kind: torchrun"),
        ({"address": "there:1"}, "address belongs to kind: ray, not to kind: inline"),
        ({"kind": "ray", "address": "there"}, "address\n.*should match pattern"),
    ],
)
def test_fields_are_those_of_the_kind(fields, message):
    with pytest.raises(ValueError, match=message):
        LauncherConfig(**fields)


def test_ray_is_an_extra(images, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(
        InputError, match=r"training\.launcher\.kind: `ray` needs `pip install 'weakcl-pipeline\[ray\]'`"
    ):
        train(images, ROWS, KINDS, on_ray(), seed=0, name="one")


@pytest.mark.slow
def test_an_address_without_a_cluster(images, ray):
    with socket.socket() as bound:  # and listening to nobody
        bound.bind(("localhost", 0))
        address = f"localhost:{bound.getsockname()[1]}"
        with pytest.raises(InputError, match=rf"training\.launcher\.address: there is no Ray cluster at {address}"):
            train(images, ROWS, KINDS, on_ray(address=address), seed=0, name="one")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_workers_learn_what_one_process_does_even_if_one_dies(images, ray, tmp_path, capfd):
    marks = tmp_path / "marks"
    marks.mkdir()
    positives, patient = Deadly(ROWS % 2, marks, times=1), on_ray(workers=2, restarts=3)
    found = train(images, ROWS, positives, patient, seed=0, name="twice", checkpoints=tmp_path / "checkpoints")
    assert len(list(marks.iterdir())) == 1
    printed = capfd.readouterr()
    assert "twice: going on after epoch 1 of 3" in printed.out + printed.err
    alone = train(images, ROWS, KINDS, config(**ON_CPU), seed=0, name="alone")
    assert found.history["epoch"].to_list() == [1, 2, 3]
    assert found.history["loss"].to_list() == pytest.approx(alone.history["loss"].to_list(), rel=1e-4)
    torch.testing.assert_close(weights(found), weights(alone), rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(found.clusters, alone.clusters)
    assert (tmp_path / "checkpoints" / found.checkpoint / "epoch-00003").is_dir()
    assert not ray.is_initialized()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_an_existing_cluster_of_two_machines_is_used_and_left(images, ray, tmp_path):
    cluster = import_module("ray.cluster_utils").Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        cluster.add_node(num_cpus=1)
        with pytest.raises(InputError, match=r"training\.launcher\.workers: 3 workers need a CPU each, .* has 2"):
            train(images, ROWS, KINDS, on_ray(workers=3, address=cluster.address), seed=0, name="three")
        bold = on_ray(workers=2, address=cluster.address)
        bold = bold.model_copy(update={"optimiser": OptimiserConfig(learning_rate=1e30)})
        with pytest.raises(InputError, match=r"the loss is (nan|inf) at batch \d of epoch 1; no epoch was finished"):
            train(images, ROWS, KINDS, bold, seed=0, name="bold")
        marks = tmp_path / "marks"
        marks.mkdir()
        mortal = on_ray(workers=2, restarts=0, address=cluster.address)
        with pytest.raises(InputError, match=r"once, seed 0: worker 1 died .* after 0 restarts.* the last checkpoint"):
            train(images, ROWS, Deadly(ROWS % 2, marks, times=9), mortal, seed=0, name="once")
        assert len(list(marks.iterdir())) == 1
        assert cluster.head_node.any_processes_alive()
        assert not ray.is_initialized()
    finally:
        cluster.shutdown()
