import os

import pytest

from weakcl_pipeline.errors import InputError
from weakcl_pipeline.images.decode import DecodeError
from weakcl_pipeline.images.roots.folder import Folder


@pytest.fixture
def path(tmp_path):
    (tmp_path / "outside.png").write_bytes(b"secret")
    pictures = tmp_path / "pictures"
    (pictures / "sub").mkdir(parents=True)
    (pictures / "sub" / "a.png").write_bytes(b"a")
    return pictures


@pytest.fixture
def folder(path):
    return Folder(path, max_bytes=100)


def test_a_link_that_stays_inside(path, folder):
    (path / "b.png").symlink_to(path / "sub" / "a.png")
    assert folder.read("b.png") == b"a"


def test_a_root_that_is_a_link(path, tmp_path):
    (tmp_path / "link").symlink_to(path)
    assert Folder(tmp_path / "link", 100).read("sub/a.png") == b"a"


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("sub", "no such file"),
        ("a\0b.png", "cannot be resolved"),
        ("x" * 500, "cannot be resolved: File name too long"),
    ],
)
def test_refused(folder, reference, reason):
    with pytest.raises(DecodeError, match=reason):
        folder.read(reference)


def test_absolute_paths_are_refused_even_inside(path, folder):
    for file in (path / "sub" / "a.png", path.parent / "outside.png"):
        with pytest.raises(DecodeError, match="absolute"):
            folder.read(str(file))


@pytest.mark.parametrize("what", ["file", "directory"])
def test_links_that_leave_are_refused(path, folder, what):
    (path / "link").symlink_to(path.parent / "outside.png" if what == "file" else path.parent)
    with pytest.raises(DecodeError, match="link that leaves"):
        folder.read("link" if what == "file" else "link/outside.png")


def test_a_loop_of_links_is_refused(path, folder):
    (path / "loop").symlink_to(path / "loop")
    with pytest.raises(DecodeError):
        folder.read("loop")


def test_a_pipe_is_refused_not_waited_for(path, folder):
    os.mkfifo(path / "pipe")
    with pytest.raises(DecodeError, match="no such file"):
        folder.read("pipe")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(path, folder):
    (path / "sub" / "a.png").chmod(0)
    with pytest.raises(DecodeError, match=r"reference 'sub/a\.png' cannot be read: Permission denied"):
        folder.read("sub/a.png")


def test_the_root_must_be_a_directory(tmp_path):
    (tmp_path / "file").touch()
    for bad in (tmp_path / "file", tmp_path / "absent"):
        with pytest.raises(InputError, match=r"images\.root: .* is not a directory"):
            Folder(bad, 100)
