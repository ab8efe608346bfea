import itertools
import math
from copy import deepcopy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from safetensors.torch import load, save

from weakcl_pipeline.contrastive import Encoder, EncoderConfig
from weakcl_pipeline.contrastive.encoder import HeadConfig
from weakcl_pipeline.contrastive.group import Shard
from weakcl_pipeline.contrastive.objectives import Batch
from weakcl_pipeline.contrastive.objectives.pcl import Pcl, PclConfig, concentrations
from weakcl_pipeline.errors import InputError

TINY = {"layers": [1, 1, 1, 1], "channels": [4, 4, 4, 8]}
N, DIM, BATCH = 40, 8, 6


def tiny_encoder(seed=0):
    config = EncoderConfig(
        backbone="resnet18", backbone_kwargs=TINY, head=HeadConfig(hidden_layers=0, output_dim=DIM), stem="half"
    )
    return Encoder.create(config, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), seed)


def pcl(n_samples=N, encoder=None, **config):
    return Pcl(PclConfig(**{"ks": (5, 9), "warmup_epochs": 0} | config), encoder or tiny_encoder(), n_samples)


def unit(n, seed=0, dtype=torch.float64, dim=DIM):
    z = torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return F.normalize(z, dim=1).to(dtype)


def views(n=2 * BATCH, seed=0):
    """Both views of a batch."""
    return torch.rand(n, 3, 8, 8, generator=torch.Generator().manual_seed(seed))


def keys(objective, pictures=None):
    """Project views of a batch by the momentum encoder."""
    encoder = objective.key_encoder
    with torch.no_grad():
        return encoder.project(encoder(views() if pictures is None else pictures))


def samples_of(step, n=BATCH, n_samples=N):
    return torch.randperm(n_samples, generator=torch.Generator().manual_seed(step))[:n]


def features(n=N, seed=0, spread=0.3):
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(12, DIM))
    points = centres[generator.integers(0, 12, n)] + spread * generator.normal(size=(n, DIM))
    return Shard.whole(torch.from_numpy(points / np.linalg.norm(points, axis=1, keepdims=True)).float())


def loss_and_gradient(function, z, *arguments):
    z = z.clone().requires_grad_()
    loss = function(z, *arguments)
    (gradient,) = torch.autograd.grad(loss, z)
    return loss.detach(), gradient


def cross_entropy(positive, negatives):
    """-log of the positive's share, written out."""
    return -torch.log(torch.exp(positive) / (torch.exp(positive) + sum(torch.exp(n) for n in negatives)))


def slow_info_nce(z, keys, samples, queue, temperature):
    losses = []
    for i, sample in enumerate(samples.tolist()):
        negatives = [z[i] @ key / temperature for other, key in queue if other != sample]
        losses.append(cross_entropy(z[i] @ keys[i] / temperature, negatives))
    return torch.stack(losses).mean()


def slow_proto_nce(z, samples, assignment, prototypes, phi):
    losses = []
    for i, sample in enumerate(samples.tolist()):
        own = int(assignment[sample])
        negatives = [z[i] @ prototypes[c] / phi[c] for c in range(len(prototypes)) if c != own]
        losses.append(cross_entropy(z[i] @ prototypes[own] / phi[own], negatives))
    return torch.stack(losses).mean()


def slow_loss(z, samples, keys, queue, clusterings, temperature):
    """Each view with the other's key, as two losses."""
    losses = []
    for query, key in (0, 1), (1, 0):
        own, theirs = z.chunk(2)[query], keys.chunk(2)[key]
        loss = slow_info_nce(own, theirs, samples, queue, temperature)
        for c in clusterings:
            prototypes, phi = c.prototypes.double(), c.concentrations.double()
            loss = loss + slow_proto_nce(own, samples, c.assignment, prototypes, phi) / len(clusterings)
        losses.append(loss)
    return sum(losses) / 2


def slow_concentrations(points, assignment, prototypes, alpha, temperature):
    """Equation 12 and the authors' treatment of small and extreme clusters, cluster by cluster."""
    phi = {}
    for c in range(len(prototypes)):
        members = [v for v, own in zip(points, assignment, strict=True) if own == c]
        if len(members) > 1:
            total = sum(np.linalg.norm(v - prototypes[c]) for v in members)
            phi[c] = total / (len(members) * math.log(len(members) + alpha))
    values = np.array([phi.get(c, max(phi.values())) for c in range(len(prototypes))])
    values = values.clip(np.percentile(values, 10), np.percentile(values, 90))
    return temperature * values / values.mean()


@pytest.mark.parametrize(
    ("queue", "temperature", "clustered"),
    [(1, 0.5, False), (4, 0.1, False), (4, 0.1, True), (15, 0.5, True), (1000, 0.1, False), (1000, 0.1, True)],
)
def test_equals_the_loops_over_keys_and_prototypes_step_by_step(queue, temperature, clustered):
    objective = pcl(queue=queue, temperature=temperature)
    if clustered:
        objective.update(0, features(), seed=3)
    momentum_encoder, kept = deepcopy(objective.momentum_encoder), []
    for step in range(8):
        z, samples, pictures = unit(2 * BATCH, seed=step), samples_of(step), views(seed=step)
        with torch.no_grad():
            expected_keys = momentum_encoder.project(momentum_encoder(pictures)).double()
        arguments = (samples, expected_keys, kept, objective.clusterings if clustered else [], temperature)
        expected, expected_gradient = loss_and_gradient(slow_loss, z, *arguments)
        loss, gradient = loss_and_gradient(objective, z, keys(objective, pictures), samples)
        torch.testing.assert_close(loss, expected, rtol=1e-6, atol=1e-7)
        torch.testing.assert_close(gradient, expected_gradient, rtol=1e-5, atol=1e-6)
        kept = (list(zip(samples.tolist() * 2, expected_keys, strict=True)) + kept)[: min(queue, N)]


def test_clusters_are_k_means_with_the_concentrations_of_the_paper():
    objective = pcl(alpha=3, temperature=0.4)
    figures = objective.update(2, features(), seed=7)
    assert set(figures) == {"inertia_5", "inertia_9"}
    for clustering in objective.clusterings:
        k = int(clustering.n_clusters)
        assignment = clustering.assignment.numpy()
        points = features().own.double().numpy()
        sums = np.array([points[assignment == c].sum(axis=0) for c in range(k)])
        centroids = sums / np.linalg.norm(sums, axis=1, keepdims=True)
        phi = slow_concentrations(points, assignment, centroids, alpha=3, temperature=0.4)
        np.testing.assert_allclose(clustering.prototypes[:k], centroids, atol=1e-6)
        np.testing.assert_allclose(clustering.concentrations[:k], phi, rtol=1e-5)
        mean_squared = ((points - centroids[assignment]) ** 2).sum(axis=1).mean()
        assert figures[f"inertia_{clustering.k}"] == pytest.approx(mean_squared, rel=0.05)


def test_clusterings_depend_on_seed_and_epoch_alone():
    assignments = []
    for seed, epoch in [(1, 0), (1, 0), (2, 0), (1, 1)]:
        objective = pcl(ks=(9,))
        objective.update(epoch, features(spread=1), seed)
        assignments.append(objective.clusterings[0].assignment)
    first, again, other_seed, other_epoch = assignments
    assert (first == again).all()
    assert (first != other_seed).any()
    assert (first != other_epoch).any()


@given(
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=30),
    seed=st.integers(0, 2**31),
    temperature=st.floats(0.05, 1),
)
@settings(deadline=None, max_examples=40)
def test_concentrations_equal_the_loop_and_have_the_temperature_as_mean(sizes, seed, temperature):
    assignment = np.repeat(np.arange(len(sizes)), sizes)
    points = unit(len(assignment), seed=seed).numpy()
    sums = np.array([points[assignment == c].sum(axis=0) for c in range(len(sizes))])
    prototypes = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    distances = torch.from_numpy(np.linalg.norm(points - prototypes[assignment], axis=1))
    phi = concentrations(distances, torch.from_numpy(assignment), 10, temperature)
    assert float(phi.mean()) == pytest.approx(temperature, rel=1e-5)
    if max(sizes) > 1:
        expected = slow_concentrations(points, assignment, prototypes, 10, temperature)
        np.testing.assert_allclose(phi, expected, rtol=1e-5)


def test_a_cluster_of_coinciding_points_is_as_loose_as_one_of_one_point():
    assignment = torch.tensor([0, 0, 0, 1, 1, 2, 2, 3])
    distances = torch.tensor([0.3, 0.3, 0.3, 0.6, 0.6, 0, 0, 0])
    phi = concentrations(distances, assignment, 10, 0.2)
    assert phi[1] == phi[2] == phi[3]
    assert 0 < phi[0] < phi[1]


def test_points_that_all_coincide_leave_the_plain_temperature():
    phi = concentrations(torch.zeros(5), torch.tensor([0, 0, 1, 2, 2]), 10, 0.2)
    torch.testing.assert_close(phi, torch.full((3,), 0.2))


def test_coinciding_pictures_leave_empty_clusters_that_take_no_part():
    objective = pcl(ks=(9,), queue=1)
    three = torch.eye(3, DIM)[torch.arange(N) % 3]
    objective.update(0, Shard.whole(three), seed=0)
    (clustering,) = objective.clusterings
    assert int(clustering.n_clusters) == 3
    z, samples = unit(2 * BATCH), samples_of(0)
    phi, prototypes = clustering.concentrations[:3].double(), clustering.prototypes[:3].double()
    loss, gradient = loss_and_gradient(objective, z, keys(objective), samples)
    torch.testing.assert_close(loss, slow_proto_nce(z, samples.repeat(2), clustering.assignment, prototypes, phi))
    assert gradient.isfinite().all()


@pytest.mark.parametrize("r", [1, 3, 7])
def test_draws_r_different_prototypes_but_never_the_own_and_each_as_often(r):
    objective = pcl(ks=(9,), queue=1, negative_prototypes=r)
    objective.update(0, features(), seed=0)
    (clustering,) = objective.clusterings
    z, sample = unit(1), torch.tensor([11])
    own = int(clustering.assignment[11])
    logits = (clustering.prototypes.double() @ z[0]) / clustering.concentrations.double()
    losses = {}
    for subset in itertools.combinations([c for c in range(9) if c != own], r):
        losses[round(float(cross_entropy(logits[own], [logits[c] for c in subset])), 6)] = subset
    generator = torch.Generator().manual_seed(0)
    drawn = [losses[round(float(clustering(z, sample, r, generator)), 6)] for _ in range(400)]
    counts = np.bincount(np.array(drawn).ravel(), minlength=9) / len(drawn)
    np.testing.assert_allclose(np.delete(counts, own), r / 8, atol=0.08)


def test_pictures_of_one_cluster_do_not_repel_their_prototype():
    objective = pcl(ks=(5,), queue=1)
    objective.update(0, features(), seed=0)
    (clustering,) = objective.clusterings
    samples = torch.nonzero(clustering.assignment == 0).flatten()[:4]
    z = clustering.prototypes[:1].double().repeat(len(samples), 1)
    alone = clustering(z[:1], samples[:1], 100, torch.Generator())
    torch.testing.assert_close(clustering(z, samples, 100, torch.Generator()), alone)


def test_before_the_first_clustering_it_is_info_nce_alone():
    objective = pcl(warmup_epochs=2)
    embedded = []

    def embed(encoder):
        embedded.append(encoder)
        return features()

    before = deepcopy(objective.state_dict())
    assert objective.begin_epoch(0, embed) == objective.begin_epoch(1, embed) == {}
    assert embedded == []
    clustered = deepcopy(objective)
    assert set(clustered.begin_epoch(2, embed)) == {"inertia_5", "inertia_9"}
    assert embedded == [clustered.momentum_encoder]
    assert all(torch.equal(objective.state_dict()[name], tensor) for name, tensor in before.items())
    z, samples = unit(2 * BATCH), samples_of(0)
    for clustering in objective.clusterings:
        loss, gradient = loss_and_gradient(clustering, z, samples.repeat(2), 3, torch.Generator())
        assert float(loss) == 0
        assert gradient.abs().max() == 0
    first, gradient = loss_and_gradient(objective, z, keys(objective), samples)
    assert float(first) == pytest.approx(0, abs=1e-12)  # no key to tell the positive from
    assert gradient.abs().max() < 1e-12


def test_an_earlier_key_of_the_same_picture_is_no_negative():
    objective, samples, z = pcl(queue=2 * BATCH), samples_of(0), unit(2 * BATCH)
    objective(z, keys(objective, views(seed=1)), samples)
    others = deepcopy(objective)
    others.queue_samples += N  # as if the same keys were of other pictures
    later = keys(objective, views(seed=2))
    assert objective(z, later, samples) < others(z, later, samples)


def test_no_view_of_a_batch_is_a_negative_in_it():
    objective = pcl(queue=2 * BATCH)
    samples, made = samples_of(0), keys(objective)
    loss, gradient = loss_and_gradient(lambda z: objective.loss(Batch(made, z, z, samples, samples)), unit(2 * BATCH))
    assert float(loss) == pytest.approx(0, abs=1e-12)
    assert gradient.abs().max() < 1e-12
    assert (objective.queue_samples >= 0).all()


def test_a_forward_pass_in_evaluation_mode_changes_nothing():
    objective = pcl()
    objective(unit(2 * BATCH), keys(objective), samples_of(0))
    before = deepcopy(objective.state_dict())
    objective.eval()(unit(2 * BATCH, seed=1), keys(objective, views(seed=1)), samples_of(1))
    assert all(torch.equal(tensor, before[name]) for name, tensor in objective.state_dict().items())


def test_the_queue_is_no_longer_than_the_data_and_takes_batches_longer_than_itself():
    assert len(pcl(queue=1000).queue) == N
    objective = pcl(queue=4)
    objective(unit(2 * BATCH), keys(objective), samples_of(0))
    assert objective.queue_samples.tolist() == samples_of(0)[:4].tolist()
    torch.testing.assert_close(objective.queue.norm(dim=1), torch.ones(4))


def test_the_momentum_encoder_follows_the_encoder_and_its_statistics():
    encoder = tiny_encoder()
    objective = pcl(encoder=encoder, momentum=0.75)
    start = {name: p.clone() for name, p in encoder.state_dict().items() if p.is_floating_point()}
    with torch.no_grad():
        for name in start:
            encoder.state_dict()[name].add_(1)
    objective(unit(2 * BATCH, dtype=torch.float32).requires_grad_(), keys(objective), samples_of(0)).backward()
    for name, tensor in objective.momentum_encoder.state_dict().items():
        if name in start:
            torch.testing.assert_close(tensor, start[name])  # a batch moves neither weights nor statistics
    for parameter in objective.momentum_encoder.parameters():
        assert parameter.grad is None
        assert not parameter.requires_grad
    objective.after_step(encoder)
    objective.after_step(encoder)
    for name, tensor in objective.momentum_encoder.state_dict().items():
        if name in start:
            torch.testing.assert_close(tensor, start[name] + 1 - 0.75**2)


def test_a_key_does_not_depend_on_the_pictures_beside_it():
    objective = pcl().train()
    objective(unit(2 * BATCH), keys(objective), samples_of(0))
    together = objective.queue[[0, BATCH]].clone()
    alone = pcl().train()
    alone(unit(2), keys(alone, views()[[0, BATCH]]), samples_of(0)[:1])
    torch.testing.assert_close(alone.queue[:2], together)


def test_both_views_are_query_and_key_alike():
    objective, samples = pcl(queue=2 * BATCH), samples_of(0)
    objective.update(0, features(), seed=0)
    objective(unit(2 * BATCH, seed=5), keys(objective, views(seed=5)), samples_of(5))
    swapped = deepcopy(objective)
    z, made = unit(2 * BATCH, seed=1), keys(objective, views(seed=1))
    expected = objective(z, made, samples)
    torch.testing.assert_close(swapped(z.roll(BATCH, dims=0), made.roll(BATCH, dims=0), samples), expected)
    torch.testing.assert_close(swapped.queue, objective.queue.roll(BATCH, dims=0))


def run(objective, encoder, epoch):
    objective.begin_epoch(epoch, lambda _: features(seed=epoch))
    losses = []
    for step in range(4 * epoch, 4 * epoch + 4):
        z, made = unit(2 * BATCH, seed=step, dtype=torch.float32), keys(objective, views(seed=step))
        loss = objective(z, made, samples_of(step))
        with torch.no_grad():
            for parameter in encoder.parameters():
                parameter.mul_(0.9)
        objective.after_step(encoder)
        losses.append(float(loss))
    return losses


def test_goes_on_from_its_state_exactly():
    config = {"queue": 10, "negative_prototypes": 2, "momentum": 0.5}
    encoder = tiny_encoder()
    objective = pcl(encoder=encoder, **config)
    run(objective, encoder, epoch=0)
    saved = save({name: t.contiguous() for name, t in objective.state_dict().items()})
    other_encoder, other = deepcopy(encoder), pcl(encoder=tiny_encoder(seed=9), **config)
    other.load_state_dict(load(saved))
    assert run(objective, encoder, epoch=1) == run(other, other_encoder, epoch=1)
    for name, tensor in objective.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name


def test_the_prototypes_drawn_depend_on_seed_and_epoch_alone():
    def losses(seed, epoch, elsewhere):
        objective = Pcl(PclConfig(ks=(20,), warmup_epochs=0, negative_prototypes=2), tiny_encoder(), N, seed)
        objective.begin_epoch(epoch, lambda _: features())
        objective.update(0, features(), seed=0)
        torch.rand(elsewhere)  # as dropout takes from the global generator
        return [float(objective(unit(2 * BATCH), keys(objective), samples_of(0))) for _ in range(3)]

    drawn = losses(0, 0, elsewhere=0)
    assert losses(0, 0, elsewhere=5) == drawn
    assert losses(1, 0, elsewhere=0) != drawn
    assert losses(0, 1, elsewhere=0) != drawn


def test_half_precision_is_computed_in_float32():
    objective = pcl()
    objective.update(0, features(), seed=0)
    objective(unit(2 * BATCH), keys(objective, views(seed=1)), samples_of(1))
    kept = list(zip(samples_of(1).tolist() * 2, objective.queue[: 2 * BATCH].double(), strict=True))
    z, samples = unit(2 * BATCH).bfloat16(), samples_of(0)
    with torch.autocast("cpu", torch.bfloat16):
        loss = objective(z, keys(objective), samples)
    assert loss.dtype == objective.queue.dtype == torch.float32
    expected_keys = objective.queue[: 2 * BATCH].double()
    expected = slow_loss(z.double(), samples, expected_keys, kept, objective.clusterings, objective.config.temperature)
    torch.testing.assert_close(loss, expected.float(), rtol=1e-5, atol=1e-6)


def test_one_cluster_has_no_negative():
    objective = pcl(ks=(1,), queue=1)
    objective.update(0, features(), seed=0)
    assert [c.k for c in objective.clusterings] == [1]
    assert float(objective.clusterings[0](unit(BATCH), samples_of(0), 5, torch.Generator())) == 0


def test_the_defaults_are_fractions_of_the_data():
    objective = Pcl(PclConfig(), tiny_encoder(), 100)
    assert [clustering.k for clustering in objective.clusterings] == [2, 4, 8]


@pytest.mark.parametrize("k", [41, 0.01])
def test_a_k_that_the_data_cannot_have_is_refused(k):
    with pytest.raises(InputError, match=r"pcl\.ks: .* 40 samples"):
        pcl(ks=(k,))


def test_shapes_that_do_not_belong_together_are_refused():
    objective = pcl()
    z, made, samples = unit(2 * BATCH), keys(objective), samples_of(0)
    wide = unit(2 * BATCH, dim=DIM + 1)
    for wrong in [(z, made, samples[:5]), (wide, made, samples), (z, wide, samples), (z, made[:-1], samples)]:
        with pytest.raises(ValueError, match=r"samples \(B,\)"):
            objective(*wrong)
    with pytest.raises(ValueError, match=r"expected embeddings \(40, 8\)"):
        objective.update(0, features(n=39), seed=0)


@pytest.mark.parametrize("wrong", [{"momentum": 1.0}, {"ks": ()}, {"ks": (0.0,)}, {"queue": 0}, {"temperature": 0}])
def test_parameters_out_of_range_are_refused(wrong):
    with pytest.raises(ValidationError):
        PclConfig(**wrong)
