import multiprocessing
import threading

import pytest
import torch

from weakcl_pipeline.images.augment import Augmentation, AugmentationConfig
from weakcl_pipeline.images.parallel import for_each, set_threads


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
        numbers = []

        def work():
            for_each(lambda item: None, range(4))  # a new thread's first, which starts the threads that compute alone
            numbers.append(torch.get_num_threads())

        for target in (work, lambda: numbers.append(torch.get_num_threads())):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()
        assert [*numbers, torch.get_num_threads()] == [2, 2, 2]

    def test_callers_do_not_wait_for_each_other(self):
        all_four, arrived = threading.Barrier(4, timeout=20), []

        def work():
            set_threads(2)  # as the runner does
            for_each(lambda item: arrived.append(all_four.wait()), range(2))

        callers = [threading.Thread(target=work) for _ in range(2)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        assert sorted(arrived) == [0, 1, 2, 3]

    def test_threads_end_with_their_caller(self):
        workers = set()
        caller = threading.Thread(target=for_each, args=(lambda _: workers.add(threading.current_thread()), range(50)))
        caller.start()
        caller.join()
        for worker in workers:
            worker.join(timeout=20)
        assert workers
        assert not any(worker.is_alive() for worker in workers)

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
