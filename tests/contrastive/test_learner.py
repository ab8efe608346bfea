from copy import deepcopy
from typing import get_type_hints

import numpy as np
import polars as pl
import pytest
import torch
from timm.layers.norm_act import convert_sync_batchnorm

from tests.contrastive.test_encoder import tiny
from weakcl_pipeline.attributes import Affinity, AttributeSpec
from weakcl_pipeline.contrastive import ClInfoNCE, ClInfoNCEConfig, DeviceConfig, Encoder, EncoderConfig
from weakcl_pipeline.contrastive.encoder import HeadConfig
from weakcl_pipeline.contrastive.learner import Learner
from weakcl_pipeline.contrastive.metrics import alignment, uniformity
from weakcl_pipeline.contrastive.objectives import (
    OBJECTIVES,
    ClusterCrossEntropy,
    ClusterCrossEntropyConfig,
    Pcl,
    PclConfig,
    Setting,
    SideInformation,
    Swav,
    SwavConfig,
)
from weakcl_pipeline.contrastive.optimiser import OptimiserConfig
from weakcl_pipeline.contrastive.sync_batch_norm import frozen_statistics
from weakcl_pipeline.images import AugmentationConfig

FP32 = DeviceConfig(name="cpu", precision="fp32")
ADAMW = OptimiserConfig(name="adamw")
SAMPLES = np.arange(8)
CLUSTERS = SAMPLES // 2
PICTURES = torch.randint(0, 256, (8, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def learner(optimiser=ADAMW, seed=0, device=FP32, encoder=None, objective=None):
    objective = objective or ClInfoNCE(ClInfoNCEConfig(temperature=0.5))
    made = Learner(encoder or tiny(seed), objective, AugmentationConfig(), optimiser, device)
    made.train()
    return made


def step(made, number=0, learning_rate=0.01):
    generator = torch.Generator().manual_seed(number)
    return made.step(PICTURES, SAMPLES, CLUSTERS, size=16, learning_rate=learning_rate, generator=generator)


def weights(made):
    trained = [*made.encoder.parameters(), *made.objective.parameters()]
    return torch.cat([parameter.detach().flatten() for parameter in trained])


def test_a_step_measures_and_moves():
    made = learner()
    before = weights(made)
    measured = step(made)
    assert measured.shape == (3,)
    assert not measured.requires_grad
    assert measured.isfinite().all()
    assert not torch.equal(weights(made), before)


def test_the_learning_rate_is_that_of_the_step():
    made = learner(OptimiserConfig(name="sgd", momentum=0.0, weight_decay=0.0))
    before = weights(made)
    step(made, learning_rate=0.0)
    assert torch.equal(weights(made), before)
    step(made, learning_rate=0.1)
    assert not torch.equal(weights(made), before)


@pytest.mark.parametrize("name", ["sgd", "adamw", "muon"])
def test_a_restored_learner_goes_on_where_it_was(name):
    optimiser = OptimiserConfig(name=name, momentum=0.9)
    made = learner(optimiser)
    step(made, 0)
    tensors, metadata = made.state()
    kept = {key: tensor.clone() for key, tensor in tensors.items()}
    expected = step(made, 1), weights(made)
    other = learner(optimiser, seed=1)
    other.restore(kept | {"clusters": torch.from_numpy(CLUSTERS)}, metadata)
    assert torch.equal(step(other, 1), expected[0])
    assert torch.equal(weights(other), expected[1])


def test_gradients_are_clipped_over_encoder_and_objective():
    def moved(clip_norm):
        encoder = tiny()
        objective = ClusterCrossEntropy(ClusterCrossEntropyConfig(), encoder.feature_dim, CLUSTERS.max() + 1)
        sgd = OptimiserConfig(name="sgd", momentum=0.0, weight_decay=0.0, clip_norm=clip_norm)
        made = learner(sgd, encoder=encoder, objective=objective)
        before = weights(made)
        step(made, learning_rate=1.0)
        return float((weights(made) - before).norm())

    assert moved(None) > 1e-2
    assert moved(1e-3) == pytest.approx(1e-3, rel=1e-2)


def without_batch_norm():
    config = EncoderConfig(
        backbone="resnet18",
        backbone_kwargs={"layers": [1, 1, 1, 1], "channels": [8, 8, 16, 16], "norm_layer": "groupnorm1"},
        head=HeadConfig(output_dim=8),
    )
    return Encoder.create(config, (0.5, 0.5, 0.5), (0.3, 0.3, 0.3), seed=0)


@pytest.mark.parametrize("views_at_once", [2, 5, 16, 100])
def test_embedding_few_views_at_once_changes_memory_and_nothing_else(views_at_once):
    sgd = OptimiserConfig(name="sgd")
    whole = learner(sgd, encoder=without_batch_norm())
    parts = learner(sgd, encoder=without_batch_norm(), device=FP32.model_copy(update={"views_at_once": views_at_once}))
    kept = {}

    def keep(name):
        def pack(tensor):
            kept[name] = kept.get(name, 0) + tensor.numel()
            return tensor

        return torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor)

    for number in range(3):
        with keep("whole"):
            expected = step(whole, number)
        with keep("parts"):
            found = step(parts, number)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(weights(parts), weights(whole), rtol=1e-3, atol=1e-5)
    assert kept["parts"] < 0.1 * kept["whole"]  # outside of the parts, which are recomputed one by one


def test_batch_norm_follows_its_statistics_once_where_views_are_embedded_again():
    made = learner(device=FP32.model_copy(update={"views_at_once": 8}))
    layer = next(module for module in made.encoder.modules() if isinstance(module, torch.nn.BatchNorm2d))
    seen = []
    layer.register_forward_hook(lambda _, inputs, output: seen.append(inputs[0].detach().clone()))
    before = layer.running_mean.clone()
    step(made, learning_rate=0.0)
    assert len(seen) == 4  # two parts of the 16 views, twice each
    assert all(any(torch.equal(again, first) for first in seen[:2]) for again in seen[2:])
    for part in seen[:2]:
        before = 0.9 * before + 0.1 * part.mean(dim=(0, 2, 3))
    torch.testing.assert_close(layer.running_mean, before)
    assert layer.num_batches_tracked == 2
    assert layer.momentum == 0.1


def test_batch_norm_never_meets_one_view_alone_though_the_number_of_small_crops_is_odd():
    swav = Swav(SwavConfig(prototypes=4, small_crops=1, small_size=8), output_dim=128)
    device = FP32.model_copy(update={"views_at_once": 2})
    made = Learner(tiny(), swav, AugmentationConfig(), ADAMW, device)
    made.train()
    seen = []
    made.encoder.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    made.step(PICTURES[:7], SAMPLES[:7], CLUSTERS[:7], size=16, learning_rate=0.01, generator=torch.Generator())
    assert seen[:10] == [2] * 7 + [3, 2, 2]  # and once more in the backward pass


@pytest.mark.parametrize(("views_at_once", "parts"), [(None, [16]), (6, [6, 6, 4])])
def test_an_objectives_own_encoder_embeds_the_full_views_few_at_once(views_at_once, parts, monkeypatch):
    pcl = Pcl(PclConfig(queue=8, ks=(2,)), tiny(), len(SAMPLES))
    made = learner(objective=pcl, device=FP32.model_copy(update={"views_at_once": views_at_once}))
    before, seen, batches, embedded = deepcopy(pcl.momentum_encoder), [], [], Learner._embed
    pcl.momentum_encoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    monkeypatch.setattr(Learner, "_embed", lambda *given: batches.append(embedded(*given)) or batches[-1])
    step(made)
    assert [len(part) for part in seen] == parts
    (batch,) = batches
    assert not batch.keys.requires_grad
    torch.testing.assert_close(batch.keys, before.project(before(torch.cat(seen))))


def test_an_objective_without_an_encoder_of_its_own_gets_no_keys(monkeypatch):
    batches, embedded = [], Learner._embed
    monkeypatch.setattr(Learner, "_embed", lambda *given: batches.append(embedded(*given)) or batches[-1])
    step(learner())
    assert [batch.keys for batch in batches] == [None]


def test_statistics_stand_still_in_torchs_synchronised_batch_normalisation_too():
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), convert_sync_batchnorm(torch.nn.BatchNorm2d(4))).train()
    net(PICTURES.float())
    before = {name: buffer.clone() for name, buffer in net.named_buffers()}
    with frozen_statistics(net):
        net(2 * PICTURES.float())
    assert all(torch.equal(buffer, before[name]) for name, buffer in net.named_buffers())
    net(2 * PICTURES.float())
    assert not any(torch.equal(buffer, before[name]) for name, buffer in net.named_buffers())


SETTING = Setting(
    tiny(),
    CLUSTERS,
    SideInformation(
        attributes=torch.tensor([[1.0, 0.0, float(i % 2)] for i in SAMPLES]),
        affinity=Affinity(pl.DataFrame({"kind": ["a", "b"] * 4}), {"kind": AttributeSpec(kind="categorical")}),
    ),
    seed=0,
)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_objectives_say_whether_they_train_the_head_and_embeddings_are_measured_where_they_do(name, monkeypatch):
    small = {"pcl": {"queue": 8, "ks": (2,)}, "swav": {"prototypes": 4, "queue": 8}}.get(name, {})
    objective_class = OBJECTIVES[name]
    config = get_type_hints(objective_class.build)["config"](**small)
    made = Learner(tiny(), objective_class.build(config, SETTING), AugmentationConfig(), ADAMW, FP32)
    made.train()
    seen, embedded = [], Learner._embed
    monkeypatch.setattr(Learner, "_embed", lambda *given: seen.append(embedded(*given)) or seen[-1])
    measured = step(made, 0)
    measured = step(made, 1)  # a queue has something in it now
    trained = any(p.grad is not None and p.grad.abs().sum() > 0 for p in made.encoder.head.parameters())
    assert made.objective.trains_head == trained
    compared = seen[-1].z if trained else torch.nn.functional.normalize(seen[-1].features, dim=1)
    first, second = compared.detach()[:16].chunk(2)
    torch.testing.assert_close(measured[1:], torch.stack([alignment(first, second), uniformity(first)]))
