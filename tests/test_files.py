import errno
import gc
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from safetensors import SafetensorError

from weakcl_pipeline.errors import InputError
from weakcl_pipeline.files import TemporaryFolder, flush, sha256_of, write_table, writing


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


WRITERS = {
    "text": lambda path: path.write_text("content"),
    "Arrow": lambda path: write_table(pa.table({"a": [1, 2]}), path),
    "Parquet": lambda path: pl.DataFrame({"a": [1, 2]}).write_parquet(path),
}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk without room")
@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_a_full_disk_is_told_by_its_path(tmp_path, write):
    path = tmp_path / "file"
    path.symlink_to("/dev/full")
    with pytest.raises(InputError) as error, writing(path):
        write(path)
    expected = f"{path} cannot be written: no space is left on its disk. Free some, and give the same command again"
    assert str(error.value).startswith(expected)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError(errno.EACCES, "Permission denied"), "permission denied. See to its permissions"),
        (OSError(errno.EROFS, "Read-only"), "read-only file system. See to its permissions"),
        (OSError(errno.EDQUOT, "Quota"), "no space is left on its disk. Free some"),
        # What safetensors raises: it replaces /dev/full, and so does not fail there.
        (SafetensorError("No space left on device (os error 28)"), "no space is left on its disk. Free some"),
    ],
)
def test_what_cannot_be_written_is_told_by_its_path(tmp_path, error, message):
    with pytest.raises(InputError, match=f"file cannot be written: {message}"), writing(tmp_path / "file"):
        raise error


@pytest.mark.parametrize("error", [ValueError("a defect"), FileNotFoundError(errno.ENOENT, "No such file")])
def test_other_errors_stay_what_they_are(tmp_path, error):
    with pytest.raises(type(error)) as raised, writing(tmp_path / "file"):
        raise error
    assert raised.value is error


def test_no_room_for_a_temporary_folder_is_told(temporary, monkeypatch):
    monkeypatch.setattr(tempfile, "TemporaryDirectory", full)
    with pytest.raises(InputError, match=f"{temporary} cannot be written: no space is left"):
        TemporaryFolder()


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")
