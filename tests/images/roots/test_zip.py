import stat
import struct
import tracemalloc
import zipfile

import pytest

from tests.images.conftest import write_zip
from tests.images.test_decode import memory, reset_peak_memory
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.images.decode import DecodeError
from weakcl_pipeline.images.roots import archive as archive_module


def refusal(root, name):
    with pytest.raises(DecodeError) as caught:
        root.read(name)
    return caught.value.reason


def test_links_and_devices_are_refused(tmp_path, opened):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name, kind in (("link", stat.S_IFLNK), ("device", stat.S_IFCHR), ("file", stat.S_IFREG)):
            info = zipfile.ZipInfo(name)
            info.external_attr = (kind | 0o644) << 16
            archive.writestr(info, "/etc/passwd")
    root = opened(tmp_path / "a.zip")
    assert refusal(root, "link") == "member 'link' of a.zip is a link; only plain files are read"
    assert refusal(root, "device") == "member 'device' of a.zip is a device; only plain files are read"
    assert root.read("file") == b"/etc/passwd"


def test_encrypted_members_are_refused(tmp_path, opened):
    content = bytearray(write_zip(tmp_path / "a.zip", {"secret": b"x" * 50}).read_bytes())
    for start, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(start) + flags] |= 1
    (tmp_path / "a.zip").write_bytes(content)
    assert refusal(opened(tmp_path / "a.zip"), "secret").startswith("member 'secret' of a.zip is encrypted")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_duplicate_names_are_refused_and_the_others_read(tmp_path, opened):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in ("a", "b", "a", "./a"):
            archive.writestr(name, name)
    root = opened(tmp_path / "a.zip")
    assert "is in a.zip more than once" in refusal(root, "a")
    assert root.read("b") == b"b"


def test_a_folder_is_no_picture(tmp_path, opened):
    assert "no such file in a.zip" in refusal(opened(write_zip(tmp_path / "a.zip", {"a/": b"", "a/b": b""})), "a")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_unpack_without_a_bound_are_refused(tmp_path, opened, method):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", method) as archive:
        archive.writestr("a", "a")
    assert f"is compressed by method {method}, not deflated or stored" in refusal(opened(tmp_path / "a.zip"), "a")


def declare(path, size):
    """Make a zip of one member say that it is of another size."""
    content = bytearray(path.read_bytes())
    for start, position in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<I", content, content.index(start) + position, size)
    path.write_bytes(content)


@pytest.mark.parametrize("declared", [1 << 30, 1000])
def test_a_bomb_is_stopped_whatever_it_declares(tmp_path, opened, declared):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("bomb", bytes(200 << 20))
    declare(tmp_path / "a.zip", declared)
    root = opened(tmp_path / "a.zip", max_bytes=1 << 20)
    reset_peak_memory()
    before = memory("VmHWM")
    assert refusal(root, "bomb").startswith(("too large", "member 'bomb' of a.zip is damaged"))
    assert memory("VmHWM") - before < 8 << 20


def test_a_damaged_member_is_refused_and_the_others_read(tmp_path, opened):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("bad", "x" * 100)
        archive.writestr("good", "y" * 100)
    content = (tmp_path / "a.zip").read_bytes().replace(b"xxxx", b"xxxz", 1)
    (tmp_path / "a.zip").write_bytes(content)
    root = opened(tmp_path / "a.zip")
    assert refusal(root, "bad").startswith("member 'bad' of a.zip is damaged: Bad CRC-32")
    assert root.read("good") == b"y" * 100


@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.95])
def test_an_archive_that_is_cut_off(tmp_path, opened, keep):
    content = write_zip(tmp_path / "a.zip", {f"{number}": bytes(100) for number in range(20)}).read_bytes()
    (tmp_path / "a.zip").write_bytes(content[: keep if isinstance(keep, int) else int(len(content) * keep)])
    with pytest.raises(InputError, match=r"images\.root: the archive a\.zip is damaged: .*Get or make it again"):
        opened(tmp_path / "a.zip")


def test_entries_that_overlap(tmp_path, opened):
    """The quine-like bombs that unpack the same bytes again and again."""
    content = bytearray(write_zip(tmp_path / "a.zip", {"a": b"a" * 500, "b": b"b" * 500}).read_bytes())
    second = content.index(b"PK\x01\x02", content.index(b"PK\x01\x02") + 1)
    struct.pack_into("<I", content, second + 42, 0)  # the second member begins where the first does
    (tmp_path / "a.zip").write_bytes(content)
    assert "is damaged" in refusal(opened(tmp_path / "a.zip"), "b")


def test_a_members_own_header_names_it_otherwise(tmp_path, opened):
    """The list of members says that names are in UTF-8; here is one that is not, and one as long as can be."""
    for name in (b"\xe4", b"x" * 60_000):
        content = write_zip(tmp_path / "a.zip", {"ä": b"a", "b": b"b"}).read_bytes()
        header = bytearray(content[: content.index("ä".encode())])
        struct.pack_into("<H", header, 26, len(name))
        (tmp_path / "a.zip").write_bytes(bytes(header) + name + content[len(header) + len(name) :])
        root = opened(tmp_path / "a.zip") if len(name) < len(content) else None
        if root is not None:
            assert refusal(root, "ä").startswith("member 'ä' of a.zip is damaged: ")
            assert root.read("b") == b"b"


def test_a_member_may_have_no_name(tmp_path, opened):
    content = write_zip(tmp_path / "a.zip", {"x": b"x", "b": b"b"}).read_bytes()
    start = content.index(b"PK\x01\x02")
    listed = bytearray(content[start : start + 46]) + content[start + 47 :]  # without the name of the first member
    struct.pack_into("<H", listed, 28, 0)
    end = listed.index(b"PK\x05\x06")
    struct.pack_into("<I", listed, end + 12, end)
    (tmp_path / "a.zip").write_bytes(content[:start] + listed)
    root = opened(tmp_path / "a.zip")
    assert root.read("b") == b"b"
    assert "no such file in a.zip" in refusal(root, "x")


@pytest.mark.parametrize("place", [1 << 40, (1 << 64) - 1])
def test_a_member_lies_beyond_the_archive(tmp_path, opened, place):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a", b"a")
        archive.getinfo("a").header_offset = place  # as the list of members will say
    assert refusal(opened(tmp_path / "a.zip"), "a").startswith("member 'a' of a.zip is damaged")


def zip64(path, files, monkeypatch):
    """Write a zip of which the 64-bit record at the end alone tells how many members there are."""
    monkeypatch.setattr("zipfile.ZIP_FILECOUNT_LIMIT", 1)
    content = bytearray(write_zip(path, files).read_bytes())
    struct.pack_into("<HH", content, content.rindex(b"PK\x05\x06") + 8, 0, 0)
    path.write_bytes(content)
    return path


def test_more_members_than_an_index_should_hold(tmp_path, opened, monkeypatch):
    """That is told before there is an object for each of them."""
    monkeypatch.setattr(archive_module, "MAX_MEMBERS", 10)
    files = {f"{number}": b"" for number in range(11)}
    paths = [write_zip(tmp_path / "a.zip", files), zip64(tmp_path / "b.zip", files, monkeypatch)]
    few = dict.fromkeys(list(files)[:10], b"")
    for path in (write_zip(tmp_path / "c.zip", few), zip64(tmp_path / "d.zip", few, monkeypatch)):
        assert opened(path).read("9") == b""
    monkeypatch.delattr("zipfile.ZipInfo")
    for path in paths:
        with pytest.raises(InputError, match=rf"{path.name} has more than 10 members\. Unpack it"):
            opened(path)


def test_more_members_than_it_says_it_has(tmp_path, opened, monkeypatch):
    monkeypatch.setattr(archive_module, "MAX_MEMBERS", 10)
    content = bytearray(write_zip(tmp_path / "a.zip", {f"{number}": b"" for number in range(11)}).read_bytes())
    struct.pack_into("<HH", content, content.rindex(b"PK\x05\x06") + 8, 1, 1)
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.zip has more than 10 members"):
        opened(tmp_path / "a.zip")


def test_little_is_kept_of_each_member(tmp_path, opened):
    count = 5000
    names = [f"train/n{number:08}/n{number:08}_{number}.JPEG" for number in range(count)]
    path = write_zip(tmp_path / "a.zip", dict.fromkeys(names, b""))
    tracemalloc.start()
    try:
        root = opened(path)
        assert tracemalloc.get_traced_memory()[0] / count < 350
    finally:
        tracemalloc.stop()
    assert root.read(names[-1]) == b""
