import os
import signal
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.distributed.launcher.api import LaunchConfig

from tests.contrastive.test_group import SMOOTH
from tests.contrastive.test_trainer import KINDS, ROWS, config, make_images, weights
from weakcl_pipeline.contrastive import FixedPositives, train
from weakcl_pipeline.contrastive.device import DeviceConfig
from weakcl_pipeline.contrastive.group import LauncherConfig
from weakcl_pipeline.contrastive.optimiser import OptimiserConfig
from weakcl_pipeline.errors import InputError

ON_CPU = {"batch_size": 13, "encoder": SMOOTH, "device": DeviceConfig(name="cpu", precision="fp32")}


def torchrun(workers, **changes):
    return config(launcher=LauncherConfig(kind="torchrun", workers=workers, **changes), **ON_CPU)


@dataclass
class Deadly(FixedPositives):
    """Positives that kill the worker that does not lead at the beginning of the second epoch, so many times.

    Where there are checkpoints, the one that leads has saved its first by then.
    """

    marks: Path
    times: int
    checkpoints: Path | None

    def __init__(self, clusters, marks, times, checkpoints=None):
        super().__init__(clusters)
        self.marks, self.times, self.checkpoints = marks, times, checkpoints

    def update(self, epoch, clusters, embed):
        deaths = len(list(self.marks.iterdir()))
        if epoch == 1 and os.environ.get("RANK") == "1" and deaths < self.times:
            while self.checkpoints and not any(self.checkpoints.glob("*/epoch-00001")):
                time.sleep(0.01)
            (self.marks / str(deaths)).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().update(epoch, clusters, embed)


@pytest.fixture(scope="module")
def images():
    return make_images()


def test_a_worker_that_dies_has_all_go_on_from_the_last_checkpoint(images, tmp_path, caplog, capfd):
    marks = tmp_path / "marks"
    marks.mkdir()
    caplog.set_level("INFO", "weakcl_pipeline")
    checkpoints = tmp_path / "checkpoints"
    positives = Deadly(ROWS % 2, marks, times=1, checkpoints=checkpoints)
    found = train(images, ROWS, positives, torchrun(2), seed=0, name="twice", checkpoints=checkpoints)
    assert len(list(marks.iterdir())) == 1
    assert "twice, seed 0: 2 workers" in caplog.text
    assert "twice: going on after epoch 1 of 3" in capfd.readouterr().err
    alone = train(images, ROWS, KINDS, config(**ON_CPU), seed=0, name="alone")
    assert found.history["epoch"].to_list() == [1, 2, 3]
    assert found.history["loss"].to_list() == pytest.approx(alone.history["loss"].to_list(), rel=1e-4)
    torch.testing.assert_close(weights(found), weights(alone), rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(found.clusters, alone.clusters)
    assert not found.encoder.training
    assert (checkpoints / found.checkpoint / "epoch-00003").is_dir()


@pytest.mark.parametrize("seconds", [0.1, 1.0])
def test_workers_that_die_too_often_are_given_up(images, tmp_path, monkeypatch, seconds):
    looking_rarely = partial(LaunchConfig, monitor_interval=seconds)  # 0.1 by default
    monkeypatch.setattr("weakcl_pipeline.contrastive.launchers.torchrun.LaunchConfig", looking_rarely)
    marks = tmp_path / "marks"
    marks.mkdir()
    with pytest.raises(InputError, match=r"once, seed 0: worker 1 died .* after 0 restarts.* the last checkpoint"):
        train(images, ROWS, Deadly(ROWS % 2, marks, times=9), torchrun(2, restarts=0), seed=0, name="once")
    assert len(list(marks.iterdir())) == 1


def test_a_job_that_workers_refuse_is_not_tried_again(images, capfd):
    exploding = torchrun(1).model_copy(update={"optimiser": OptimiserConfig(learning_rate=1e30)})
    with pytest.raises(InputError, match=r"the loss is (nan|inf) at batch \d of epoch 1; no epoch was finished"):
        train(images, ROWS, KINDS, exploding, seed=0, name="bold")
    small = torchrun(3).model_copy(update={"batch_size": 2})
    with pytest.raises(InputError, match=r"training\.launcher\.workers: 3 are more than the 2 pictures of a batch"):
        train(images, ROWS, KINDS, small, seed=0, name="small")


def test_there_are_no_more_workers_than_gpus(images, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    on_gpus = torchrun(2).model_copy(update={"device": DeviceConfig(name="cuda")})
    with pytest.raises(InputError, match=r"training\.launcher\.workers: 2 are more than the 1 GPUs"):
        train(images, ROWS, KINDS, on_gpus, seed=0, name="many")
    on_one = torchrun(1).model_copy(update={"device": DeviceConfig(name="cuda:0")})
    with pytest.raises(InputError, match=r"training\.device\.name: workers compute .*, not on cuda:0"):
        train(images, ROWS, KINDS, on_one, seed=0, name="one")
