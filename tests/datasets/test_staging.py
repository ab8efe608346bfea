import errno
import os
import signal
import subprocess
import sys
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
        assert staging.parent.parent == tmp_path  # outside the artifact's folder
        assert staging.parent.name.startswith(".staging-samples-v1-")
    assert (target / "sub" / "file").read_text() == "content"
    assert [path.name for path in target.iterdir()] == ["sub"]
    assert list(tmp_path.iterdir()) == [target.parent]


def test_what_is_published_has_the_permissions_of_any_new_directory(tmp_path):
    (tmp_path / "other").mkdir()
    with staged_directory(tmp_path / "samples" / "v1"):
        pass
    assert (tmp_path / "samples" / "v1").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_everything_is_on_the_disk_before_it_is_published(tmp_path, monkeypatch):
    events = []
    fsync, rename = os.fsync, Path.rename
    monkeypatch.setattr(os, "fsync", lambda fd: (events.append(str(Path(f"/proc/self/fd/{fd}").readlink())), fsync(fd)))
    monkeypatch.setattr(Path, "rename", lambda self, to: (events.append("rename"), rename(self, to)))
    with staged_directory(tmp_path / "samples" / "v1") as staging:
        (staging / "sub").mkdir()
        (staging / "sub" / "file").write_text("content")
    staged = [staging / "sub", staging / "sub" / "file", staging]
    published = [tmp_path / "samples", tmp_path]
    assert events == [*map(str, staged), "rename", *map(str, published)]


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


def test_a_disk_that_fails_is_not_said_to_be_another_run(tmp_path, monkeypatch):
    def broken(self: Path, target: Path) -> Path:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Path, "rename", broken)
    with pytest.raises(OSError, match="Input/output error"), staged_directory(tmp_path / "samples" / "v1"):
        pass


STAGED_AND_KILLED = """
import os, signal, sys
from pathlib import Path
from weakcl_pipeline.datasets.staging import staged_directory

with staged_directory(Path(sys.argv[1])) as staging:
    (staging / "half").write_text("")
    print(flush=True)
    if sys.stdin.readline():
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_sweep_removes_what_a_killed_process_left_and_nothing_else(tmp_path):
    (tmp_path / ".staging-unknown").mkdir()
    (tmp_path / "staged" / "v1").mkdir(parents=True)
    command = [sys.executable, "-c", STAGED_AND_KILLED, str(tmp_path / "samples" / "v1")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        [left] = tmp_path.glob(".staging-samples-v1-*")
        assert sweep(tmp_path) == []  # it lives; in which container, or on which machine, is all the same
        process.communicate("die\n")
    assert process.returncode == -signal.SIGKILL
    assert left.exists()
    with staged_directory(tmp_path / "samples" / "v2") as mine:
        assert sweep(tmp_path) == [left]
        assert mine.exists()
    assert {path.name for path in tmp_path.iterdir()} == {".staging-unknown", "staged", "samples"}
