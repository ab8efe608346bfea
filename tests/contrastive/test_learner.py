import numpy as np
import pytest
import torch

from tests.contrastive.test_encoder import tiny
from weakcl_pipeline.contrastive import ClInfoNCE, ClInfoNCEConfig, DeviceConfig
from weakcl_pipeline.contrastive.learner import Learner
from weakcl_pipeline.contrastive.optimiser import OptimiserConfig
from weakcl_pipeline.images import AugmentationConfig

FP32 = DeviceConfig(name="cpu", precision="fp32")
ADAMW = OptimiserConfig(name="adamw")
SAMPLES = np.arange(8)
CLUSTERS = SAMPLES // 2
PICTURES = torch.randint(0, 256, (8, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def learner(optimiser=ADAMW, seed=0):
    made = Learner(tiny(seed), ClInfoNCE(ClInfoNCEConfig(temperature=0.5)), AugmentationConfig(), optimiser, FP32)
    made.train()
    return made


def step(made, number=0, learning_rate=0.01):
    generator = torch.Generator().manual_seed(number)
    return made.step(PICTURES, SAMPLES, CLUSTERS, size=16, learning_rate=learning_rate, generator=generator)


def weights(made):
    return torch.cat([parameter.detach().flatten() for parameter in made.encoder.parameters()])


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
        made = learner(OptimiserConfig(name="sgd", momentum=0.0, weight_decay=0.0, clip_norm=clip_norm))
        before = weights(made)
        step(made, learning_rate=1.0)
        return float((weights(made) - before).norm())

    assert moved(None) > 1e-2
    assert moved(1e-3) == pytest.approx(1e-3, rel=1e-2)
