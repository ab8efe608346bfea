import hashlib
import os
from pathlib import Path

from weakcl_pipeline.files import flush, sha256_of


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
