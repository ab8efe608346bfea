import os

import pytest

from weakcl_pipeline.errors import InputError
from weakcl_pipeline.images.decode import DecodeError
from weakcl_pipeline.images.reference import image_root, resolve


@pytest.fixture
def root(tmp_path):
    (tmp_path / "outside.png").write_bytes(b"secret")
    pictures = tmp_path / "pictures"
    (pictures / "sub").mkdir(parents=True)
    (pictures / "sub" / "a.png").write_bytes(b"a")
    return image_root(str(pictures))


def test_a_file_below_the_root(root):
    assert resolve("sub/a.png", root).read_bytes() == b"a"
    assert resolve("./sub//a.png", root).read_bytes() == b"a"


def test_a_link_that_stays_inside(root):
    (root / "b.png").symlink_to(root / "sub" / "a.png")
    assert resolve("b.png", root).read_bytes() == b"a"


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("../outside.png", r"'\.\.'"),
        ("sub/../../outside.png", r"'\.\.'"),
        ("sub/../sub/a.png", r"'\.\.'"),
        ("missing.png", "no such file"),
        ("sub", "no such file"),
        ("", "no such file"),
        ("a\0b.png", "cannot be resolved"),
        ("x" * 5000, "cannot be resolved"),
    ],
)
def test_refused(root, reference, reason):
    with pytest.raises(DecodeError, match=reason):
        resolve(reference, root)


def test_absolute_paths_are_refused_even_inside(root):
    for path in (root / "sub" / "a.png", root.parent / "outside.png", "/etc/passwd"):
        with pytest.raises(DecodeError, match="absolute"):
            resolve(str(path), root)


@pytest.mark.parametrize("what", ["file", "directory"])
def test_links_that_leave_are_refused(root, what):
    (root / "link").symlink_to(root.parent / "outside.png" if what == "file" else root.parent)
    with pytest.raises(DecodeError, match="link that leaves"):
        resolve("link" if what == "file" else "link/outside.png", root)


def test_a_loop_of_links_is_refused(root):
    (root / "loop").symlink_to(root / "loop")
    with pytest.raises(DecodeError):
        resolve("loop", root)


def test_a_pipe_is_refused_not_waited_for(root):
    os.mkfifo(root / "pipe")
    with pytest.raises(DecodeError, match="no such file"):
        resolve("pipe", root)


def test_root_must_be_a_directory(tmp_path):
    (tmp_path / "file").touch()
    for bad in (None, str(tmp_path / "file"), str(tmp_path / "absent")):
        with pytest.raises(InputError, match=r"images\.root"):
            image_root(bad)
