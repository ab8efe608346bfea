import logging
import os
import re
import signal
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import polars as pl
import pytest
import torch
from pydantic import ValidationError

from tests.processes import start
from weakcl_pipeline.attributes import Affinity, AttributeSpec
from weakcl_pipeline.contrastive import (
    CompletedPositives,
    Encoder,
    EncoderConfig,
    FixedPositives,
    IterativeConfig,
    IterativePositives,
    SideInformation,
    TrainingConfig,
    embed,
    train,
)
from weakcl_pipeline.contrastive.checkpoint import CheckpointStore
from weakcl_pipeline.contrastive.device import DeviceConfig
from weakcl_pipeline.contrastive.group import Group
from weakcl_pipeline.contrastive.learner import Learner
from weakcl_pipeline.contrastive.metrics import alignment, uniformity
from weakcl_pipeline.contrastive.objectives import (
    AffinityInfoNCEConfig,
    AttributePredictionConfig,
    ClusterCrossEntropyConfig,
    CmcConfig,
    PclConfig,
    SwavConfig,
)
from weakcl_pipeline.contrastive.optimiser import OptimiserConfig
from weakcl_pipeline.contrastive.positives import NO_CLUSTER
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.images import open_store
from weakcl_pipeline.images.stores import pixel_table

N, SIZE = 48, 16
ENCODER = EncoderConfig(backbone="resnet18", backbone_kwargs={"layers": [1, 1, 1, 1], "channels": [8, 8, 16, 16]})


def make_images():
    pixels = np.random.default_rng(0).integers(0, 256, (N + 8, SIZE, SIZE, 3), dtype=np.uint8)
    pixels[::2, :8] //= 3  # two kinds of pictures, told apart by their upper half
    return open_store(pixel_table([f"s{i}" for i in range(N + 8)], pixels))


@pytest.fixture(scope="module")
def images():
    return make_images()


ROWS = np.arange(N)
KINDS = FixedPositives(ROWS % 2)


def config(**changes):
    base = {"epochs": 3, "batch_size": 16, "encoder": ENCODER, "optimiser": OptimiserConfig(learning_rate=0.05)}
    return TrainingConfig(**(base | changes))


def weights(result):
    return {name: tensor.clone() for name, tensor in result.encoder.state_dict().items()}


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


def test_history_has_a_row_an_epoch(images):
    result = train(images, ROWS, KINDS, config(), seed=0, name="kinds")
    assert result.history["epoch"].to_list() == [1, 2, 3]
    assert result.history.select("loss", "alignment", "uniformity").to_numpy().all()
    assert (result.history["partner_share"] == 1).all()
    assert (result.history["images_per_second"] > 0).all()
    assert result.checkpoint is None
    assert not result.encoder.training


def test_it_learns_what_the_clusters_say(images):
    result = train(images, ROWS, KINDS, config(epochs=12), seed=0, name="kinds")
    features = embed(result.encoder, images, projection=True)
    held_out = np.arange(N, N + 8)
    similarity = features[held_out] @ features[ROWS].T
    same_kind = (held_out[:, None] - ROWS[None]) % 2 == 0
    assert similarity[same_kind].mean() > similarity[~same_kind].mean() + 0.2


def test_the_seed_determines_the_weights(images):
    first, again, other = (
        weights(train(images, ROWS, KINDS, config(epochs=1), seed=seed, name="kinds")) for seed in (1, 1, 2)
    )
    assert same(first, again)
    assert not same(first, other)


@pytest.mark.parametrize(
    "changes",
    [
        {"device": DeviceConfig(precision="bf16")},
        {"device": DeviceConfig(precision="fp32", channels_last=False)},
        {"optimiser": OptimiserConfig(name="adamw", learning_rate=0.001, clip_norm=1.0)},
    ],
)
def test_every_way_of_computing_trains(images, changes):
    result = train(images, ROWS, KINDS, config(epochs=4, **changes), seed=0, name="kinds")
    assert result.history["loss"][-1] < result.history["loss"][0]


@pytest.mark.parametrize("drop", [0.0, 0.5])
def test_trainings_in_threads_are_those_of_trainings_alone(images, drop):
    """With drop path both draw from torch's global generator, epoch by epoch."""
    dropping = ENCODER.model_copy(update={"backbone_kwargs": {**ENCODER.backbone_kwargs, "drop_path_rate": drop}})

    def train_one(seed):
        return weights(train(images, ROWS, KINDS, config(encoder=dropping), seed=seed, name="kinds"))

    alone = [train_one(seed) for seed in range(2)]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(train_one, range(2)))
    assert all(same(first, second) for first, second in zip(alone, together, strict=True))
    assert same(alone[0], weights(train(images, ROWS, KINDS, config(), seed=0, name="kinds"))) == (drop == 0)


@pytest.mark.parametrize(
    ("device", "objective"),
    [
        (DeviceConfig(name="cpu", precision="bf16"), SwavConfig(prototypes=5, queue=20, small_crops=2, small_size=8)),
        (DeviceConfig(name="cpu", precision="bf16", views_at_once=8), None),
    ],
)
def test_so_are_those_that_embed_twice_in_a_step_in_bf16(images, device, objective):
    def train_one(seed):
        training = config(epochs=3, device=device)
        return weights(train(images, ROWS, KINDS, training, seed=seed, name="kinds", objective=objective))

    alone = [train_one(seed) for seed in range(2)]
    for _ in range(2):
        with ThreadPoolExecutor(2) as pool:
            together = list(pool.map(train_one, range(2)))
        assert all(same(first, second) for first, second in zip(alone, together, strict=True))


def test_a_training_that_embeds_in_parts_leaves_the_generator_to_other_threads(images):
    device = DeviceConfig(name="cpu", precision="fp32", views_at_once=4)
    first = Encoder.create(ENCODER, (0.5,) * 3, (0.3,) * 3, seed=5).state_dict()
    with ThreadPoolExecutor(1) as pool:
        training = pool.submit(train, images, ROWS, KINDS, config(epochs=4, device=device), seed=0, name="kinds")
        made = 0
        while not training.done():
            assert same(first, Encoder.create(ENCODER, (0.5,) * 3, (0.3,) * 3, seed=5).state_dict())
            made += 1
    assert training.result().history.height == 4
    assert made > 8


def test_what_is_embedded_again_draws_again_what_it_drew(images, monkeypatch):
    dropping = ENCODER.model_copy(update={"backbone_kwargs": {**ENCODER.backbone_kwargs, "drop_path_rate": 0.5}})
    seen, step = [], Learner.step
    monkeypatch.setattr(Learner, "step", lambda self, *a, **k: seen.append(self.draws) or step(self, *a, **k))
    train(images, ROWS, KINDS, config(epochs=1, encoder=dropping), seed=0, name="kinds")
    assert seen == [True, True, True]


def test_gradients_are_clipped(images, monkeypatch):
    norms = []
    clip = torch.nn.utils.clip_grad_norm_
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", lambda p, bound: norms.append(bound) or clip(p, bound))
    train(images, ROWS, KINDS, config(epochs=1, optimiser=OptimiserConfig(clip_norm=0.5)), seed=0, name="kinds")
    assert norms == [0.5] * 3


def test_compilation_is_asked_for_and_used(images, monkeypatch):
    calls = []

    def compile_(function):
        def compiled(views):
            calls.append(len(views))
            return function(views)

        return compiled

    monkeypatch.setattr(torch, "compile", compile_)
    train(images, ROWS, KINDS, config(epochs=1, device=DeviceConfig(compile=True)), seed=0, name="kinds")
    assert calls == [32] * 3


def test_small_views_come_first(images, monkeypatch):
    sides, project = [], Learner._project

    def spy(self, views):
        sides.append(views.shape[-1])
        return project(self, views)

    monkeypatch.setattr(Learner, "_project", spy)
    result = train(images, ROWS, KINDS, config(progressive={"scale": 0.5, "share": 0.7}), seed=0, name="kinds")
    assert sides == [8] * 6 + [SIZE] * 3
    assert result.history["view_size"].to_list() == [8, 8, SIZE]


def test_clusters_are_found_at_the_size_of_the_epochs_views(images, monkeypatch):
    sides, forward = [], Encoder.forward

    def spy(self, pictures):
        if not self.training:
            sides.append(pictures.shape[-1])
        return forward(self, pictures)

    monkeypatch.setattr(Encoder, "forward", spy)
    positives = IterativePositives(IterativeConfig(k=6, warmup_epochs=1, recluster_every=1), N, {}, 0)
    train(images, ROWS, positives, config(progressive={"scale": 0.5, "share": 0.7}), seed=0, name="iterative")
    checked = [8, 8, SIZE]  # after each epoch a few features are looked at
    assert sides == [checked[0], 8, checked[1], SIZE, checked[2]]


def _train_until_killed(kind, training, options, root, epochs):
    save = CheckpointStore.save

    def save_then_die(self, done, *rest):
        save(self, done, *rest)
        if done == epochs:
            os.kill(os.getpid(), signal.SIGKILL)

    CheckpointStore.save = save_then_die
    train(make_images(), ROWS, POSITIVES[kind](), training, seed=0, name="killed", checkpoints=root, **options)


POSITIVES = {
    "fixed": lambda: KINDS,
    "iterative": lambda: IterativePositives(
        IterativeConfig(k=6, warmup_epochs=1, recluster_every=3), N, {"kind": ROWS % 2}, 0
    ),
    "completed": lambda: CompletedPositives(
        np.where(ROWS % 3, ROWS % 4, NO_CLUSTER),
        IterativePositives(IterativeConfig(k=6, warmup_epochs=1, recluster_every=3), N, {}, 0),
    ),
}


def assert_resumes_exactly(images, root, caplog, kind, training, **options):
    straight = train(images, ROWS, POSITIVES[kind](), training, seed=0, name="straight", **options)
    process = start(_train_until_killed, kind, training, options, root, 3)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    with caplog.at_level(logging.INFO):
        resumed = train(images, ROWS, POSITIVES[kind](), training, seed=0, name="resumed", checkpoints=root, **options)
    assert "going on after epoch 3 of 5" in caplog.text
    assert same(weights(straight), weights(resumed))
    assert (straight.clusters == resumed.clusters).all()
    measured = [c for c in straight.history.columns if c not in {"images_per_second", "seconds"}]
    assert straight.history.select(measured).equals(resumed.history.select(measured))


@pytest.mark.parametrize("kind", POSITIVES)
@pytest.mark.parametrize("optimiser", ["sgd", "adamw", "muon"])
def test_a_killed_training_goes_on_and_ends_with_the_same_weights(images, tmp_path, caplog, kind, optimiser):
    progressive = {"scale": 0.5, "share": 0.8}  # the first epoch after the kill is the last small one
    training = config(epochs=5, progressive=progressive, optimiser=OptimiserConfig(name=optimiser, learning_rate=0.01))
    assert_resumes_exactly(images, tmp_path, caplog, kind, training)


SIDE = SideInformation(
    attributes=torch.tensor([[float(i % 2), float(i % 3 == 0), torch.nan if i % 5 else 1.0] for i in range(N)]),
    affinity=Affinity(
        pl.DataFrame({"kind": [["even", "odd"][i % 2] for i in range(N)]}), {"kind": AttributeSpec(kind="categorical")}
    ),
)
RIVALS = {
    "affinity": AffinityInfoNCEConfig(),
    "cluster_cross_entropy": ClusterCrossEntropyConfig(),
    "attribute_prediction": AttributePredictionConfig(loss="sigmoid"),
    "cmc": CmcConfig(),
    "pcl": PclConfig(queue=20, ks=(3, 5), warmup_epochs=2, negative_prototypes=3),
    "swav": SwavConfig(
        prototypes=5, queue=20, queue_start_epoch=2, small_crops=2, small_size=8, small_scale=(0.2, 0.4)
    ),
}


@pytest.mark.parametrize("rival", RIVALS)
def test_every_rival_learns_and_goes_on_exactly_after_a_kill(images, tmp_path, caplog, rival):
    training = config(epochs=5, optimiser=OptimiserConfig(name="adamw", learning_rate=0.003))
    assert_resumes_exactly(images, tmp_path, caplog, "fixed", training, objective=RIVALS[rival], side=SIDE)


def test_other_objectives_or_side_information_start_anew(images, tmp_path, caplog):
    options = {"seed": 0, "name": "rival", "checkpoints": tmp_path}
    few = SideInformation(attributes=SIDE.attributes[:, :2])
    train(images, ROWS, KINDS, config(), objective=CmcConfig(), side=SIDE, **options)
    with caplog.at_level(logging.INFO):
        train(images, ROWS, KINDS, config(), objective=CmcConfig(temperature=0.2), side=SIDE, **options)
        train(images, ROWS, KINDS, config(), objective=CmcConfig(), side=few, **options)
        assert "going on" not in caplog.text
        train(images, ROWS, KINDS, config(), objective=CmcConfig(), side=SIDE, **options)
        assert "trained before, all 3 epochs" in caplog.text


def test_workers_are_told_what_clusterings_change_and_no_tables_of_the_train_split(images, monkeypatch):
    told = []
    monkeypatch.setattr(Group, "agree", lambda _, tensors: told.append(sorted(tuple(t.shape) for t in tensors)))
    for name in ("cmc", "affinity", "attribute_prediction", "pcl"):
        train(images, ROWS, KINDS, config(epochs=1), objective=RIVALS[name], side=SIDE, seed=0, name=name)
    *of_tables, of_pcl = told
    assert SIDE.attributes.shape not in {shape for shapes in of_tables for shape in shapes}
    assert (len(ROWS),) in of_pcl  # which picture is in which cluster


def test_rivals_without_what_they_need_say_so(images):
    with pytest.raises(InputError, match="no binary attribute"):
        train(images, ROWS, KINDS, config(), objective=CmcConfig(), seed=0, name="cmc")
    with pytest.raises(ValueError, match="affinity"):
        train(images, ROWS, KINDS, config(), objective=AffinityInfoNCEConfig(), seed=0, name="affinity")


def test_an_objectives_own_encoder_computes_in_the_precision_of_the_training(images, monkeypatch):
    dtypes, project = [], Encoder.project

    def spy(self, features):
        dtypes.append(features.dtype)
        return project(self, features)

    monkeypatch.setattr(Encoder, "project", spy)
    training = config(epochs=1, device=DeviceConfig(precision="bf16"))
    train(images, ROWS, KINDS, training, objective=PclConfig(ks=(3,)), seed=0, name="pcl")
    # In each of three steps the encoder's and the momentum encoder's, each of both views together.
    assert dtypes == [torch.bfloat16] * 6


def test_small_crops_larger_than_the_pictures_are_refused(images):
    swav = SwavConfig(prototypes=5, small_crops=3, small_size=SIZE + 1)
    with pytest.raises(InputError, match=r"swav\.small_size: 17 px is more than the 16 px"):
        train(images, ROWS, KINDS, config(epochs=1), objective=swav, seed=0, name="swav")


def test_multi_crop_adds_small_views(images, monkeypatch):
    sides, project = [], Learner._project

    def spy(self, views):
        sides.append(tuple(views.shape[::3]))
        return project(self, views)

    monkeypatch.setattr(Learner, "_project", spy)
    swav = SwavConfig(prototypes=5, small_crops=3, small_size=8, small_scale=(0.2, 0.4))
    train(images, ROWS, KINDS, config(epochs=1), objective=swav, seed=0, name="swav")
    assert sides == [(32, SIZE), (48, 8)] * 3


def test_other_parameters_seeds_pictures_or_positives_start_anew(images, tmp_path, caplog):
    train(images, ROWS, KINDS, config(), seed=0, name="kinds", checkpoints=tmp_path)
    with caplog.at_level(logging.INFO):
        train(images, ROWS, KINDS, config(), seed=1, name="kinds", checkpoints=tmp_path)
        train(images, ROWS + 1, KINDS, config(), seed=0, name="kinds", checkpoints=tmp_path)
        train(images, ROWS, FixedPositives(ROWS % 3), config(), seed=0, name="kinds", checkpoints=tmp_path)
        train(images, ROWS, KINDS, config(batch_size=12), seed=0, name="kinds", checkpoints=tmp_path)
        assert "going on" not in caplog.text
        train(images, ROWS, KINDS, config(), seed=0, name="kinds", checkpoints=tmp_path)
        assert "trained before, all 3 epochs" in caplog.text


def test_another_version_of_this_package_starts_anew(images, tmp_path, caplog, monkeypatch):
    train(images, ROWS, KINDS, config(), seed=0, name="kinds", checkpoints=tmp_path)
    monkeypatch.setattr("weakcl_pipeline.contrastive.trainer.__version__", "0.0.1")
    with caplog.at_level(logging.INFO):
        train(images, ROWS, KINDS, config(), seed=0, name="kinds", checkpoints=tmp_path)
    assert "going on" not in caplog.text


def test_a_loss_that_is_not_finite_stops_keeps_the_checkpoint_and_names_the_batch(images, tmp_path, monkeypatch):
    step, calls = Learner.step, []

    def poisoned(self, *arguments, **named):
        calls.append(1)
        measured = step(self, *arguments, **named)
        return measured * torch.nan if len(calls) == 5 else measured  # batch 2 of epoch 2: there are 3 an epoch

    monkeypatch.setattr(Learner, "step", poisoned)
    with pytest.raises(InputError, match=r"loss is nan at batch 2 of epoch 2; the checkpoint of epoch 1 is kept"):
        train(images, ROWS, KINDS, config(), seed=0, name="kinds", checkpoints=tmp_path)
    assert [path.name for path in tmp_path.glob("*/epoch-*")] == ["epoch-00001"]


def test_weights_that_the_last_step_of_an_epoch_breaks_are_not_kept(images, tmp_path):
    """One batch an epoch: its loss is that of the weights before it."""
    blowing_up = config(epochs=1, batch_size=N, optimiser=OptimiserConfig(learning_rate=1e19, warmup_share=0.0))
    with pytest.raises(InputError, match=r"features are not finite after the last batch of epoch 1; no epoch was fin"):
        train(images, ROWS, KINDS, blowing_up, seed=0, name="kinds", checkpoints=tmp_path)
    assert list(tmp_path.glob("*/epoch-*")) == []


@pytest.mark.parametrize(
    ("name", "positives", "objective"),
    [
        ("iterative", IterativePositives(IterativeConfig(k=6, warmup_epochs=3), N, {}, 0), None),
        ("pcl", KINDS, PclConfig(queue=20, ks=(3,), warmup_epochs=3, negative_prototypes=2)),
    ],
)
def test_a_warm_up_without_an_end_is_told(images, caplog, name, positives, objective):
    def warned(epochs):
        caplog.clear()
        train(images, ROWS, positives, config(epochs=epochs), seed=0, name=name, objective=objective)
        return f"{name}: all 3 epochs are warm-up" in caplog.text and f"lower {name}.warmup_epochs" in caplog.text

    assert warned(3)
    assert not warned(4)


@pytest.mark.parametrize("channel", [0, 2])
def test_a_channel_that_never_varies_does_not_drown_the_others(channel):
    """Augmented views do vary there, as hue turns; divided by nearly nothing, they would be all that is learnt of."""
    pixels = np.random.default_rng(0).integers(0, 256, (N, SIZE, SIZE, 3), dtype=np.uint8)
    pixels[::2, :8] //= 3
    pixels[..., channel] = 0
    store = open_store(pixel_table([f"s{i}" for i in range(N)], pixels))
    result = train(store, ROWS, KINDS, config(epochs=8), seed=0, name="kinds")
    features = embed(result.encoder, store)
    spread = features.std(axis=0).mean() / np.abs(features).mean()
    assert spread > 0.05
    assert result.history["loss"][-1] < result.history["loss"][0] - 0.3


def test_a_learning_rate_that_blows_up_is_caught_for_real(images):
    with pytest.raises(InputError, match=r"loss is (nan|inf).*learning_rate"):
        train(images, ROWS, KINDS, config(optimiser=OptimiserConfig(learning_rate=1e30)), seed=0, name="kinds")


@pytest.mark.parametrize(
    ("objective", "temperature"),
    [
        (None, "training.objective.temperature"),
        (CmcConfig(), "cmc.temperature"),
        (AttributePredictionConfig(), None),
    ],
)
def test_what_may_help_against_a_loss_that_is_not_finite_is_what_the_objective_reads(images, objective, temperature):
    blowing_up = config(optimiser=OptimiserConfig(learning_rate=1e30))
    with pytest.raises(InputError, match=r"loss is (nan|inf)") as error:
        train(images, ROWS, KINDS, blowing_up, seed=0, name="kinds", objective=objective, side=SIDE)
    assert re.findall(r"\S+\.temperature", str(error.value)) == ([temperature] if temperature else [])


def test_a_batch_larger_than_the_train_split_is_refused(images):
    with pytest.raises(InputError, match=r"training\.batch_size: 64 is more than the 48 samples"):
        train(images, ROWS, KINDS, config(batch_size=64), seed=0, name="kinds")


def test_wrong_parameters_name_their_key():
    with pytest.raises(ValidationError, match="epocs"):
        config(epocs=3)
    with pytest.raises(ValidationError, match=r"objective\.temperature"):
        config(objective={"temperature": 0})


def test_alignment_and_uniformity_by_hand():
    first = torch.nn.functional.normalize(torch.randn(6, 4), dim=1)
    second = torch.nn.functional.normalize(torch.randn(6, 4), dim=1)
    expected = sum(float(((a - b) ** 2).sum()) for a, b in zip(first, second, strict=True)) / 6
    assert float(alignment(first, second)) == pytest.approx(expected, rel=1e-5)
    potentials = [float(torch.exp(-2 * ((first[i] - first[j]) ** 2).sum())) for i in range(6) for j in range(i)]
    assert float(uniformity(first)) == pytest.approx(float(np.log(np.mean(potentials))), rel=1e-5)


HALF = ENCODER.model_copy(update={"stem": "half"})  # 16 px to one pixel in all, and at 8 px once too often


@pytest.mark.parametrize(
    ("changes", "objective", "key"),
    [
        ({"progressive": {"scale": 0.5, "share": 0.5}}, None, r"training\.progressive\.scale: views of 8 px"),
        ({}, SwavConfig(prototypes=5, small_crops=1, small_size=8), r"swav\.small_size: views of 8 px"),
        ({"encoder": ENCODER.model_copy(update={"stem": "original"})}, None, r"images\.size: views of 16 px"),
    ],
)
def test_views_too_small_for_the_encoder_are_refused_before_the_first_step(
    images, changes, objective, key, monkeypatch
):
    monkeypatch.setattr(Learner, "step", lambda *_, **__: pytest.fail("trained"))
    with pytest.raises(InputError, match=key):
        train(images, ROWS, KINDS, config(**{"encoder": HALF} | changes), seed=0, name="kinds", objective=objective)


def test_views_that_the_encoder_does_not_halve_too_often_train(images):
    progressive = {"scale": 0.75, "share": 1}
    result = train(images, ROWS, KINDS, config(encoder=HALF, progressive=progressive, epochs=1), seed=0, name="kinds")
    assert result.history["view_size"].to_list() == [12]
