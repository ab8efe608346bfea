import bz2
import gzip
import io
import lzma
import tarfile

import pytest

from tests.images.conftest import add, write_tar
from tests.images.test_decode import memory, reset_peak_memory
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.images.decode import DecodeError
from weakcl_pipeline.images.roots import archive as archive_module


def refusal(root, name):
    with pytest.raises(DecodeError) as caught:
        root.read(name)
    return caught.value.reason


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        (tarfile.SYMTYPE, "is a link"),
        (tarfile.LNKTYPE, "is a link"),
        (tarfile.CHRTYPE, "is a device"),
        (tarfile.BLKTYPE, "is a device"),
        (tarfile.FIFOTYPE, "is a device"),
        (tarfile.GNUTYPE_SPARSE, "is a sparse file"),
    ],
)
def test_what_is_no_plain_file_is_refused(tmp_path, opened, kind, what):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        add(archive, "odd", type=kind, linkname="/etc/passwd")
        add(archive, "plain", b"content")
    root = opened(tmp_path / "a.tar")
    assert refusal(root, "odd") == f"member 'odd' of a.tar {what}; only plain files are read"
    assert root.read("plain") == b"content"


def test_a_folder_is_no_picture(tmp_path, opened):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        add(archive, "a", type=tarfile.DIRTYPE)
        add(archive, "a/b", b"b")
    assert "no such file in a.tar (which has, for example, 'a/b')" in refusal(opened(tmp_path / "a.tar"), "a")


def test_duplicate_names_are_refused_and_the_others_read(tmp_path, opened):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name in ("a", "b", "./a"):
            add(archive, name, name.encode())
    root = opened(tmp_path / "a.tar")
    assert "is in a.tar more than once" in refusal(root, "a")
    assert root.read("b") == b"b"


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_dialect_of_tar(tmp_path, opened, form):
    name = "ordner/" * 20 + "ä" * 40 if form != tarfile.USTAR_FORMAT else "ordner/ä"
    with tarfile.open(tmp_path / "a.tar", "w", format=form) as archive:
        add(archive, name, b"content")
        add(archive, "next", b"next")
    root = opened(tmp_path / "a.tar")
    assert root.read(name) == b"content"
    assert root.read("next") == b"next"


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_the_compression_is_told_by_the_content(tmp_path, opened, pack):
    plain = write_tar(tmp_path / "plain.tar", {"a": b"content"}).read_bytes()
    (tmp_path / "a.tar").write_bytes(pack(plain))
    (tmp_path / "b.tar.gz").write_bytes(plain)
    for name in ("a.tar", "b.tar.gz"):
        assert opened(tmp_path / name).read("a") == b"content"


@pytest.mark.parametrize("compression", ["", "gz", "bz2", "xz"])
@pytest.mark.parametrize("keep", [0, 100, 0.3, 0.7])
def test_an_archive_that_is_cut_off(tmp_path, opened, compression, keep):
    content = write_tar(tmp_path / "a.tar", {f"{n}": bytes(700) for n in range(20)}, compression).read_bytes()
    content = content.rstrip(b"\0") if not compression else content
    (tmp_path / "a.tar").write_bytes(content[: keep if isinstance(keep, int) else int(len(content) * keep)])
    with pytest.raises(InputError, match=r"images\.root: the archive a\.tar is damaged: .*Get or make it again"):
        opened(tmp_path / "a.tar")


def test_a_header_that_is_damaged_does_not_hide_the_rest(tmp_path, opened):
    content = bytearray(write_tar(tmp_path / "a.tar", {"a": b"a", "b": b"b", "c": b"c"}).read_bytes())
    content[1024] ^= 1  # the name of the second member
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.tar is damaged: what follows byte 1,024 is no header of a member"):
        opened(tmp_path / "a.tar")


def test_other_bytes(tmp_path, opened):
    (tmp_path / "a.tar").write_bytes(b"no archive" * 1000)
    with pytest.raises(InputError, match="damaged"):
        opened(tmp_path / "a.tar")


def test_an_empty_archive_has_no_files(tmp_path, opened):
    assert "(which has no files)" in refusal(opened(write_tar(tmp_path / "a.tar", {})), "a.png")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_bomb_is_stopped_while_it_is_unpacked(tmp_path, opened, pack):
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        add(archive, "bomb", bytes(200 << 20))
    (tmp_path / "a.tar.gz").write_bytes(pack(plain.getbuffer()))
    del plain
    reset_peak_memory()
    before = memory("VmHWM")
    with pytest.raises(InputError, match=r"a\.tar\.gz needs .* more than images\.max_archive_bytes = 10,000,000 bytes"):
        opened(tmp_path / "a.tar.gz", max_archive_bytes=10_000_000)
    assert memory("VmHWM") - before < 24 << 20


def test_a_huge_extended_header_is_not_held_in_memory(tmp_path, opened):
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        add(archive, "a", b"a", pax_headers={"comment": "x" * (50 << 20)})
    reset_peak_memory()
    before = memory("VmHWM")
    with pytest.raises(InputError, match=r"a\.tar is damaged: a header of 52,"):
        opened(tmp_path / "a.tar")
    assert memory("VmHWM") - before < 8 << 20


def test_more_members_than_an_index_should_hold(tmp_path, opened, monkeypatch):
    monkeypatch.setattr(archive_module, "MAX_MEMBERS", 10)
    opened(write_tar(tmp_path / "a.tar", {f"{number}": b"" for number in range(10)}))
    with pytest.raises(InputError, match=r"b\.tar has more than 10 members"):
        opened(write_tar(tmp_path / "b.tar", {f"{number}": b"" for number in range(11)}))


def test_no_room_for_the_unpacked_copy(tmp_path, opened, monkeypatch):
    class Full(io.BytesIO):
        def write(self, content):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", lambda **options: Full())
    with pytest.raises(InputError, match=r"no room for a temporary copy of a\.tgz .*No space left.*TMPDIR"):
        opened(write_tar(tmp_path / "a.tgz", {"a": b"a"}, "gz"))


def test_headers_are_passed_once(tmp_path, opened):
    """Reading every member costs two system calls each, not a search from the start."""
    root = opened(write_tar(tmp_path / "a.tar", {f"{number}": b"x" for number in range(3000)}))
    sought = []
    seek, root._source.seek = root._source.seek, lambda *to: sought.append(to)
    assert [root.read(f"{number}") for number in reversed(range(3000))] == [b"x"] * 3000
    root._source.seek = seek
    assert sought == []


def sealed(header, **fields):
    """A header with other bytes at some places, and the checksum of those."""
    places = {"size": 124, "kind": 156, "extended": 482}
    changed = bytearray(header)
    for name, value in fields.items():
        changed[places[name] : places[name] + len(value)] = value
    changed[148:156] = b" " * 8
    changed[148:156] = b"%06o\0 " % sum(changed)
    return bytes(changed)


def damage(tmp_path, opened, content):
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(
        InputError, match=r"images\.root: the archive a\.tar is damaged: .*Get or make it again"
    ) as error:
        opened(tmp_path / "a.tar")
    return str(error.value)


def test_extended_headers_that_follow_one_another(tmp_path, opened):
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        add(archive, "a", b"a", pax_headers={"comment": "x"})
    content = (tmp_path / "a.tar").read_bytes()
    assert "one extended header follows another" in damage(tmp_path, opened, content[:1024] * 900 + content[1024:])


@pytest.mark.parametrize("size", [-1, -512, -1000, -1536, -(1 << 40), 1 << 70])
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_sizes_that_no_member_has(tmp_path, opened, size, kind):
    """With some of them tarfile would go back in the file and round in circles, or read all that is left of it."""
    content = write_tar(tmp_path / "a.tar", {"first": b"", "second": bytes(600)}).read_bytes()
    header = sealed(content[512:1024], size=tarfile.itn(size, 12, tarfile.GNU_FORMAT), kind=kind)
    assert "a.tar" in damage(tmp_path, opened, content[:512] + header + content[1024:])


def test_a_size_below_zero_in_an_extended_header(tmp_path, opened):
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        add(archive, "a", b"a", pax_headers={"size": "-1000"})
    assert "a.tar" in damage(tmp_path, opened, (tmp_path / "a.tar").read_bytes())


def test_a_long_value_in_an_extended_header_is_not_told_in_full(tmp_path, opened):
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        add(archive, "a", b"a", pax_headers={"GNU.sparse.map": "x" * 100_000})
    assert len(damage(tmp_path, opened, (tmp_path / "a.tar").read_bytes())) < 400


@pytest.mark.parametrize("blocks", [0, 10_000])
def test_the_table_of_a_sparse_file_has_no_end(tmp_path, opened, blocks):
    content = write_tar(tmp_path / "a.tar", {"a": b""}).read_bytes()
    header = sealed(content[:512], kind=tarfile.GNUTYPE_SPARSE, extended=b"\1")
    more = (b"00000000001\0" * 42 + b"\1").ljust(512, b"\0") * blocks
    reset_peak_memory()
    before = memory("VmHWM")
    damage(tmp_path, opened, header + more)
    assert memory("VmHWM") - before < 24 << 20
