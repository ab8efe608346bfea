import errno
import multiprocessing
import os
import shutil
import signal

import pytest
import torch

from weakcl_pipeline.contrastive import checkpoint
from weakcl_pipeline.contrastive.checkpoint import CheckpointStore
from weakcl_pipeline.errors import InputError


def tensors(value):
    return {"weight": torch.full((3, 2), float(value)), "step": torch.tensor(value)}


def test_the_newest_is_read_and_two_are_kept(tmp_path):
    with CheckpointStore(tmp_path, "key") as store:
        assert store.load() is None
        for epoch in (1, 2, 3):
            store.save(epoch, tensors(epoch), {"history": [{"epoch": epoch}]})
        loaded, metadata = store.load()
        assert torch.equal(loaded["weight"], torch.full((3, 2), 3.0))
        assert metadata == {"history": [{"epoch": 3}]}
        assert sorted(path.name for path in store.directory.iterdir()) == ["epoch-00002", "epoch-00003"]


@pytest.mark.parametrize("file", ["state.safetensors", "state.json"])
@pytest.mark.parametrize("damage", ["truncated", "flipped", "missing"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before_and_says_so(tmp_path, caplog, file, damage):
    with CheckpointStore(tmp_path, "key") as store:
        store.save(1, tensors(1), {})
        store.save(2, tensors(2), {})
        path = store.directory / "epoch-00002" / file
        content = bytearray(path.read_bytes())
        if damage == "missing":
            path.unlink()
        elif damage == "truncated":
            path.write_bytes(content[: len(content) // 2])
        else:
            content[len(content) // 2] ^= 0x55
            path.write_bytes(content)
        loaded, _ = store.load()
        assert int(loaded["step"]) == 1
        store.save(2, tensors(2), {})  # in the place of the damaged one
        assert int(store.load()[0]["step"]) == 2
    assert "epoch-00002 is damaged" in caplog.text
    assert "falling back to the one before it" in caplog.text


def test_a_full_disk_leaves_the_checkpoints_before_and_is_told(tmp_path, monkeypatch):
    def full(path):
        raise OSError(errno.ENOSPC, f"{path}: no space left on device")

    with CheckpointStore(tmp_path, "key") as store:
        store.save(1, tensors(1), {})
        with monkeypatch.context() as patched:
            patched.setattr(checkpoint, "flush", full)
            with pytest.raises(InputError, match="key cannot be written: no space is left on its disk"):
                store.save(2, tensors(2), {})
        assert int(store.load()[0]["step"]) == 1
        store.save(2, tensors(2), {})
        assert int(store.load()[0]["step"]) == 2


def test_a_second_training_with_the_same_key_gets_a_directory_of_its_own(tmp_path):
    with CheckpointStore(tmp_path, "key") as first:
        first.save(1, tensors(1), {})
        with CheckpointStore(tmp_path, "key") as second:
            assert second.directory != first.directory
            assert second.load() is None
    with CheckpointStore(tmp_path, "key") as again:
        assert again.directory == first.directory
        assert again.load() is not None


def _save_and_die(root):
    def die(path):
        if path.parent.name == ".staging":
            os.kill(os.getpid(), signal.SIGKILL)

    with CheckpointStore(root, "key") as store:
        store.save(1, tensors(1), {})
        checkpoint.flush = die
        store.save(2, tensors(2), {})


def test_kill_in_the_middle_of_a_save_leaves_the_one_before(tmp_path):
    process = multiprocessing.get_context("fork").Process(target=_save_and_die, args=(tmp_path,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    with CheckpointStore(tmp_path, "key") as store:
        assert store.directory.name == "key"
        loaded, _ = store.load()
        assert int(loaded["step"]) == 1
        store.save(2, tensors(2), {})
        assert int(store.load()[0]["step"]) == 2
        assert sorted(path.name for path in store.directory.iterdir()) == ["epoch-00001", "epoch-00002"]
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_nothing_is_left_of_trainings_that_ended(tmp_path):
    with CheckpointStore(tmp_path, "key") as first, CheckpointStore(tmp_path, "key") as second:
        for store in (first, second):
            store.save(1, tensors(1), {})
            shutil.rmtree(store.directory)
    assert list(tmp_path.iterdir()) == []


def _take_turns(root, turns, taken):
    for _ in range(turns):
        with CheckpointStore(root, "key") as store:
            mark = store.directory.with_suffix(".mark")
            mark.touch(exist_ok=False)  # FileExistsError where two have the same directory
            mark.unlink()
            taken.value += 1


def test_no_two_trainings_ever_share_a_directory(tmp_path):
    context = multiprocessing.get_context("fork")
    counts = [context.Value("i", 0) for _ in range(4)]
    processes = [context.Process(target=_take_turns, args=(tmp_path, 300, count)) for count in counts]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [count.value for count in counts] == [300] * 4
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_is_on_the_disk_before_and_after_it_gets_its_name(tmp_path, monkeypatch):
    flushed = []
    monkeypatch.setattr(checkpoint, "flush", flushed.append)
    with CheckpointStore(tmp_path, "key") as store:
        store.save(1, tensors(1), {})
    *before, last = flushed
    staging = store.directory / ".staging"
    assert before[0] == tmp_path
    assert set(before[1:]) == {staging / "state.safetensors", staging / "state.json", staging}
    assert last == store.directory
