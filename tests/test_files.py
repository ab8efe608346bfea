import gc
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from weakcl_pipeline.files import TemporaryFolder, flush, sha256_of


def test_a_file_is_known_by_its_content(tmp_path):
    (tmp_path / "file").write_bytes(b"content" * 1_000_000)
    assert sha256_of(tmp_path / "file") == hashlib.sha256(b"content" * 1_000_000).hexdigest()


def test_files_and_directories_are_flushed(tmp_path, monkeypatch):
    flushed, fsync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (flushed.append(Path(f"/proc/self/fd/{fd}").readlink()), fsync(fd)))
    (tmp_path / "file").write_text("content")
    flush(tmp_path / "file")
    flush(tmp_path)
    assert flushed == [tmp_path / "file", tmp_path]


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The folder of temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_temporary_folder_goes_with_its_object(temporary):
    folder = TemporaryFolder()
    assert folder.path.parent == temporary
    (folder.path / "file").touch()
    del folder
    gc.collect()
    assert list(temporary.iterdir()) == []


def test_what_a_killed_process_left_is_removed_and_nothing_else(temporary):
    program = """if True:
        import os, signal, tempfile
        from weakcl_pipeline.files import TemporaryFolder
        folder = TemporaryFolder()
        (folder.path / "large").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    """
    environment = os.environ | {"TMPDIR": str(temporary)}
    used = TemporaryFolder()
    (temporary / "weakcl-by-somebody").mkdir()
    assert subprocess.run([sys.executable, "-c", program], env=environment, check=False).returncode == -signal.SIGKILL
    assert len(list(temporary.iterdir())) == 3
    other = TemporaryFolder()
    assert set(temporary.iterdir()) == {used.path, other.path, temporary / "weakcl-by-somebody"}
