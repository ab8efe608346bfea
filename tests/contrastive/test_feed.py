import numpy as np
import pytest
import torch

from tests.evaluation.data import make_images, make_samples
from weakcl_pipeline.contrastive import DeviceConfig, feed
from weakcl_pipeline.contrastive.feed import Feed, uploaded

CPU = torch.device("cpu")
ROWS = np.arange(10)[::-1].copy()
POSITIONS = [np.array([3, 0]), np.array([9, 9, 4]), np.array([], dtype=np.int64)]


@pytest.fixture(scope="module")
def images():
    return make_images(make_samples(train=8, val=4, test=4), size=16)


@pytest.mark.parametrize("on_device", [True, False, "auto"])
def test_batches_hold_the_pictures_of_the_positions_wherever_they_live(images, monkeypatch, on_device):
    monkeypatch.setattr(feed, "_AT_ONCE", 3 * 16 * 16 * 4)
    given = Feed(images, ROWS, DeviceConfig(name="cpu", pictures_on_device=on_device))
    for chosen, pictures in zip(POSITIONS, given.batches(iter(POSITIONS)), strict=True):
        assert pictures.dtype == torch.uint8
        assert pictures.is_contiguous(memory_format=torch.channels_last) or len(chosen) == 0
        assert torch.equal(pictures, images.read(ROWS[chosen]))


def test_pictures_that_live_on_the_device_are_read_once(images, monkeypatch):
    given = Feed(images, ROWS, DeviceConfig(name="cpu", pictures_on_device=True))
    monkeypatch.setattr(type(images), "read", None)
    assert len(list(given.batches(POSITIONS))) == len(POSITIONS)


def test_they_live_on_a_gpu_only_if_they_are_small(images, monkeypatch):
    monkeypatch.setattr(feed, "resolve_device", lambda _: torch.device("cuda"))
    kept = []
    monkeypatch.setattr(Feed, "_copied", lambda _: kept.append(True))
    Feed(images, ROWS, DeviceConfig(name="auto"))
    monkeypatch.setattr(feed, "_MOST_RESIDENT", len(ROWS) * 3 * 16 * 16 - 1)
    Feed(images, ROWS, DeviceConfig(name="auto"))
    assert kept == [True]


class Copies:
    """Copies that take until they are asked for, and write down what happens."""

    def __init__(self):
        self.log = []

    def start(self, pictures):
        self.log.append(("start", int(pictures)))
        return pictures

    def finish(self, started):
        self.log.append(("finish", int(started)))
        return started + 10


def test_the_next_batch_is_on_its_way_before_the_caller_has_one():
    copies = Copies()
    for arrived in uploaded(iter(map(torch.tensor, range(3))), CPU, copies):
        copies.log.append(("use", int(arrived)))
    assert copies.log == [
        ("start", 0), ("finish", 0), ("start", 1),
        ("use", 10), ("finish", 1), ("start", 2),
        ("use", 11), ("finish", 2),
        ("use", 12),
    ]  # fmt: skip


def test_nothing_is_uploaded_of_nothing():
    assert list(uploaded(iter([]), CPU, Copies())) == []


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gets_what_was_sent_while_it_computes():
    sent = [torch.randint(0, 256, (64, 3, 64, 64), dtype=torch.uint8) for _ in range(8)]
    for expected, arrived in zip(sent, uploaded(iter(sent), torch.device("cuda")), strict=True):
        torch.mm(torch.rand(2048, 2048, device="cuda"), torch.rand(2048, 2048, device="cuda"))
        assert torch.equal(arrived.cpu(), expected)
