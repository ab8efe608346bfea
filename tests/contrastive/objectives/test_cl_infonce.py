import itertools
import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.contrastive.oracles import dense_cl_infonce, masked_cl_infonce, nt_xent
from tests.processes import growth_of
from weakcl_pipeline.contrastive import ClInfoNCE, ClInfoNCEConfig, separate
from weakcl_pipeline.contrastive.logsumexp import self_excluded_logsumexp


def embeddings(n, dim=16, seed=0, dtype=torch.float32):
    z = torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return F.normalize(z, dim=1).to(dtype)


def clusters_of(shape, n):
    generator = torch.Generator().manual_seed(1)
    return {
        "one_cluster": torch.zeros(n, dtype=torch.int64),
        "pairs": torch.arange(n) // 2,
        "few": torch.randint(0, 3, (n,), generator=generator),
        "many_with_singletons": torch.randint(0, n, (n,), generator=generator),
        "gaps": torch.randint(0, 4, (n,), generator=generator) * 1_000_003 + 7,
    }[shape]


def loss_and_gradient(function, z):
    z = z.clone().requires_grad_()
    loss = function(z)
    (gradient,) = torch.autograd.grad(loss, z)
    return loss.detach(), gradient


def variant_by_loops(z, clusters, config):
    """Every variant by its formula: a probability for each positive of each anchor, then a weighted mean."""
    n = len(z)
    losses, weights = [], []
    for i in range(n):
        e = {a: torch.exp(z[i] @ z[a] / config.temperature) for a in range(n) if a != i}
        positives = [a for a in e if clusters[a] == clusters[i]]
        if not positives:
            continue
        negatives = sum((e[a] for a in e if a not in positives), start=z.new_zeros(()))
        rivals = sum(e[p] for p in positives)
        q = [e[p] / ((rivals if config.positives_in_denominator else e[p]) + negatives) for p in positives]
        if config.mean_over_positives == "outside_log":
            losses.append(-sum(torch.log(each) for each in q) / len(q))
        else:
            losses.append(-torch.log(sum(q) / len(q)))
        weights.append((len(positives) + 1) ** -config.cluster_balance)
    if not losses:
        return z.sum() * 0
    return sum(w * loss for w, loss in zip(weights, losses, strict=True)) / sum(weights)


def variant_by_matrices(z, clusters, config):
    """The same with N x N matrices, for sizes where loops are too slow."""
    itself = torch.eye(len(z), dtype=torch.bool)
    same = clusters[:, None] == clusters[None]
    positive = same & ~itself
    e = torch.exp(z @ z.T / config.temperature)
    if config.positives_in_denominator:
        q = e / (e * ~itself).sum(dim=1, keepdim=True)
    else:
        q = e / (e + (e * ~same).sum(dim=1, keepdim=True))
    counts = positive.sum(dim=1)
    anchor = counts > 0
    if config.mean_over_positives == "outside_log":
        losses = -(torch.log(q) * positive).sum(dim=1)[anchor] / counts[anchor]
    else:
        losses = -torch.log((q * positive).sum(dim=1)[anchor] / counts[anchor])
    weights = (counts[anchor] + 1).double() ** -config.cluster_balance
    return (weights * losses).sum() / weights.sum()


SHAPES = ["one_cluster", "pairs", "few", "many_with_singletons", "gaps"]
FORMULAS = [
    {"mean_over_positives": mean, "positives_in_denominator": kept}
    for mean in ("outside_log", "inside_log")
    for kept in (True, False)
]
VARIANTS = [{**formula, "cluster_balance": balance} for formula in FORMULAS for balance in (0.0, 1.0)]


def name_of(variant):
    return "-".join(map(str, variant.values()))


@pytest.mark.parametrize("variant", [*VARIANTS, {"cluster_balance": 0.5}], ids=name_of)
@pytest.mark.parametrize(("n", "shape", "temperature"), list(itertools.product([2, 3, 17], SHAPES, [0.05, 2.0])))
def test_every_variant_equals_the_loop_over_its_formula(variant, n, shape, temperature):
    z, clusters = embeddings(n, seed=n, dtype=torch.float64), clusters_of(shape, n)
    config = ClInfoNCEConfig(temperature=temperature, **variant)
    expected, expected_gradient = loss_and_gradient(lambda x: variant_by_loops(x, clusters, config), z)
    loss, gradient = loss_and_gradient(lambda x: ClInfoNCE(config)(x, clusters), z)
    assert loss.dtype == gradient.dtype == torch.float64
    torch.testing.assert_close(loss, expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("variant", VARIANTS, ids=name_of)
@pytest.mark.parametrize(("n", "views", "temperature"), [(300, 2, 0.05), (700, 2, 0.1), (1100, 1, 0.5)])
def test_every_variant_in_float32_is_within_1e5_of_float64(variant, n, views, temperature):
    z = embeddings(n * views, dim=128, seed=3)
    sizes = torch.rand(n, generator=torch.Generator().manual_seed(5)) ** 3  # few large clusters, many small ones
    clusters = (sizes * n // 4).long().repeat(views)
    config = ClInfoNCEConfig(temperature=temperature, **variant)
    expected, expected_gradient = loss_and_gradient(lambda x: variant_by_matrices(x, clusters, config), z.double())
    loss, gradient = loss_and_gradient(lambda x: ClInfoNCE(config)(x, clusters), z)
    assert abs(loss.double() - expected) / expected < 1e-5
    assert (gradient.double() - expected_gradient).norm() / expected_gradient.norm() < 1e-5


@pytest.mark.parametrize(
    ("n", "shape", "temperature"), list(itertools.product([2, 3, 17, 33], SHAPES, [0.05, 0.1, 2.0]))
)
def test_equals_the_loop_over_anchors_and_positives(n, shape, temperature):
    z, clusters = embeddings(n, seed=n, dtype=torch.float64), clusters_of(shape, n)
    expected, expected_gradient = loss_and_gradient(lambda x: dense_cl_infonce(x, clusters, temperature), z)
    objective = ClInfoNCE(ClInfoNCEConfig(temperature=temperature))
    loss, gradient = loss_and_gradient(lambda x: objective(x, clusters), z)
    torch.testing.assert_close(loss, expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(("n", "views"), [(300, 1), (300, 2), (700, 3), (1100, 2)])
@pytest.mark.parametrize("temperature", [0.05, 0.1, 0.5])
def test_float32_is_within_1e5_of_float64(n, views, temperature):
    z = embeddings(n * views, dim=128, seed=3)
    clusters = torch.randint(0, n // 8, (n,), generator=torch.Generator().manual_seed(5)).repeat(views)
    expected, expected_gradient = loss_and_gradient(lambda x: masked_cl_infonce(x, clusters, temperature), z.double())
    objective = ClInfoNCE(ClInfoNCEConfig(temperature=temperature))
    loss, gradient = loss_and_gradient(lambda x: objective(x, clusters), z)
    assert abs(loss.double() - expected) / expected < 1e-5
    assert (gradient.double() - expected_gradient).norm() / expected_gradient.norm() < 1e-5


@given(n=st.integers(2, 40), tile=st.integers(1, 45), seed=st.integers(0, 2**31))
@settings(deadline=None, max_examples=60)
def test_any_tile_gives_the_same_partition_function(n, tile, seed):
    z = embeddings(n, seed=seed, dtype=torch.float64).requires_grad_()
    weights = torch.rand(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    lse = self_excluded_logsumexp(z, 0.2, tile=tile)
    (gradient,) = torch.autograd.grad((lse * weights).sum(), z)
    dense = (z @ z.T / 0.2).masked_fill(torch.eye(n, dtype=torch.bool), -torch.inf).logsumexp(dim=1)
    (dense_gradient,) = torch.autograd.grad((dense * weights).sum(), z)
    torch.testing.assert_close(lse, dense)
    torch.testing.assert_close(gradient, dense_gradient)


@given(seed=st.integers(0, 2**31), n=st.integers(4, 30), variant=st.sampled_from(VARIANTS))
@settings(deadline=None, max_examples=100)
def test_neither_order_nor_names_of_clusters_matter(seed, n, variant):
    z, clusters = embeddings(n, seed=seed, dtype=torch.float64), clusters_of("few", n)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    renamed = torch.tensor([40, 3, 9])[clusters]
    objective = ClInfoNCE(ClInfoNCEConfig(**variant))
    torch.testing.assert_close(objective(z, clusters), objective(z[order], renamed[order]))


@given(seed=st.integers(0, 2**31), n=st.integers(4, 30), balance=st.floats(0, 1), temperature=st.floats(0.02, 5))
@settings(deadline=None, max_examples=60)
def test_variants_are_ordered(seed, n, balance, temperature):
    z, clusters = embeddings(n, seed=seed, dtype=torch.float64), clusters_of("few", n)
    outside, outside_alone, inside, inside_alone = (
        ClInfoNCE(ClInfoNCEConfig(temperature=temperature, cluster_balance=balance, **formula))(z, clusters)
        for formula in FORMULAS
    )
    slack = 1e-12
    assert inside <= outside + slack  # Jensen's inequality
    assert inside_alone <= outside_alone + slack
    assert outside_alone <= outside + slack  # a smaller denominator
    assert inside_alone <= inside + slack


@given(seed=st.integers(0, 2**31), n=st.integers(1, 15), variant=st.sampled_from(VARIANTS))
@settings(deadline=None, max_examples=60)
def test_all_variants_are_one_where_every_anchor_has_one_positive(seed, n, variant):
    z, clusters = embeddings(2 * n, seed=seed, dtype=torch.float64), torch.arange(n).repeat(2)
    torch.testing.assert_close(ClInfoNCE(ClInfoNCEConfig(**variant))(z, clusters), ClInfoNCE()(z, clusters))


def test_one_cluster_a_picture_is_simclr():
    first, second = embeddings(24, seed=1, dtype=torch.float64), embeddings(24, seed=2, dtype=torch.float64)
    objective = ClInfoNCE(ClInfoNCEConfig(temperature=0.3))
    loss = objective(torch.cat([first, second]), torch.arange(24).repeat(2))
    torch.testing.assert_close(loss, nt_xent(first, second, 0.3))


def test_one_cluster_a_class_is_supcon_by_hand():
    # Two classes of two orthogonal pairs: each anchor has one positive at similarity 1, two negatives at 0.
    z = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    loss = ClInfoNCE(ClInfoNCEConfig(temperature=0.5))(z, torch.tensor([7, 7, 4, 4]))
    assert float(loss) == pytest.approx(math.log(math.exp(2) + 2) - 2, rel=1e-6)


def test_variants_by_hand():
    # Two anchors at similarity 0 and one at 1 to the first; one negative at 0 to all; T = 1.
    z = torch.tensor([[1.0, 0, 0], [1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]])
    clusters = torch.tensor([5, 5, 5, 6])
    e = math.e
    by_hand = {
        # Anchors 1 and 2: q of the near and the far positive. Anchor 3: q of either.
        ("outside_log", True): (2 * -(math.log(e / (e + 2)) + math.log(1 / (e + 2))) / 2 - math.log(1 / 3)) / 3,
        ("inside_log", True): (2 * -math.log((e + 1) / (e + 2) / 2) - math.log(1 / 3)) / 3,
        ("outside_log", False): (2 * -(math.log(e / (e + 1)) + math.log(1 / 2)) / 2 - math.log(1 / 2)) / 3,
        ("inside_log", False): (2 * -math.log((e / (e + 1) + 1 / 2) / 2) - math.log(1 / 2)) / 3,
    }
    for (mean, kept), expected in by_hand.items():
        config = ClInfoNCEConfig(temperature=1, mean_over_positives=mean, positives_in_denominator=kept)
        assert float(ClInfoNCE(config)(z, clusters)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("variant", VARIANTS, ids=name_of)
def test_positives_repel_each_other_in_the_papers_loss_alone(variant):
    z, clusters = embeddings(12, dtype=torch.float64), torch.arange(12) // 4
    objective = ClInfoNCE(ClInfoNCEConfig(temperature=0.1, **variant))
    _, gradient = loss_and_gradient(lambda x: objective(x, clusters), z)
    by_similarity = gradient @ torch.linalg.pinv(z)  # independent z: a step can change one similarity and no other
    positive = (clusters[:, None] == clusters) & ~torch.eye(12, dtype=torch.bool)
    assert (by_similarity[clusters[:, None] != clusters] > 0).all()
    papers = variant["mean_over_positives"] == "outside_log" and variant["positives_in_denominator"]
    assert (by_similarity[positive] > 0).any() == papers


def test_a_balanced_loss_is_the_mean_over_clusters():
    z, clusters = embeddings(12, dtype=torch.float64), torch.tensor([0] * 7 + [1] * 2 + [2] * 2 + [3])
    anchors = [[0, 1, 2, 3, 4, 5, 6], [7, 8], [9, 10]]
    similarities = (z @ z.T / 0.1).fill_diagonal_(-torch.inf).log_softmax(dim=1)
    of_clusters = [
        torch.stack([-similarities[i, [p for p in members if p != i]].mean() for i in members]).mean()
        for members in anchors
    ]
    loss = ClInfoNCE(ClInfoNCEConfig(cluster_balance=1))(z, clusters)
    torch.testing.assert_close(loss, torch.stack(of_clusters).mean())


def test_base_temperature_scales_as_the_released_code():
    z, clusters = embeddings(20), clusters_of("few", 20)
    plain = ClInfoNCE(ClInfoNCEConfig(temperature=0.2))(z, clusters)
    scaled = ClInfoNCE(ClInfoNCEConfig(temperature=0.2, base_temperature=0.07))(z, clusters)
    torch.testing.assert_close(scaled, plain * 0.2 / 0.07)


def test_an_anchor_without_positive_adds_nothing_but_stays_a_negative():
    z = embeddings(5, dtype=torch.float64).requires_grad_()
    loss = ClInfoNCE()(z, torch.tensor([0, 0, 0, 0, 9]))
    (gradient,) = torch.autograd.grad(loss, z)
    torch.testing.assert_close(loss, dense_cl_infonce(z, torch.tensor([0, 0, 0, 0, 9]), 0.1))
    assert gradient[4].abs().sum() > 0
    assert not torch.isclose(loss, ClInfoNCE()(z[:4], torch.zeros(4, dtype=torch.int64)))


@pytest.mark.parametrize("variant", VARIANTS, ids=name_of)
@pytest.mark.parametrize("n", [1, 6])
def test_no_positive_at_all_is_zero_and_never_nan(variant, n):
    z = embeddings(n).requires_grad_()
    loss = ClInfoNCE(ClInfoNCEConfig(**variant))(z, torch.arange(n))
    (gradient,) = torch.autograd.grad(loss, z)
    assert float(loss.detach()) == 0
    assert gradient.abs().max() == 0


@pytest.mark.parametrize("mean", ["outside_log", "inside_log"])
def test_without_negatives_and_rival_positives_there_is_nothing_to_learn(mean):
    z = embeddings(6).requires_grad_()
    config = ClInfoNCEConfig(mean_over_positives=mean, positives_in_denominator=False)
    loss = ClInfoNCE(config)(z, torch.zeros(6, dtype=torch.int64))
    (gradient,) = torch.autograd.grad(loss, z)
    assert float(loss.detach()) == pytest.approx(0, abs=1e-6)
    assert gradient.abs().max() == 0


@pytest.mark.parametrize("variant", VARIANTS, ids=name_of)
def test_identical_embeddings_at_a_low_temperature_stay_finite(variant):
    z = torch.tensor([[1.0, 0.0]]).repeat(8, 1).requires_grad_()
    loss = ClInfoNCE(ClInfoNCEConfig(temperature=0.005, **variant))(z, torch.arange(8) // 2)
    (gradient,) = torch.autograd.grad(loss, z)
    assert float(loss.detach()) == pytest.approx(math.log(7), rel=1e-4)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("variant", VARIANTS, ids=name_of)
def test_positives_at_the_far_end_and_a_low_temperature_stay_finite(variant):
    z = torch.tensor([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [-1.0, 0.0]]).requires_grad_()
    loss = ClInfoNCE(ClInfoNCEConfig(temperature=0.005, **variant))(z, torch.tensor([0, 1, 0, 1]))
    (gradient,) = torch.autograd.grad(loss, z)
    assert float(loss.detach()) == pytest.approx(400)  # the positive at -1, the negative at 1, over T; e^-400 is 0
    assert gradient.isfinite().all()


@pytest.mark.parametrize("variant", VARIANTS, ids=name_of)
def test_half_precision_is_computed_in_float32(variant):
    z, clusters = embeddings(64).bfloat16(), clusters_of("few", 64)
    objective = ClInfoNCE(ClInfoNCEConfig(**variant))

    def under_autocast(x):
        with torch.autocast("cpu", torch.bfloat16):
            return objective(x, clusters)

    loss, gradient = loss_and_gradient(under_autocast, z)
    expected, expected_gradient = loss_and_gradient(lambda x: objective(x, clusters), z.float())
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(gradient, expected_gradient.bfloat16())


def test_shapes_that_do_not_belong_together_are_refused():
    with pytest.raises(ValueError, match=r"clusters \(N,\)"):
        ClInfoNCE()(embeddings(4), torch.zeros(3, dtype=torch.int64))


def test_pictures_without_a_cluster_are_refused_and_stand_alone_once_they_are_separate():
    z, clusters = embeddings(10, dtype=torch.float64), torch.tensor([-1, 3, -1, 3, -1])
    with pytest.raises(ValueError, match=r"negative ids, which mean none.*separate\(clusters\)"):
        ClInfoNCE()(z, clusters.repeat(2))
    loss = ClInfoNCE()(z, separate(clusters).repeat(2))
    torch.testing.assert_close(loss, dense_cl_infonce(z, torch.tensor([0, 3, 1, 3, 2]).repeat(2), 0.1))


@pytest.mark.parametrize("variant", VARIANTS, ids=name_of)
def test_an_empty_batch_has_nothing_to_learn(variant):
    z = torch.zeros(0, 16, requires_grad=True)
    loss = ClInfoNCE(ClInfoNCEConfig(**variant))(z, separate(torch.zeros(0, dtype=torch.int64)))
    loss.backward()
    assert float(loss.detach()) == 0
    assert z.grad.shape == (0, 16)


@pytest.mark.parametrize(
    "parameters",
    [{"cluster_balance": -0.1}, {"cluster_balance": 1.1}, {"mean_over_positives": "nowhere"}, {"temperature": 0}],
)
def test_parameters_out_of_range_are_refused_by_name(parameters):
    with pytest.raises(ValueError, match=next(iter(parameters))):
        ClInfoNCEConfig(**parameters)


def descend(n, dim=128, **variant):
    torch.manual_seed(0)
    z = torch.nn.functional.normalize(torch.randn(n, dim), dim=1).requires_grad_()
    ClInfoNCE(ClInfoNCEConfig(**variant))(z, torch.randint(0, n // 16, (n,))).backward()
    assert z.grad.isfinite().all()


def test_memory_does_not_grow_with_the_square():
    assert growth_of(descend, 512, 16_384) < 0.25  # a float32 matrix of N x N would be 1 GiB, and there are several


def test_memory_of_the_variants_does_not_grow_with_the_square():
    variants = partial(descend, dim=16, mean_over_positives="inside_log", positives_in_denominator=False)
    assert growth_of(variants, 512, 6144) < 0.12  # one float32 matrix of N x N would be 0.14 GiB


@pytest.mark.slow
def test_131072_anchors_need_less_than_one_and_a_half_gigabytes():
    assert growth_of(descend, 512, 131_072) < 1.5e9 / 2**30
