"""What holds for every kind of picture root."""

import unicodedata
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.images.conftest import write_folder, write_tar, write_zip
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.images.decode import DecodeError, ImagesConfig
from weakcl_pipeline.images.roots import ARCHIVES, open_root

ARCHIVED = {
    "zip": write_zip,
    "tar": write_tar,
    "tar.gz": lambda path, files: write_tar(path, files, "gz"),
    "tar.bz2": lambda path, files: write_tar(path, files, "bz2"),
    "tar.xz": lambda path, files: write_tar(path, files, "xz"),
}
KINDS = [
    f"{place}{kind}" for place in ("", "file://", "memory://", "http://") for kind in ("folder", "zip", "tar", "tar.gz")
] + ["tar.bz2", "tar.xz"]


@pytest.fixture(params=KINDS)
def root_of(request, tmp_path):
    """Write files as a root of some kind, and return what `images.root` is then."""
    place, _, kind = request.param.rpartition("://")

    def write(files):
        folder = request.getfixturevalue("server").folder if place == "http" else tmp_path
        path = ARCHIVED[kind](folder / f"a.{kind}", files) if kind in ARCHIVED else write_folder(folder / "a", files)
        if place == "memory":
            request.getfixturevalue("memory").put(str(path), f"/{path.name}", recursive=True)
            return f"memory://{path.name}"
        if place == "http":
            return f"{request.getfixturevalue('server').url}/{path.name}"
        return f"file://{path}" if place else str(path)

    return write


def test_files_are_read_in_any_order_and_again(root_of, opened):
    files = {"a.png": b"first", "sub/b c#1%20?.png": b"second" * 1000, "sub/deeper/c.png": b""}
    root = opened(root_of(files))
    for name in (*files, *reversed(files), "./a.png", "sub//deeper/c.png"):
        assert root.read(name) == files.get(name, b"first" if "a.png" in name else b"")


def test_many_threads_read_at_once(root_of, opened):
    files = {f"{number}.bin": bytes([number]) * (1000 + number) for number in range(60)}
    root = opened(root_of(files))
    names = [name for name in files for _ in range(3)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(root.read, names)) == [files[name] for name in names]


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("", "is empty"),
        ("missing.png", "no such file"),
        ("sub\\a.png", "no such file .*; folders must be separated by '/'"),
        ("/a.png", "is absolute"),
        ("C:\\a.png", "is absolute"),
        ("\\\\server\\share\\a.png", "is absolute"),
        ("../a.png", r"contains '\.\.'"),
        ("sub/../a.png", r"contains '\.\.'"),
        ("sub\\..\\a.png", r"contains '\.\.'"),
        ("https://example.org/a.png", "is a URL"),
        ("x" * 5000, r"^reference 'x{40}\.\.\.' has 5,000 characters"),
    ],
)
def test_what_names_nothing_below_the_root_is_refused(root_of, opened, reference, reason):
    root = opened(root_of({"a.png": b"a", "sub/a.png": b"b"}))
    with pytest.raises(DecodeError, match=reason) as caught:
        root.read(reference)
    assert repr(reference[:40])[:-1] in caught.value.reason


def test_the_bound_on_bytes_is_inclusive(root_of, opened):
    root = opened(root_of({"right": b"x" * 100_000, "large": b"x" * 100_001}), max_bytes=100_000)
    assert len(root.read("right")) == 100_000
    with pytest.raises(DecodeError, match=r"^too large: more than images\.max_bytes = 100,000 bytes$"):
        root.read("large")


@pytest.mark.parametrize("stored", ["NFC", "NFD"])
@pytest.mark.parametrize("asked", ["NFC", "NFD"])
@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_accents_composed_or_not(tmp_path, opened, kind, stored, asked):
    files = {unicodedata.normalize(stored, "Äpfel/é.png"): b"a"}
    root = opened(ARCHIVED.get(kind, write_folder)(tmp_path / f"a.{kind}", files))
    assert root.read(unicodedata.normalize(asked, "Äpfel/é.png")) == b"a"


@pytest.mark.parametrize("suffix", [*ARCHIVES, ".ZIP", ".Tar.GZ"])
def test_archives_are_told_by_the_end_of_their_name(tmp_path, opened, suffix):
    write = write_zip if suffix.lower() == ".zip" else write_tar
    assert opened(write(tmp_path / f"pictures{suffix}", {"a": b"content"})).read("a") == b"content"


@pytest.mark.parametrize("write", [write_zip, lambda path, files: write_tar(path, files, "gz")])
def test_no_member_becomes_a_file(tmp_path, opened, write, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "temporary").mkdir()
    files = {"../escaped": b"a", f"{tmp_path}/absolute": b"b", "c": b"c"}
    archive = write(tmp_path / ("a.zip" if write is write_zip else "a.tgz"), files)
    before = set(tmp_path.rglob("*"))
    root = opened(archive)
    assert root.read("c") == b"c"
    assert set(tmp_path.rglob("*")) == before


class TestWrongRoots:
    def test_none(self):
        with pytest.raises(InputError, match=r"images\.root is not set"):
            open_root(ImagesConfig())

    @pytest.mark.parametrize("place", ["", "file://"])
    def test_nothing_there(self, tmp_path, opened, place):
        with pytest.raises(InputError, match=r"images\.root: '.*absent' is not a directory"):
            opened(f"{place}{tmp_path / 'absent'}")

    def test_another_kind_of_file(self, tmp_path, opened):
        (tmp_path / "a.rar").touch()
        with pytest.raises(InputError, match=r"images\.root: '.*a\.rar' is a file, but not an archive \(\.zip, "):
            opened(tmp_path / "a.rar")

    def test_a_chain_of_urls(self, opened):
        with pytest.raises(InputError, match="is a chain of URLs"):
            opened("zip://*::memory://a.zip")

    def test_an_unknown_protocol(self, opened):
        with pytest.raises(InputError, match=r"images\.root: gopher://pictures cannot be read: .*gopher"):
            opened("gopher://pictures")

    def test_a_protocol_whose_package_is_missing(self, opened, monkeypatch):
        def missing(*args, **kwargs):
            raise ImportError("Install s3fs to access S3")

        monkeypatch.setattr("fsspec.core.url_to_fs", missing)
        with pytest.raises(InputError, match=r"s3://bucket/a needs a package .*: Install s3fs to access S3"):
            opened("s3://bucket/a")

    def test_no_such_folder_at_a_url(self, opened, memory):
        with pytest.raises(InputError, match=r"images\.root: memory://absent is not a directory"):
            opened("memory://absent")

    def test_no_such_archive_at_a_url(self, opened, memory):
        with pytest.raises(InputError, match=r"images\.root: there is no memory://absent\.zip"):
            opened("memory://absent.zip")


class TestDamage:
    """Whatever is done to an archive: a message that names it or the picture, or the right bytes."""

    FILES: ClassVar = {"a/one.png": b"one" * 300, "two.png": b"two" * 10, "three": b""}

    @pytest.mark.parametrize("kind", ARCHIVED)
    @given(data=st.data())
    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_bytes_are_changed(self, tmp_path, kind, data):
        path = ARCHIVED[kind](tmp_path / f"a.{kind}", self.FILES)
        content = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(0, min(len(content), 4000) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(content[: data.draw(st.sampled_from([len(content)] * 4 + [len(content) // 2]))])
        for name, message in self.messages(path):
            assert path.name in message or repr(name) in message or "too large" in message

    def messages(self, path):
        """What is said when every file is read: the name of the file, None for all, and the message."""
        try:
            with open_root(ImagesConfig(root=str(path), max_bytes=10_000, max_archive_bytes=1_000_000)) as root:
                for name in self.FILES:
                    try:
                        assert len(root.read(name)) <= 10_000
                    except DecodeError as error:
                        yield name, error.reason
        except InputError as error:
            yield None, str(error)
