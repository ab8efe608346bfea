import threading

import torch

from weakcl_pipeline.seeding import seeded_torch


def test_a_purpose_has_its_own_stream_and_the_global_state_is_put_back():
    before = torch.get_rng_state()
    with seeded_torch(0, "dropout"):
        first = torch.rand(3)
    with seeded_torch(0, "dropout"):
        assert torch.equal(torch.rand(3), first)
    with seeded_torch(1, "dropout"):
        assert not torch.equal(torch.rand(3), first)
    assert torch.equal(torch.get_rng_state(), before)


def other_thread_gets_in():
    entered = threading.Event()

    def enter():
        with seeded_torch(0, "other"):
            entered.set()

    thread = threading.Thread(target=enter)
    thread.start()
    got_in = entered.wait(0.2)
    return got_in, thread


def test_the_generator_is_let_go_where_nothing_was_drawn():
    before = torch.get_rng_state()
    with seeded_torch(0, "epoch") as release_if_unused:
        assert release_if_unused()
        assert torch.equal(torch.get_rng_state(), before)
        got_in, thread = other_thread_gets_in()
        assert got_in
    thread.join()


def test_the_generator_is_kept_where_something_was_drawn():
    with seeded_torch(0, "epoch") as release_if_unused:
        torch.rand(1)
        assert not release_if_unused()
        got_in, thread = other_thread_gets_in()
        assert not got_in
    thread.join(10)
    assert not thread.is_alive()
