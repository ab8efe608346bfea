"""Structures in MATLAB's files, as SciPy writes them, and whatever else such a file may hold."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from weakcl_pipeline.sources.matlab import read_structures

ROWS = [(1, "n02119789", 0.5), (2, "n02100735", -3.0), (3, "ü", 1e300)]


def mat(*, compressed=False, name="synsets", rows=ROWS, **others):
    synsets = np.zeros((len(rows), 1), [("ID", "O"), ("WNID", "O"), ("share", "f8"), ("children", "O")])
    for at, (number, wnid, share) in enumerate(rows):
        synsets[at, 0] = (np.uint16(number), wnid, share, np.zeros((1, 3)))
    file = io.BytesIO()
    savemat(file, {**others, name: synsets}, do_compression=compressed)
    return file.getvalue()


@pytest.mark.parametrize("compressed", [False, True])
def test_structures_are_read_as_scipy_writes_them(compressed):
    content = mat(compressed=compressed, before=np.arange(5))
    assert read_structures(content, "synsets", ["ID", "WNID", "share"]) == ROWS
    assert read_structures(content, "synsets", ["WNID"]) == [(wnid,) for _, wnid, _ in ROWS]
    assert read_structures(mat(rows=[]), "synsets", ["ID"]) == []


def test_bytes_may_be_in_the_other_order():
    def element(kind, data):
        return struct.pack(">II", kind, len(data)) + data + bytes(-len(data) % 8)

    def matrix(kind, *parts):
        flags, shape = element(6, struct.pack(">II", kind, 0)), element(5, struct.pack(">ii", 1, 1))
        return element(14, flags + shape + b"".join(parts))

    fields = struct.pack(">HHi", 4, 5, 3) + element(1, b"ID\0WN\0")  # the first is a small element
    number = matrix(6, element(1, b""), element(9, struct.pack(">d", 7)))
    text = matrix(4, element(1, b""), element(4, "n1".encode("utf-16-be")))
    content = bytes(124) + b"\1\0MI" + matrix(2, element(1, b"s"), fields, number, text)
    assert read_structures(content, "s", ["ID", "WN"]) == [(7, "n1")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no file of MATLAB"),
        (mat()[:-20], "cut off"),
        (mat(compressed=True)[:-20], "cut off"),
        (mat(name="others"), "there is no synsets"),
        (mat(name="others", synsets=np.arange(3)), "synsets is no array of structures"),
        (mat().replace(b"WNID", b"wnid"), "the structures in synsets have no WNID"),
        (
            mat(rows=[(1, 5.0, 1.0)]).replace(b"WNID", b"WN\0\0").replace(b"children", b"WNID\0\0\0\0"),
            "WNID holds no single",
        ),
        (mat()[:128] + struct.pack("<II", 15, 8) + bytes(8), "its compression is damaged"),
        (mat()[:128] + struct.pack("<II", 3, 8) + bytes(8), "an element of type 3 is no matrix"),
    ],
)
def test_what_is_wrong_is_said(content, message):
    with pytest.raises(ValueError, match=message):
        read_structures(content, "synsets", ["ID", "WNID"])


def test_a_bomb_is_not_unpacked():
    packed = zlib.compress(bytes(80 << 20))
    content = mat()[:128] + struct.pack("<II", 15, len(packed)) + packed
    with pytest.raises(ValueError, match="it unpacks to more than 67,108,864 bytes"):
        read_structures(content, "synsets", ["ID"])


@settings(max_examples=400, deadline=None)
@given(start=st.integers(128, 1300), dropped=st.integers(0, 40), inserted=st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(start, dropped, inserted):
    good = mat()
    try:
        read_structures(good[:start] + inserted + good[start + dropped :], "synsets", ["ID", "WNID"])
    except ValueError as error:
        assert str(error)  # noqa: PT017 - an error is allowed, not asked for
