import numpy as np
import pytest
import torch
import torch.distributed as dist

from tests.contrastive.test_encoder import tiny
from tests.evaluation.data import make_images, make_samples
from tests.processes import work_together
from weakcl_pipeline.contrastive import DeviceConfig, EmbeddingJob, embed, embed_views
from weakcl_pipeline.contrastive.group import ALONE, Group
from weakcl_pipeline.images import Augmentation, AugmentationConfig

DEVICE = DeviceConfig(name="cpu", precision="fp32")
UNCHANGED = AugmentationConfig(
    crop_scale=(1, 1), crop_ratio=(1, 1), flip_probability=0, jitter_probability=0, grey_probability=0
)
ROWS = np.array([5, 0, 3, 3])


@pytest.fixture(scope="module")
def images():
    return make_images(make_samples(train=8, val=4, test=4), size=16)


def test_rows_come_in_the_order_asked_for(images):
    whole = embed(tiny(), images, DEVICE)
    np.testing.assert_allclose(embed(tiny(), images, DEVICE, rows=ROWS), whole[ROWS], rtol=1e-5, atol=1e-6)


def test_views_that_change_nothing_have_the_pictures_features(images):
    views = embed_views(tiny(), images, Augmentation(UNCHANGED), DEVICE, ROWS, torch.Generator())
    expected = torch.from_numpy(embed(tiny(), images, DEVICE, rows=ROWS))
    torch.testing.assert_close(views, expected, rtol=1e-4, atol=1e-5)


def test_views_come_from_the_generator_and_from_nothing_else(images):
    def features(seed):
        generator = torch.Generator().manual_seed(seed)
        return embed_views(tiny(), images, Augmentation(AugmentationConfig()), DEVICE, ROWS, generator)

    assert torch.equal(features(1), features(1))
    assert not torch.allclose(features(1), features(2))
    assert not torch.allclose(features(1)[2], features(1)[3])  # the same picture, augmented twice


@pytest.mark.parametrize("training", [True, False])
def test_an_encoder_is_frozen_meanwhile_and_left_in_its_mode(images, training):
    encoder = tiny().train(training)
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    features = embed_views(encoder, images, Augmentation(UNCHANGED), DEVICE, ROWS, torch.Generator())
    assert not features.requires_grad
    assert encoder.training == training
    assert all(torch.equal(tensor, before[name]) for name, tensor in encoder.state_dict().items())


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_an_optimiser_that_is_there_before_goes_on_as_if_nothing_had_been_embedded(images, layout):
    def trained(embedding):
        encoder = tiny().to(memory_format=layout)
        optimiser = torch.optim.SGD(encoder.parameters(), lr=0.1, momentum=0.9, fused=True)
        pictures = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
        for _ in range(3):
            optimiser.zero_grad()
            encoder.project(encoder(pictures)).sum().backward()
            optimiser.step()
            if embedding:
                embed(encoder, images, DEVICE)
                embed_views(encoder, images, Augmentation(UNCHANGED), DEVICE, ROWS, torch.Generator())
        return encoder

    expected, found = trained(embedding=False), trained(embedding=True)
    for before, after in zip(expected.parameters(), found.parameters(), strict=True):
        assert torch.equal(after, before)
        assert after.stride() == before.stride()


@pytest.mark.parametrize("training", [True, False])
def test_an_encoder_is_left_as_it_was_where_embedding_fails(images, training):
    encoder = tiny().train(training)
    strides = [parameter.stride() for parameter in encoder.parameters()]
    for function in (
        lambda: embed(encoder, images, DEVICE, size=-1),
        lambda: embed_views(encoder, images, None, DEVICE, ROWS, torch.Generator()),
    ):
        with pytest.raises((RuntimeError, TypeError)):
            function()
        assert encoder.training == training
        assert [parameter.stride() for parameter in encoder.parameters()] == strides


def job(batch_size):
    images = make_images(make_samples(train=8, val=4, test=4), size=16)
    return EmbeddingJob(tiny().state(), images, DEVICE, batch_size)


def work(rank, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=3)
    for batch_size in BATCH_SIZES:
        found = job(batch_size).run(Group(rank, 3))
        if rank == 0:
            np.save(folder / f"{batch_size}.npy", found)
    dist.destroy_process_group()


BATCH_SIZES = [3, 4, 12]  # 6 batches, of which one is short; 4, so two for one worker; 2, so none for one worker


def test_workers_embed_as_one_does_to_the_bit(images, tmp_path):
    work_together(work, 3, tmp_path)
    for batch_size in BATCH_SIZES:
        alone = job(batch_size).run(ALONE)
        np.testing.assert_array_equal(alone, embed(tiny(), images, DEVICE, batch_size=batch_size))
        np.testing.assert_array_equal(np.load(tmp_path / f"{batch_size}.npy"), alone)
