import multiprocessing
import threading

import pytest
import torch

from weakcl_pipeline.images.augment import Augmentation, AugmentationConfig
from weakcl_pipeline.images.parallel import _pool, for_each


def augmented():
    images = torch.randint(0, 256, (300, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return Augmentation(AugmentationConfig())(images, torch.Generator().manual_seed(1))


def send_sum(connection):
    torch.set_num_threads(1)  # as a DataLoader's worker does, for no threads survive a fork
    connection.send(augmented().double().sum().item())


@pytest.mark.usefixtures("two_threads")
class TestTwoThreads:
    def test_every_item_once_in_threads_that_compute_alone(self):
        seen = []
        for_each(lambda item: seen.append((item, torch.get_num_threads(), threading.current_thread().name)), range(50))
        assert sorted(item for item, _, _ in seen) == list(range(50))
        assert {threads for _, threads, _ in seen} == {1}
        assert all(name.startswith("augment") for _, _, name in seen)

    def test_the_caller_and_new_threads_keep_their_number(self):
        _pool.cache_clear()
        for_each(lambda item: None, range(4))
        numbers = [torch.get_num_threads()]
        thread = threading.Thread(target=lambda: numbers.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        assert numbers == [2, 2]

    def test_two_run_at_once(self):
        both, arrived = threading.Barrier(2, timeout=20), []
        for_each(lambda item: arrived.append(both.wait()), range(2))
        assert sorted(arrived) == [0, 1]

    def test_errors_reach_the_caller(self):
        with pytest.raises(ZeroDivisionError):
            for_each(lambda item: 1 // item, [1, 0, 2])

    def test_inference_mode_is_handed_on(self):
        with torch.inference_mode():
            inside = augmented()
        assert inside.is_inference()
        outside = augmented()
        assert not outside.is_inference()
        assert torch.equal(inside, outside)

    @pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")
    @pytest.mark.filterwarnings("ignore::DeprecationWarning")
    def test_works_in_a_forked_process(self):
        expected = augmented().double().sum().item()
        receiver, sender = multiprocessing.Pipe(duplex=False)
        child = multiprocessing.get_context("fork").Process(target=send_sum, args=(sender,))
        child.start()
        try:
            assert receiver.poll(60)
            assert receiver.recv() == pytest.approx(expected, rel=1e-9)
        finally:
            child.kill()
            child.join()


def test_the_number_of_threads_does_not_change_the_result(two_threads):
    parallel = augmented()
    torch.set_num_threads(1)
    names = set()
    for_each(lambda item: names.add(threading.current_thread().name), range(3))
    assert names == {threading.current_thread().name}
    assert torch.equal(augmented(), parallel)
