import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from weakcl_pipeline.contrastive import SideInformation
from weakcl_pipeline.contrastive.encoder import Encoder, EncoderConfig
from weakcl_pipeline.contrastive.objectives import Setting
from weakcl_pipeline.contrastive.objectives.cluster_cross_entropy import ClusterCrossEntropy, ClusterCrossEntropyConfig
from weakcl_pipeline.errors import InputError


def objective_of(width, n_clusters, label_smoothing=0.0, seed=0):
    torch.manual_seed(seed)
    config = ClusterCrossEntropyConfig(label_smoothing=label_smoothing)
    return ClusterCrossEntropy(config, width, n_clusters).double()


def batch_of(n, width, n_clusters, seed=0, lowest=-2):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(n, width, generator=generator, dtype=torch.float64)
    return features, torch.randint(lowest, n_clusters, (n,), generator=generator)


def looped(objective, features, clusters):
    """The smoothed cross-entropy of each view with a cluster, from softmax probabilities."""
    weight, bias = objective.classifier.weight, objective.classifier.bias
    n_clusters, smoothing = len(bias), objective.config.label_smoothing
    losses = []
    for h, cluster in zip(features, clusters.tolist(), strict=True):
        if cluster < 0:
            continue
        scores = torch.stack([torch.exp(weight[k] @ h + bias[k]) for k in range(n_clusters)])
        probability = scores / scores.sum()
        target = [smoothing / n_clusters + (1 - smoothing) * (k == cluster) for k in range(n_clusters)]
        losses.append(-sum(target[k] * torch.log(probability[k]) for k in range(n_clusters)))
    return torch.stack(losses).mean() if losses else features.sum() * 0


def loss_and_gradients(function, objective, features, clusters):
    features = features.clone().requires_grad_()
    loss = function(features, clusters)
    return loss.detach(), torch.autograd.grad(loss, [features, *objective.parameters()])


@pytest.mark.parametrize(
    ("n", "n_clusters", "smoothing"), list(itertools.product([1, 2, 17], [1, 2, 9], [0.0, 0.1, 0.7]))
)
def test_equals_the_loop_over_views_and_clusters(n, n_clusters, smoothing):
    objective = objective_of(5, n_clusters, smoothing)
    features, clusters = batch_of(n, 5, n_clusters, seed=n)
    clusters[0] = 0
    expected, expected_gradients = loss_and_gradients(
        lambda h, c: looped(objective, h, c), objective, features, clusters
    )
    loss, gradients = loss_and_gradients(objective, objective, features, clusters)
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gradients, expected_gradients, rtol=1e-10, atol=1e-12)


def test_without_negative_ids_it_is_the_cross_entropy_of_the_released_code():
    objective = objective_of(6, 7)
    features, clusters = batch_of(20, 6, 7, lowest=0)
    expected = torch.nn.CrossEntropyLoss()(objective.classifier(features), clusters)
    torch.testing.assert_close(objective(features, clusters), expected)


def test_classifiers_that_know_nothing_pay_the_logarithm_of_the_number_of_clusters():
    objective = objective_of(4, 12)
    torch.nn.init.zeros_(objective.classifier.weight)
    torch.nn.init.zeros_(objective.classifier.bias)
    assert float(objective(*batch_of(9, 4, 12, lowest=0)).detach()) == pytest.approx(math.log(12))


@given(seed=st.integers(0, 2**31), n=st.integers(1, 20), smoothing=st.sampled_from([0.0, 0.2]))
@settings(deadline=None, max_examples=40)
def test_views_without_a_cluster_and_the_order_of_views_change_nothing(seed, n, smoothing):
    objective = objective_of(5, 4, smoothing)
    features, clusters = batch_of(n, 5, 4, seed=seed)
    clusters[0] = 3
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    kept = clusters >= 0
    loss = objective(features, clusters)
    torch.testing.assert_close(objective(features[kept], clusters[kept]), loss)
    torch.testing.assert_close(objective(features[order], clusters[order]), loss)


def test_a_view_without_a_cluster_has_no_gradient():
    objective = objective_of(5, 4, 0.1)
    features, _ = batch_of(3, 5, 4)
    _, (gradient, *_) = loss_and_gradients(objective, objective, features, torch.tensor([1, -1, -100]))
    assert gradient[0].abs().sum() > 0
    assert gradient[1:].abs().max() == 0


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_no_cluster_at_all_is_zero_and_never_nan(smoothing):
    objective = objective_of(5, 4, smoothing)
    features, _ = batch_of(3, 5, 4)
    loss, gradients = loss_and_gradients(objective, objective, features, torch.full((3,), -1))
    assert float(loss) == 0
    assert all(gradient.abs().max() == 0 for gradient in gradients)


def test_half_precision_is_computed_in_float32():
    objective = objective_of(32, 10).float()
    features, clusters = batch_of(16, 32, 10)
    half = features.bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        loss = objective(half, clusters)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, objective(half.float(), clusters))


@pytest.mark.parametrize(
    ("features", "clusters"), [((4, 5), (3,)), ((4, 6), (4,)), ((4, 5), (4, 1)), ((4, 5), ()), ((5,), (5,))]
)
def test_shapes_that_do_not_belong_together_are_refused(features, clusters):
    with pytest.raises(ValueError, match=r"features \(N, 5\) and clusters \(N,\)"):
        objective_of(5, 4)(torch.zeros(features), torch.zeros(clusters, dtype=torch.int64))


def test_nothing_to_predict_is_refused():
    with pytest.raises(ValueError, match="at least one cluster"):
        objective_of(5, 0)
    encoder = Encoder.create(EncoderConfig(backbone="resnet10t", stem="half"), [0.0] * 3, [1.0] * 3, seed=0)
    setting = Setting(encoder, np.full(4, -1), SideInformation(), seed=0)
    with pytest.raises(InputError, match="no sample of the train split has a cluster to predict"):
        ClusterCrossEntropy.build(ClusterCrossEntropyConfig(), setting)
    with pytest.raises(ValidationError, match="label_smoothing"):
        ClusterCrossEntropyConfig(label_smoothing=1)
