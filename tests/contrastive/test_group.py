"""Several workers compute what one does: losses, weights, clusters and what objectives keep, uneven parts included."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file, save_file
from timm.layers import BatchNormAct2d
from torch import nn

from tests.contrastive.test_trainer import ENCODER, KINDS, ROWS, N, config, make_images
from tests.processes import work_together
from weakcl_pipeline.attributes import Affinity, AffinityConfig, AttributeSpec
from weakcl_pipeline.contrastive import Encoder, FixedPositives, IterativeConfig, IterativePositives, SideInformation
from weakcl_pipeline.contrastive.device import DeviceConfig
from weakcl_pipeline.contrastive.encoder import HeadConfig
from weakcl_pipeline.contrastive.gradients import GradientSum
from weakcl_pipeline.contrastive.group import ALONE, Group, Shard
from weakcl_pipeline.contrastive.learner import Learner
from weakcl_pipeline.contrastive.objectives import (
    AffinityInfoNCEConfig,
    AttributePredictionConfig,
    ClInfoNCEConfig,
    ClusterCrossEntropyConfig,
    CmcConfig,
    Pcl,
    PclConfig,
    SwavConfig,
)
from weakcl_pipeline.contrastive.optimiser import OptimiserConfig
from weakcl_pipeline.contrastive.sync_batch_norm import SyncBatchNorm, synchronise
from weakcl_pipeline.contrastive.trainer import TrainingJob
from weakcl_pipeline.images import AugmentationConfig

WORKERS = 3
BATCH = 13  # parts of 4, 4 and 5 pictures
SMOOTH = ENCODER.model_copy(  # rounding that turns a ReLU on or off shows
    update={"backbone_kwargs": {**ENCODER.backbone_kwargs, "act_layer": "gelu"}, "head": HeadConfig(hidden_layers=0)}
)


def jobs():
    """Return one job per objective, by name."""
    images = make_images()
    alone = FixedPositives(np.full(N, -1))
    iterative = IterativePositives(IterativeConfig(k=2, warmup_epochs=1), N, {}, seed=0)
    attributes = torch.from_numpy(np.random.default_rng(0).integers(0, 2, (N, 5)).astype(np.float32))
    kinds = [{"kind": str(kind)} for kind in ROWS % 4]
    specs = {"kind": AttributeSpec(kind="categorical", min_count=1)}
    affinity = SideInformation(attributes, Affinity(pl.DataFrame(kinds), specs, AffinityConfig()))
    known = SideInformation(attributes=attributes)
    shared = config(
        epochs=2,
        batch_size=BATCH,
        encoder=SMOOTH,
        device=DeviceConfig(name="cpu", precision="fp32"),
        optimiser=OptimiserConfig(learning_rate=0.05, clip_norm=5.0),  # Muon computes in bf16, and rounding shows
    )
    few = shared.model_copy(  # a worker of 5 pictures has no more parts than one of 4
        update={
            "device": DeviceConfig(name="cpu", precision="fp32", views_at_once=4),
            "encoder": SMOOTH.model_copy(
                update={"backbone_kwargs": {**SMOOTH.backbone_kwargs, "norm_layer": "groupnorm1"}}
            ),
        }
    )
    pcl = PclConfig(queue=16, ks=(4,), warmup_epochs=1)
    return {
        "few_views_at_once": TrainingJob(images, ROWS, KINDS, few, 0, "few", ClInfoNCEConfig(), SideInformation()),
        "few_keys_at_once": TrainingJob(images, ROWS, alone, few, 0, "few", pcl, SideInformation()),
    } | {
        name: TrainingJob(images, ROWS, positives, shared, 0, name, objective, side)
        for name, positives, objective, side in [
            ("attribute", KINDS, ClInfoNCEConfig(), SideInformation()),
            ("iterative", iterative, ClInfoNCEConfig(), SideInformation()),
            ("affinity", KINDS, AffinityInfoNCEConfig(), affinity),
            ("cluster_cross_entropy", KINDS, ClusterCrossEntropyConfig(), SideInformation()),
            ("attribute_prediction", alone, AttributePredictionConfig(), known),
            ("cmc", alone, CmcConfig(), known),
            ("pcl", alone, pcl, SideInformation()),
            ("swav", alone, SwavConfig(prototypes=5, queue=8, small_crops=1, small_size=12), SideInformation()),
        ]
    }


def trained(job, group):
    result = job.run(group)
    measured = torch.tensor(result.history.select("loss", "alignment", "uniformity").to_numpy())
    return {**result.encoder.state_dict(), "history": measured, "clusters": torch.from_numpy(result.clusters)}


def work(rank, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=WORKERS)
    group = Group(rank, WORKERS)
    for name, job in jobs().items():
        found = trained(job, group)
        for tensor in found.values():  # what one worker has, the others have to the bit
            first = tensor.clone()
            group.agree([first])
            assert torch.equal(first, tensor)
        if group.leads:
            save_file({key: tensor.contiguous() for key, tensor in found.items()}, folder / f"{name}.safetensors")
    kept = replace(next(iter(jobs().values())), checkpoints=folder / "checkpoints").run(group)
    assert (folder / "checkpoints" / kept.checkpoint).is_dir()  # whichever worker's result is saved
    (folder / f"pcl-{rank}.json").write_text(json.dumps(followed_pcl(group)))
    _check_batch_norm(group)
    dist.destroy_process_group()


def followed_pcl(group):
    """Train by PCL an encoder that draws; return what its momentum encoder sees, what travels, and the losses."""
    views, travelling = [], []

    class Overheard(Group):
        def gather(self, own, count):
            travelling.append(own.shape[1:])
            return super().gather(own, count)

    dropping = SMOOTH.model_copy(update={"backbone_kwargs": {**SMOOTH.backbone_kwargs, "drop_path_rate": 0.5}})
    encoder = Encoder.create(dropping, (0.5,) * 3, (0.3,) * 3, seed=0)
    pcl = Pcl(PclConfig(ks=(16,), warmup_epochs=0, negative_prototypes=2), encoder, N)
    pictures = make_images().read(ROWS[:BATCH][group.part(BATCH)])
    device = DeviceConfig(name="cpu", precision="fp32", views_at_once=4)
    overheard = Overheard(group.rank, group.size)
    learner = Learner(encoder, pcl, AugmentationConfig(), OptimiserConfig(), device, overheard)
    learner.train()
    pcl.momentum_encoder.register_forward_pre_hook(lambda _, inputs: views.append(len(inputs[0])))
    random = torch.Generator().manual_seed(0)
    points = torch.nn.functional.normalize(torch.randn(N, pcl.output_dim, generator=random), dim=1)
    pcl.begin_epoch(0, lambda _: Shard.whole(points))
    torch.manual_seed(0)
    losses = [
        learner.step(pictures, ROWS[:BATCH], np.full(BATCH, -1), size=16, learning_rate=0.01, generator=random)[0]
        for _ in range(2)
    ]
    return {"views": views, "travelling": travelling, "losses": [float(loss) for loss in losses]}


def _check_batch_norm(group):
    """Compare two layers, one of them with an activation of its own, with torch's on the whole batch, and gradients."""
    torch.manual_seed(0)
    x, weight = torch.randn(7, 4, 3, 3) * 5 + 100, torch.rand(7, 4, 3, 3)
    for make in (
        lambda: nn.BatchNorm2d(4, momentum=None),
        lambda: BatchNormAct2d(4),
        lambda: nn.BatchNorm2d(4, affine=False),
    ):
        whole, ours = nn.Sequential(make()), nn.Sequential(make())
        synchronise(ours, group)
        assert isinstance(ours[0], SyncBatchNorm)
        assert ours.state_dict().keys() == whole.state_dict().keys()
        part = group.part(len(x))
        given, own = x.clone().requires_grad_(), x[part].clone().requires_grad_()
        (whole(given) * weight).sum().backward()
        gradients = GradientSum(ours.parameters(), group)
        (ours(own) * weight[part]).sum().backward()
        gradients.finish()
        torch.testing.assert_close(own.grad, given.grad[part], rtol=1e-3, atol=1e-4)
        for mine, theirs in zip(ours.parameters(), whole.parameters(), strict=True):
            torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-4, atol=1e-3)
        torch.testing.assert_close(ours.state_dict(), whole.state_dict())
        torch.testing.assert_close(ours.eval()(x), whole.eval()(x))


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    folder = tmp_path_factory.mktemp("together")
    work_together(work, WORKERS, folder)
    return folder


@pytest.mark.parametrize("name", jobs())
def test_workers_learn_what_one_process_learns_from_the_same_batches(together, name):
    found, alone = load_file(together / f"{name}.safetensors"), trained(jobs()[name], ALONE)
    assert found.keys() == alone.keys()
    for key, tensor in alone.items():
        torch.testing.assert_close(found[key], tensor, rtol=1e-3, atol=1e-4, msg=lambda text, key=key: f"{key}: {text}")


def test_a_workers_momentum_encoder_sees_its_own_views_few_at_once_and_only_embeddings_travel(together):
    followed = [json.loads((together / f"pcl-{rank}.json").read_text()) for rank in range(WORKERS)]
    assert [worker["views"] for worker in followed] == [[4, 4] * 2, [4, 4] * 2, [4, 4, 2] * 2]
    assert all(len(shape) == 1 for worker in followed for shape in worker["travelling"])


def test_workers_draw_the_same_prototypes_though_their_encoders_draw_unevenly(together):
    first, *others = (json.loads((together / f"pcl-{rank}.json").read_text())["losses"] for rank in range(WORKERS))
    assert all(losses == first for losses in others)


def test_the_parts_of_a_batch_make_it_up():
    for size in (1, 2, 3, 7):
        parts = [range(20)[Group(rank, size).part(20)] for rank in range(size)]
        assert [row for part in parts for row in part] == list(range(20))
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_who_is_alone_is_told_what_it_says():
    tensor = torch.ones(4, requires_grad=True)
    assert ALONE.leads
    assert ALONE.gather(tensor, 2) is tensor
    assert ALONE.sum(tensor) is tensor
    assert ALONE.tell("news") == "news"
    assert ALONE.collect(tensor, [4]) is tensor
    assert ALONE.each([lambda: 1, lambda: 2]) == [1, 2]
    ALONE.agree([tensor])
