import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.contrastive.test_encoder import tiny
from weakcl_pipeline.contrastive.objectives.attribute_prediction import (
    AttributePrediction,
    AttributePredictionConfig,
    related,
)
from weakcl_pipeline.contrastive.objectives.base import Setting, SideInformation

LOSSES = ["softmax", "sigmoid"]


def objective_of(loss, width, n_attributes, frequencies=None, seed=0, weights="equal"):
    torch.manual_seed(seed)
    config = AttributePredictionConfig(loss=loss, weights=weights)
    return AttributePrediction(config, width, n_attributes, frequencies).double()


def batch_of(n, width, n_attributes, missing=0.3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(n, width, generator=generator, dtype=torch.float64)
    attributes = (torch.rand(n, n_attributes, generator=generator) < 0.4).double()
    attributes[torch.rand(n, n_attributes, generator=generator) < missing] = torch.nan
    return features, attributes


def looped(objective, features, attributes, bits=None):
    """Both losses, written with loops over pictures and their known attributes, which count by their bits if given."""
    weight, bias = objective.classifier.weight, objective.classifier.bias
    counts = bits or [1.0] * len(bias)
    losses, shares = [], []
    for h, row in zip(features, attributes.tolist(), strict=True):
        known = [a for a, value in enumerate(row) if not math.isnan(value)]
        present = [a for a in known if row[a] == 1]
        logits = {a: weight[a] @ h + bias[a] for a in known}
        if objective.config.loss == "sigmoid":
            probability = {a: 1 / (1 + torch.exp(-logits[a])) for a in known}
            losses += [-torch.log(probability[a] if a in present else 1 - probability[a]) for a in known]
            shares += [counts[a] for a in known]
        elif sum(counts[a] for a in present):
            partition = sum(torch.exp(logits[a]) for a in known)
            of_present = [-counts[a] * torch.log(torch.exp(logits[a]) / partition) for a in present]
            losses.append(sum(of_present) / sum(counts[a] for a in present))
            shares.append(1.0)
    weighted = [share * loss for share, loss in zip(shares, losses, strict=True)]
    return sum(weighted) / sum(shares) if sum(shares) else features.sum() * 0


def loss_and_gradients(function, objective, features, attributes):
    features = features.clone().requires_grad_()
    loss = function(features, attributes)
    gradients = torch.autograd.grad(loss, [features, *objective.parameters()], materialize_grads=True)
    return loss.detach(), gradients


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    ("n", "n_attributes", "missing"), list(itertools.product([1, 2, 17], [1, 2, 11], [0.0, 0.3, 0.9]))
)
def test_equals_the_loop_over_pictures_and_attributes(loss, n, n_attributes, missing):
    objective = objective_of(loss, 5, n_attributes)
    features, attributes = batch_of(n, 5, n_attributes, missing, seed=n)
    expected, expected_gradients = loss_and_gradients(
        lambda h, a: looped(objective, h, a), objective, features, attributes
    )
    value, gradients = loss_and_gradients(objective, objective, features, attributes)
    torch.testing.assert_close(value, expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(gradients, expected_gradients, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(("n", "missing"), [(5, 0.0), (17, 0.0), (17, 0.3), (17, 0.9)])
def test_by_bits_equals_the_loop_in_which_attributes_count_by_them(loss, n, missing):
    shares = [0.5, 0.25, 1 / 64, 1.0, 0.0]
    objective = objective_of(loss, 5, 5, torch.tensor(shares), weights="bits")
    features, attributes = batch_of(n, 5, 5, missing, seed=n)
    expected, expected_gradients = loss_and_gradients(
        lambda h, a: looped(objective, h, a, bits=[1, 2, 6, 0, 0]), objective, features, attributes
    )
    value, gradients = loss_and_gradients(objective, objective, features, attributes)
    torch.testing.assert_close(value, expected, rtol=1e-6, atol=1e-12)
    torch.testing.assert_close(gradients, expected_gradients, rtol=1e-6, atol=1e-12)
    assert float(value) != pytest.approx(float(looped(objective, features, attributes).detach()), rel=1e-3)


@pytest.mark.parametrize("loss", LOSSES)
def test_by_bits_a_picture_with_what_all_have_is_left_to_the_others(loss):
    objective = objective_of(loss, 5, 2, torch.tensor([1.0, 0.5]), weights="bits")
    features, attributes = batch_of(2, 5, 2, missing=0)
    attributes[:] = torch.tensor([[1.0, torch.nan], [1.0, 1.0]])
    value, (gradient, *_) = loss_and_gradients(objective, objective, features, attributes)
    torch.testing.assert_close(value, objective(features[1:], attributes[1:]))
    assert gradient[0].abs().max() == 0
    assert float(objective(features[:1], attributes[:1]).detach()) == 0


def test_softmax_is_the_published_cross_entropy_to_one_over_k():
    objective = objective_of("softmax", 6, 8)
    features, attributes = batch_of(20, 6, 8, missing=0)
    attributes[:, 2] = 1
    target = attributes / attributes.sum(dim=1, keepdim=True)
    torch.testing.assert_close(objective(features, attributes), F.cross_entropy(objective.classifier(features), target))


def test_sigmoid_is_the_binary_cross_entropy_where_all_is_known():
    objective = objective_of("sigmoid", 6, 8)
    features, attributes = batch_of(20, 6, 8, missing=0)
    expected = F.binary_cross_entropy_with_logits(objective.classifier(features), attributes)
    torch.testing.assert_close(objective(features, attributes), expected)


def test_by_hand():
    features, attributes = torch.zeros(1, 1).double(), torch.tensor([[1.0, 1.0, 0.0, torch.nan]]).double()
    softmax, sigmoid = objective_of("softmax", 1, 4), objective_of("sigmoid", 1, 4)
    for objective in (softmax, sigmoid):
        objective.classifier.bias.data = torch.tensor([0.0, 0.0, math.log(2), 50.0]).double()
    assert float(softmax(features, attributes).detach()) == pytest.approx(math.log(4))
    expected = (math.log(2) + math.log(2) + math.log(3)) / 3
    assert float(sigmoid(features, attributes).detach()) == pytest.approx(expected)


@pytest.mark.parametrize("loss", LOSSES)
@given(seed=st.integers(0, 2**31), n=st.integers(1, 20))
@settings(deadline=None, max_examples=30)
def test_an_attribute_missing_everywhere_might_as_well_not_exist(loss, seed, n):
    features, attributes = batch_of(n, 5, 6, seed=seed)
    attributes[:, -1] = torch.nan
    whole, without = objective_of(loss, 5, 6), objective_of(loss, 5, 5)
    without.load_state_dict({name: tensor[:-1] for name, tensor in whole.state_dict().items()})
    value, (gradient, weight, bias) = loss_and_gradients(whole, whole, features, attributes)
    expected, (expected_gradient, *_) = loss_and_gradients(without, without, features, attributes[:, :-1])
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(gradient, expected_gradient)
    assert weight[-1].abs().max() == 0
    assert bias[-1] == 0


@given(seed=st.integers(0, 2**31), n=st.integers(2, 20))
@settings(deadline=None, max_examples=30)
def test_softmax_leaves_pictures_without_a_present_attribute_to_the_others(seed, n):
    objective = objective_of("softmax", 5, 6)
    features, attributes = batch_of(n, 5, 6, seed=seed)
    attributes[0, 0], attributes[-1] = 1, 0
    value, (gradient, *_) = loss_and_gradients(objective, objective, features, attributes)
    torch.testing.assert_close(value, objective(features[:-1], attributes[:-1]))
    assert gradient[-1].abs().max() == 0


@pytest.mark.filterwarnings("ignore:Anomaly Detection")
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("rows", [1, 3])
def test_nothing_known_is_zero_and_never_nan(loss, rows):
    objective = objective_of(loss, 5, 4)
    features, attributes = batch_of(3, 5, 4, missing=0)
    attributes[:rows] = torch.nan
    with torch.autograd.detect_anomaly(check_nan=True):
        value, gradients = loss_and_gradients(objective, objective, features, attributes)
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert gradients[0][:rows].abs().max() == 0
    assert (float(value) == 0) == (rows == 3)


@pytest.mark.parametrize("loss", LOSSES)
def test_very_sure_and_wrong_stays_finite(loss):
    objective = objective_of(loss, 1, 2).float()
    objective.classifier.weight.data = torch.tensor([[1e4], [-1e4]])
    value, gradients = loss_and_gradients(objective, objective, torch.ones(1, 1), torch.tensor([[0.0, 1.0]]))
    assert value.isfinite()
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_frequencies_start_the_sigmoid_at_the_base_rates():
    frequencies = torch.tensor([0.5, 0.01, 0.9])
    objective = objective_of("sigmoid", 4, 3, frequencies)
    torch.testing.assert_close(objective.classifier.bias.detach().sigmoid().float(), frequencies)


def test_frequencies_start_the_softmax_at_the_shares_of_tags():
    frequencies = torch.tensor([0.5, 0.01, 0.9])
    objective = objective_of("softmax", 4, 3, frequencies)
    shares = objective.classifier.bias.detach().softmax(dim=0).float()
    torch.testing.assert_close(shares, frequencies / frequencies.sum())


@pytest.mark.parametrize("loss", LOSSES)
def test_frequencies_that_say_always_never_or_nothing_stay_finite(loss):
    objective = objective_of(loss, 4, 3, torch.tensor([0.0, 1.0, torch.nan]))
    bias = objective.classifier.bias
    assert bias.isfinite().all()
    assert bias[0] < bias[2] < bias[1]


@pytest.mark.parametrize("loss", LOSSES)
def test_the_base_rates_lower_the_first_loss_of_rare_attributes(loss):
    generator = torch.Generator().manual_seed(0)
    rates = torch.tensor([0.4, 0.02, 0.01, 0.02, 0.01, 0.3])
    attributes = (torch.rand(2000, 6, generator=generator) < rates).double()
    features = torch.zeros(2000, 4, dtype=torch.float64)
    plain, primed = objective_of(loss, 4, 6), objective_of(loss, 4, 6, attributes.nanmean(dim=0))
    assert primed(features, attributes) < plain(features, attributes) - 0.1


@pytest.mark.parametrize("loss", LOSSES)
def test_half_precision_is_computed_in_float32(loss):
    objective = objective_of(loss, 32, 10).float()
    features, attributes = batch_of(16, 32, 10)
    half = features.bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        value = objective(half, attributes)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, objective(half.float(), attributes))


@pytest.mark.parametrize(("features", "attributes"), [((4, 5), (3, 2)), ((4, 6), (4, 2)), ((4, 5), (4, 3)), ((5,), ())])
def test_shapes_that_do_not_belong_together_are_refused(features, attributes):
    with pytest.raises(ValueError, match=r"features \(N, 5\) and attributes \(N, 2\)"):
        objective_of("softmax", 5, 2)(torch.zeros(features), torch.zeros(attributes))


def test_nothing_to_predict_and_a_wrong_number_of_frequencies_are_refused():
    with pytest.raises(ValueError, match="at least one attribute"):
        objective_of("sigmoid", 5, 0)
    with pytest.raises(ValueError, match=r"expected frequencies \(3,\)"):
        objective_of("sigmoid", 5, 3, torch.full((2,), 0.5))
    with pytest.raises(ValueError, match="expected frequencies, which the bits"):
        objective_of("softmax", 5, 3, weights="bits")


def test_bits_of_the_rarest_attributes_are_not_cut_off():
    shares = torch.tensor([1e-5, 2.0**-20, 0.0, float("nan")])
    weights = AttributePrediction(AttributePredictionConfig(weights="bits"), 5, 4, shares).weights
    torch.testing.assert_close(weights, torch.tensor([16.609640, 20.0, 0.0, 0.0]))


def test_a_missing_cell_makes_no_attribute_rarer():
    attributes = torch.tensor([[1.0, 0.0], [torch.nan, 1.0], [torch.nan, 0.0], [0.0, 0.0]])
    setting = Setting(tiny(), np.zeros(4, dtype=np.int64), SideInformation(attributes), seed=0)
    built = AttributePrediction.build(AttributePredictionConfig(weights="bits"), setting)
    torch.testing.assert_close(built.classifier.bias.exp(), torch.tensor([0.5, 0.25]))
    torch.testing.assert_close(built.weights, torch.tensor([1.0, 2.0]))


def looped_relations(attributes):
    """Relations written with loops over attributes and the pictures of which both are known."""
    rows = attributes.tolist()
    number = len(rows[0])
    found = [[0.0] * number for _ in range(number)]
    for a, b in itertools.permutations(range(number), 2):
        given = [row[b] for row in rows if row[a] == 1 and not math.isnan(row[b])]
        anywhere = [row[b] for row in rows if not math.isnan(row[b])]
        if sum(given) and sum(given) / len(given) > sum(anywhere) / len(anywhere):
            share = sum(given) / len(given)
            found[a][b] = share * math.log(share / (sum(anywhere) / len(anywhere)))
    for a, row in enumerate(found):
        found[a] = [share / sum(row) for share in row] if sum(row) else [float(b == a) for b in range(number)]
    return torch.tensor(found, dtype=attributes.dtype)


@pytest.mark.parametrize(("n", "missing"), [(1, 0.0), (30, 0.0), (30, 0.3), (30, 0.9), (300, 0.5)])
def test_relations_equal_the_loop_over_pairs_of_attributes(n, missing):
    _, attributes = batch_of(n, 5, 7, missing, seed=n)
    attributes[:, 5], attributes[:, 6] = torch.nan, 0
    found = related(attributes)
    torch.testing.assert_close(found, looped_relations(attributes))
    torch.testing.assert_close(found.sum(dim=1), torch.ones(7, dtype=torch.float64))
    assert found[5, 5] == found[6, 6] == 1


def test_relations_by_hand():
    attributes = torch.tensor([[1.0, 1, 0], [1, 1, 0], [0, 0, 1], [0, 0, 1]]).double()
    assert related(attributes).tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 1]]


def smoothed(share, attributes, loss="softmax", weights="equal"):
    torch.manual_seed(0)
    config = AttributePredictionConfig(loss=loss, weights=weights, smoothing=share)
    known = attributes.shape[1]
    return AttributePrediction(config, 5, known, attributes.nanmean(dim=0), related(attributes)).double()


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_smoothing_is_the_cross_entropy_to_a_target_that_related_attributes_have_a_share_of(missing):
    features, attributes = batch_of(40, 5, 6, missing)
    objective = smoothed(0.4, attributes)
    logits, losses = objective.classifier(features), []
    for row, of_picture in zip(attributes, logits, strict=True):
        present, known = row == 1, ~row.isnan()
        if present.any():
            own = present.double() / present.sum()
            target = (0.6 * own + 0.4 * own @ related(attributes)) * known
            losses.append(-(target / target.sum() * of_picture.masked_fill(~known, -1e300).log_softmax(dim=0)).sum())
    torch.testing.assert_close(objective(features, attributes), torch.stack(losses).mean())


def test_no_smoothing_is_the_published_loss():
    features, attributes = batch_of(40, 5, 6)
    assert torch.equal(
        smoothed(0.0, attributes)(features, attributes),
        objective_of("softmax", 5, 6, attributes.nanmean(dim=0))(features, attributes),
    )


def test_built_with_smoothing_the_train_split_tells_what_is_related():
    _, attributes = batch_of(40, 5, 6)
    setting = Setting(tiny(), np.zeros(40, dtype=np.int64), SideInformation(attributes.float()), seed=0)
    built = AttributePrediction.build(AttributePredictionConfig(smoothing=0.5), setting)
    torch.testing.assert_close(built.relations, related(attributes).float())
    assert "relations" not in built.state_dict()
    assert AttributePrediction.build(AttributePredictionConfig(), setting).relations is None


def test_smoothing_without_relations_or_of_a_sigmoid_is_refused():
    with pytest.raises(ValueError, match=r"expected relations \(3, 3\), .* got none"):
        AttributePrediction(AttributePredictionConfig(smoothing=0.1), 5, 3)
    with pytest.raises(ValueError, match="smoothing shares a target out, which the loss 'sigmoid' does not have"):
        AttributePredictionConfig(loss="sigmoid", smoothing=0.1)
