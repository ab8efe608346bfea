import errno
import os
import socket
import subprocess
from pathlib import Path

import pytest

from weakcl_pipeline.datasets import staging
from weakcl_pipeline.datasets.staging import staged_directory, sweep
from weakcl_pipeline.errors import InputError


def test_target_appears_with_all_files_at_the_end_of_the_block(tmp_path):
    target = tmp_path / "samples" / "v1"
    with staged_directory(target) as staging:
        (staging / "sub").mkdir()
        (staging / "sub" / "file").write_text("content")
        assert not target.exists()
        assert staging.parent == tmp_path  # outside the artifact's folder
        assert staging.name.startswith(".staging-samples-v1-")
        assert staging.name.endswith(f"-{os.getpid()}")
    assert (target / "sub" / "file").read_text() == "content"
    assert not staging.exists()


def test_everything_is_on_the_disk_before_it_is_published(tmp_path, monkeypatch):
    events = []
    fsync, rename = os.fsync, Path.rename
    monkeypatch.setattr(os, "fsync", lambda fd: (events.append(str(Path(f"/proc/self/fd/{fd}").readlink())), fsync(fd)))
    monkeypatch.setattr(Path, "rename", lambda self, to: (events.append("rename"), rename(self, to)))
    with staged_directory(tmp_path / "samples" / "v1") as staging:
        (staging / "file").write_text("content")
    assert events == [str(staging / "file"), str(staging), "rename", str(tmp_path / "samples"), str(tmp_path)]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_publishes_nothing_and_cleans_up(tmp_path, error):
    def fail_halfway() -> None:
        with staged_directory(tmp_path / "samples" / "v1") as staging:
            (staging / "file").write_text("half")
            raise error

    with pytest.raises(error):
        fail_halfway()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_publishes_nothing_and_names_the_version(tmp_path, monkeypatch):
    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, f"{path}: no space left on device")

    monkeypatch.setattr(staging, "flush", full)
    target = tmp_path / "samples" / "v1"
    message = f"{target} cannot be written: no space is left on its disk"
    with pytest.raises(InputError, match=message), staged_directory(target) as folder:
        (folder / "file").write_text("content")
    assert list(tmp_path.iterdir()) == []


def stage(parent: Path, owner: str) -> Path:
    path = parent / f".staging-samples-v1-{owner}"
    path.mkdir()
    (path / "half").write_text("")
    return path


def test_sweep_removes_what_dead_processes_left(tmp_path):
    with subprocess.Popen(["true"]) as process:
        dead = process.pid
    host = socket.gethostname()
    gone = stage(tmp_path, f"{host}-{dead}")
    kept = [
        stage(tmp_path, f"{host}-{os.getpid()}"),  # alive
        stage(tmp_path, f"{host}-1"),  # alive, perhaps somebody else's
        stage(tmp_path, f"elsewhere-{dead}"),  # of a machine whose processes cannot be seen
        stage(tmp_path, "unknown"),
    ]
    assert sweep(tmp_path) == [gone]
    assert sorted(tmp_path.iterdir()) == sorted(kept)


def test_a_process_of_another_user_is_alive(tmp_path, monkeypatch):
    path = stage(tmp_path, f"{socket.gethostname()}-123")

    def deny(pid: int, signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", deny)
    assert sweep(tmp_path) == []
    assert path.exists()
