import itertools
import math

import numpy as np
import polars as pl
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.contrastive.oracles import nt_xent
from tests.contrastive.test_encoder import tiny
from tests.processes import growth_of
from weakcl_pipeline.attributes.affinity import Affinity
from weakcl_pipeline.attributes.schema import AttributeSpec
from weakcl_pipeline.contrastive.logsumexp import self_excluded_logsumexp
from weakcl_pipeline.contrastive.objectives.affinity import AffinityInfoNCE, AffinityInfoNCEConfig
from weakcl_pipeline.contrastive.objectives.attribute_prediction import AttributePrediction, AttributePredictionConfig
from weakcl_pipeline.contrastive.objectives.base import Batch, Setting, SideInformation
from weakcl_pipeline.contrastive.objectives.cl_infonce import ClInfoNCE, ClInfoNCEConfig


def embeddings(n, dim=16, seed=0, dtype=torch.float64):
    z = torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return F.normalize(z, dim=1).to(dtype)


def look_up(matrix):
    """The affinity of a train split whose matrix of affinities is given."""
    return lambda rows, columns: matrix[rows][:, columns]


def random_affinities(n, seed=0, unknown=0.2):
    """Symmetric, in [0, 1], a third of them 0 and some unknown, with a diagonal that has no say."""
    generator = torch.Generator().manual_seed(seed)
    matrix = torch.rand(n, n, generator=generator).triu()
    matrix = matrix * (torch.rand(n, n, generator=generator) > 1 / 3)
    matrix[torch.rand(n, n, generator=generator) < unknown] = torch.nan
    return torch.maximum(matrix, matrix.T)


def dense_affinity_infonce(z, samples, matrix, temperature, power):
    """The formula, written with loops over anchors and candidates."""
    views = len(z) // len(samples)
    sample_of = [int(sample) for _ in range(views) for sample in samples]
    losses = []
    for i in range(len(z)):
        others = [a for a in range(len(z)) if a != i]
        affinity = {j: float(matrix[sample_of[i], sample_of[j]]) for j in others if sample_of[j] != sample_of[i]}
        known = {j: value**power for j, value in affinity.items() if not math.isnan(value)}
        weights = {j: 1.0 if j not in affinity else 0.0 for j in others}
        weights |= {j: value * len(affinity) / len(known) for j, value in known.items()}
        total = sum(weights.values())
        if total == 0:
            continue
        partition = torch.stack([torch.exp(z[i] @ z[a] / temperature) for a in others]).sum()
        losses.append(torch.log(partition) - sum(weights[j] * (z[i] @ z[j]) / temperature for j in others) / total)
    return torch.stack(losses).mean() if losses else z.sum() * 0


def masked_affinity_infonce(z, samples, matrix, temperature, power):
    """The same with N x N matrices, for sizes where loops are too slow."""
    samples = samples.repeat(len(z) // len(samples))
    itself = torch.eye(len(z), dtype=torch.bool)
    own, weights = samples[:, None] == samples, matrix[samples][:, samples].to(z.dtype) ** power
    known = (~weights.isnan() & ~own).sum(dim=1, keepdim=True)
    weights = weights.nan_to_num(0) * (~own).sum(dim=1, keepdim=True) / known.clamp(min=1)
    weights = weights.masked_fill(own, 1).masked_fill(itself, 0)
    logits = z @ z.T / temperature
    lse = logits.masked_fill(itself, -torch.inf).logsumexp(dim=1)
    return (lse - (weights * logits).sum(dim=1) / weights.sum(dim=1)).mean()


def loss_and_gradient(function, z):
    z = z.clone().requires_grad_()
    loss = function(z)
    (gradient,) = torch.autograd.grad(loss, z)
    return loss.detach(), gradient


def objective_of(temperature=0.1, power=1.0):
    return AffinityInfoNCE(AffinityInfoNCEConfig(temperature=temperature, power=power))


@pytest.mark.parametrize(
    ("n", "views", "temperature", "power"), list(itertools.product([2, 3, 8], [1, 2, 3], [0.1, 2.0], [0.5, 1.0, 3.0]))
)
def test_equals_the_loop_over_anchors_and_candidates(n, views, temperature, power):
    z, matrix = embeddings(n * views, seed=n), random_affinities(2 * n, seed=n)
    samples = torch.randperm(2 * n, generator=torch.Generator().manual_seed(n))[:n]
    expected = loss_and_gradient(lambda x: dense_affinity_infonce(x, samples, matrix, temperature, power), z)
    objective = objective_of(temperature, power)
    found = loss_and_gradient(lambda x: objective(x, samples, look_up(matrix)), z)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)  # affinities are float32


@pytest.mark.parametrize(("n", "views"), [(5, 1), (9, 2), (300, 3), (1100, 1)])
@pytest.mark.parametrize("power", [1.0, 2.5])
def test_affinities_of_0_and_1_are_hard_clusters(n, views, power):
    z = embeddings(n * views, seed=1)
    clusters = torch.randint(0, n // 2, (n,), generator=torch.Generator().manual_seed(2))
    samples = torch.randperm(n, generator=torch.Generator().manual_seed(3))
    matrix = torch.empty(n, n)
    matrix[samples[:, None], samples] = (clusters[:, None] == clusters).float()
    hard = ClInfoNCE(ClInfoNCEConfig(temperature=0.2))
    expected = loss_and_gradient(lambda x: hard(x, clusters.repeat(views)), z)
    found = loss_and_gradient(lambda x: objective_of(0.2, power)(x, samples, look_up(matrix)), z)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-13)


def test_without_related_samples_it_is_simclr():
    first, second = embeddings(24, seed=1), embeddings(24, seed=2)
    loss = objective_of(0.3)(torch.cat([first, second]), torch.arange(24), look_up(torch.zeros(24, 24)))
    torch.testing.assert_close(loss, nt_xent(first, second, 0.3))


@pytest.mark.parametrize(("n", "views"), [(256, 2), (300, 2), (1100, 1)])
def test_float32_is_within_1e5_of_float64_across_strips_and_tiles(n, views):
    z, matrix, samples = embeddings(n * views, dim=128, dtype=torch.float32), random_affinities(n), torch.arange(n)
    expected, expected_gradient = loss_and_gradient(
        lambda x: masked_affinity_infonce(x, samples, matrix, 0.1, 2.0), z.double()
    )
    loss, gradient = loss_and_gradient(lambda x: objective_of(0.1, 2.0)(x, samples, look_up(matrix)), z)
    assert abs(loss.double() - expected) / expected < 1e-5
    assert (gradient.double() - expected_gradient).norm() / expected_gradient.norm() < 1e-5


@given(seed=st.integers(0, 2**31), n=st.integers(2, 12), views=st.integers(1, 3))
@settings(deadline=None, max_examples=40)
def test_the_order_of_samples_does_not_matter(seed, n, views):
    z, matrix = embeddings(n * views, seed=seed), random_affinities(n, seed=seed)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    reordered = z.view(views, n, -1)[:, order].flatten(0, 1)
    objective = objective_of()
    torch.testing.assert_close(
        objective(z, torch.arange(n), look_up(matrix)), objective(reordered, order, look_up(matrix))
    )


@pytest.mark.parametrize("seed", range(3))
def test_affinities_need_not_be_symmetric(seed):
    z, samples = embeddings(20, seed=seed), torch.arange(10)
    matrix = torch.rand(10, 10, generator=torch.Generator().manual_seed(seed))
    expected = loss_and_gradient(lambda x: masked_affinity_infonce(x, samples, matrix, 0.1, 1.0), z)
    found = loss_and_gradient(lambda x: objective_of()(x, samples, look_up(matrix)), z)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)


def test_a_sample_drawn_twice_has_twice_the_views():
    z, matrix = embeddings(8), random_affinities(3)
    samples = torch.tensor([2, 0, 2, 1])
    expected = loss_and_gradient(lambda x: dense_affinity_infonce(x, samples, matrix, 0.1, 1.0), z)
    found = loss_and_gradient(lambda x: objective_of()(x, samples, look_up(matrix)), z)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)


def test_weights_have_no_gradient():
    z, logits = embeddings(8), torch.zeros(4, 4, requires_grad=True)
    loss = objective_of()(z.requires_grad_(), torch.arange(4), look_up(logits.sigmoid()))
    loss.backward()
    assert z.grad.abs().max() > 0
    assert logits.grad is None


def test_by_hand():
    # One view each of three samples: the first two are half alike, the third is like none and adds nothing.
    z = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    matrix = torch.tensor([[1.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 1.0]])
    loss = objective_of(0.5)(z, torch.arange(3), look_up(matrix))
    assert float(loss) == pytest.approx(math.log(math.exp(2) + 1) - 2, rel=1e-6)


@pytest.mark.parametrize("weight", [0.0, 1e-30, 1e-38])
def test_weights_of_next_to_nothing_stay_finite(weight):
    for views in (1, 2):
        z = embeddings(6 * views, dtype=torch.float32)
        loss, gradient = loss_and_gradient(
            lambda x: objective_of(power=1.2)(x, torch.arange(6), look_up(torch.full((6, 6), weight))), z
        )
        assert loss.isfinite()
        assert gradient.isfinite().all()
        assert (loss == 0) == (views == 1 and weight != 1e-30)


def test_half_precision_is_computed_in_float32():
    z, matrix = embeddings(64).bfloat16(), random_affinities(32)
    with torch.autocast("cpu", torch.bfloat16):
        loss = objective_of()(z, torch.arange(32), look_up(matrix))
    torch.testing.assert_close(loss, objective_of()(z.float(), torch.arange(32), look_up(matrix)))


def test_shapes_that_do_not_belong_together_are_refused():
    for z, samples in [
        (embeddings(5), torch.arange(2)),
        (embeddings(4), torch.zeros(2, 2)),
        (embeddings(4)[0], torch.arange(4)),
    ]:
        with pytest.raises(ValueError, match=r"\(V\*B, D\) and samples \(B,\)"):
            objective_of()(z, samples, look_up(torch.ones(5, 5)))
    with pytest.raises(ValueError, match=r"each pair of 4 samples, got \[\(4, 2\)\]"):
        objective_of()(embeddings(4), torch.arange(4), lambda rows, columns: torch.ones(4, 2))


# --- Values missing completely at random ---


KINDS = {"colour": "categorical", "path": "hierarchy", "tags": "tags", "age": "continuous"}


def related_samples(n, seed=0):
    """Embeddings in 4 groups with 3 subgroups each, and attributes that tell of them."""
    rng = np.random.default_rng(seed)
    group, subgroup = rng.integers(0, 4, n), rng.integers(0, 3, n)
    centres = rng.normal(size=(4, 1, 8)) * 0.6 + rng.normal(size=(4, 3, 8)) * 0.4
    z = F.normalize(torch.from_numpy(centres[group, subgroup] + rng.normal(size=(n, 8)) * 0.5), dim=1)
    frequent = [np.roll([0.8, 0.5, 0.3, 0.2, 0.1, 0.05, 0.05, 0.05], 2 * g) for g in range(4)]
    table = pl.DataFrame({
        "colour": [f"c{g}" for g in group],
        "path": [[f"r{g // 2}", f"g{g}", f"s{s}"] for g, s in zip(group, subgroup, strict=True)],
        "tags": [[word for word, p in zip("stuvwxyz", frequent[g], strict=True) if rng.random() < p] for g in group],
        "age": group * 2.0 + rng.normal(size=n),
    })  # fmt: skip
    return z, table


def delete(column, share, rng):
    """Delete exactly that share of the cells, any of them with the same probability."""
    kept = np.ones(len(column), dtype=bool)
    kept[rng.permutation(len(column))[: round(share * len(column))]] = False
    return pl.select(pl.when(pl.Series(kept)).then(column)).to_series().alias(column.name)


def affinity_by(columns):
    specs = {column.name: AttributeSpec(kind=KINDS[column.name], min_count=1) for column in columns}
    return Affinity(pl.DataFrame(columns), specs)


def positive_term(z, affinity, views=1, power=1.0):
    """The mean over the anchors that have a positive of their mean similarity to positives: what the loss leaves."""
    n = len(z) // views
    weights = affinity(torch.arange(n), torch.arange(n)).nan_to_num(0).fill_diagonal_(0)
    has_positive = ((weights.sum(dim=1) > 0) | (views > 1)).repeat(views)
    loss = objective_of(1.0, power)(z, torch.arange(n), affinity)
    return float(self_excluded_logsumexp(z, 1.0)[has_positive].mean() - loss)


def standard_errors(deviations):
    return np.mean(deviations) / (np.std(deviations) / math.sqrt(len(deviations)))


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
def test_deleted_values_leave_the_positive_term_without_bias(share):
    z, table = related_samples(150)
    column, rng = table["colour"], np.random.default_rng(1)
    complete = positive_term(z, affinity_by([column]))
    deleted = [delete(column, share, rng) for _ in range(60)]
    right = [positive_term(z, affinity_by([left])) - complete for left in deleted]
    assert abs(standard_errors(right)) < 3
    # Taking missing for one more value makes positives of unrelated samples, which this would show.
    wrong = [positive_term(z, affinity_by([left.fill_null("missing")])) - complete for left in deleted[:15]]
    assert standard_errors(wrong) < -15


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
@pytest.mark.parametrize("name", ["path", "tags", "age"])
@pytest.mark.parametrize("power", [1.0, 2.0])
def test_graded_affinities_are_a_ratio_of_means_whose_bias_drowns_in_the_standard_error(name, power, share):
    z, table = related_samples(240)
    column, rng = table[name], np.random.default_rng(1)
    complete = positive_term(z, affinity_by([column]), power=power)
    found = [positive_term(z, affinity_by([delete(column, share, rng)]), power=power) - complete for _ in range(15)]
    assert abs(standard_errors(found)) < 3


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
def test_with_several_attributes_deleted_cells_move_the_positive_term_by_a_few_percent(share):
    z, table = related_samples(150)
    rng = np.random.default_rng(1)
    complete = positive_term(z, affinity_by(list(table)))
    found = [positive_term(z, affinity_by([delete(column, share, rng) for column in table])) for _ in range(20)]
    assert np.mean(found) == pytest.approx(complete, rel=0.1 * share)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
@pytest.mark.parametrize("name", ["colour", "tags"])
def test_an_anchors_own_view_keeps_its_share_beside_partners_of_whom_less_is_known(name, share):
    n, rng = 150, np.random.default_rng(2)
    z = torch.eye(n, dtype=torch.float64).repeat(2, 1)  # own views coincide, and all others are orthogonal
    column = related_samples(n)[1][name]
    complete = affinity_by([column])(torch.arange(n), torch.arange(n))
    ratios, uncorrected = [], []
    for _ in range(20):
        lost = torch.from_numpy(delete(column, share, rng).is_null().to_numpy())
        # Anchors of whom nothing is known see no partners here as there; what differs is what the others see.
        all_partners = complete.masked_fill(lost[:, None], torch.nan)
        some_partners = all_partners.masked_fill(lost, torch.nan)
        shares = [
            positive_term(z, look_up(matrix), views=2) - float(lost.double().mean())
            for matrix in (all_partners, some_partners, some_partners.nan_to_num(0))
        ]
        ratios.append(shares[1] / shares[0])
        uncorrected.append(shares[2] / shares[0])
    assert np.mean(uncorrected) > 1 + 0.5 * share
    assert np.mean(ratios) == pytest.approx(1, abs=0.05)  # a ratio of means has a bias of its own, for few partners


def built_on(attributes, **config):
    """An objective and its encoder's feature width, on a train split of 12 samples of which some are alike."""
    encoder = tiny()
    kinds = pl.DataFrame({"kind": [["x", "y", None][i % 3] for i in range(12)]})
    side = SideInformation(attributes, Affinity(kinds, {"kind": AttributeSpec(kind="categorical", min_count=1)}))
    setting = Setting(encoder, np.full(12, -1), side, 0)
    return AffinityInfoNCE.build(AffinityInfoNCEConfig(**config), setting), encoder.feature_dim


def batch_of(samples, width):
    features = torch.randn(2 * len(samples), width, generator=torch.Generator().manual_seed(0)).requires_grad_()
    z = embeddings(2 * len(samples), dtype=torch.float32)
    return Batch(torch.empty(0), features, z, samples, torch.full_like(samples, -1))


@pytest.mark.parametrize("loss", ["softmax", "sigmoid"])
def test_prototypes_of_attributes_add_their_prediction_by_bits(loss):
    attributes = torch.tensor([[float(i % 3 == 0), float(i % 2), torch.nan if i % 4 else 1.0] for i in range(12)])
    objective, width = built_on(attributes, prediction=loss, prediction_weight=0.5)
    batch = batch_of(torch.tensor([7, 0, 4, 11, 2]), width)
    by_affinity = objective(batch.z, batch.samples, objective.affinity)
    by_bits = AttributePredictionConfig(loss=loss, weights="bits")
    predicted = AttributePrediction(by_bits, width, 3, attributes.nanmean(dim=0))
    predicted.load_state_dict(objective.prediction.state_dict())
    expected = by_affinity + 0.5 * predicted(batch.features, attributes[batch.samples].repeat(2, 1))
    torch.testing.assert_close(objective.loss(batch), expected)
    objective.loss(batch).backward()
    assert batch.features.grad.abs().sum() > 0
    assert objective.prediction.classifier.weight.grad.abs().sum() > 0


def test_the_prediction_is_smoothed_where_that_is_asked_for():
    attributes = torch.tensor([[float(i % 3 == 0), float(i % 2), float(i % 6 == 0)] for i in range(12)])
    objective, width = built_on(attributes, prediction_smoothing=0.4)
    assert objective.prediction.config.smoothing == 0.4
    batch = batch_of(torch.tensor([7, 0, 4, 11, 2]), width)
    plain, _ = built_on(attributes)
    plain.prediction.load_state_dict(objective.prediction.state_dict())
    assert float((objective.loss(batch) - plain.loss(batch)).detach()) != pytest.approx(0, abs=1e-4)
    for prediction in ("sigmoid", None):
        with pytest.raises(ValueError, match="prediction_smoothing shares a target out"):
            AffinityInfoNCEConfig(prediction=prediction, prediction_smoothing=0.1)


@pytest.mark.parametrize(
    ("attributes", "prediction"), [(None, "softmax"), (torch.empty(12, 0), "softmax"), (torch.ones(12, 2), None)]
)
def test_without_attributes_or_prediction_pairs_alone_count(attributes, prediction):
    objective, width = built_on(attributes, prediction=prediction)
    batch = batch_of(torch.arange(6), width)
    assert not list(objective.parameters())
    torch.testing.assert_close(objective.loss(batch), objective(batch.z, batch.samples, objective.affinity))


def descend(n):
    z = torch.nn.functional.normalize(torch.randn(n, 8), dim=1).requires_grad_()
    AffinityInfoNCE()(z, torch.arange(n), lambda rows, columns: torch.ones(len(rows), len(columns))).backward()
    assert z.grad.isfinite().all()


def test_memory_does_not_grow_with_the_square():
    assert growth_of(descend, 2048, 16_384) < 0.3  # one matrix of weights would be 1 GiB, and 0.02 before
