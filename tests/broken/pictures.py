"""Pictures."""

import io
from base64 import b64encode

import numpy as np
from PIL import Image

from tests.broken.case import Case, ingest, picture, rows, table
from tests.images.encoders import png_chunk

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 28411\n"


def pictures(content=None, name="bad.jpg", **columns):
    """Return what makes six rows and their pictures, of which the second row's is this one."""

    def make(raw):
        files = ["good.png", name, *["good.png"] * 4]
        table(rows(file=files, **columns))(raw)
        folder = raw / "pictures"
        folder.mkdir()
        (folder / "good.png").write_bytes(picture())
        if content is not None:
            (folder / name).write_bytes(content)

    return make


def read(**images):
    return ingest("table.parquet", images=images)


def huge():
    """A PNG that says it is 30,000 x 30,000 pixels."""
    header = (30_000).to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", b"") + png_chunk(b"IEND", b"")


def damaged():
    content = bytearray(picture())
    content[content.index(b"IDAT") + 20] ^= 0xFF
    return bytes(content)


def tiff(kind):
    encoded = io.BytesIO()
    Image.fromarray(np.zeros((10, 12), kind)).save(encoded, "TIFF")
    return encoded.getvalue()


def linked(raw):
    pictures(name="link.png")(raw)
    (raw / "pictures/link.png").symlink_to("../../elsewhere/secret.png")


def folder(raw):
    pictures(name="bad")(raw)
    (raw / "pictures/bad").mkdir()


def in_folders(raw):
    pictures(name="cats\\bad.jpg")(raw)
    (raw / "pictures/cats").mkdir()
    (raw / "pictures/cats/bad.jpg").write_bytes(picture("JPEG"))


def without_folder(raw):
    table(rows())(raw)


def box_outside(raw):
    sides = {"left": [0, 50, 0, 0, 0, 0]} | dict.fromkeys(("top", "width", "height"), [4] * 6)
    pictures(picture(), "large.png", **sides)(raw)


def all_broken(raw):
    table(rows(file=[f"bad{i}.jpg" for i in range(6)]))(raw)
    (raw / "pictures").mkdir()
    for i in range(6):
        (raw / f"pictures/bad{i}.jpg").write_bytes(LFS)


def totals(raw):
    pictures()(raw)
    frame = rows(file=["good.png"] * 5 + [""])
    table(
        frame.with_columns(id=np.array([*frame["id"][:5], "Total: 5"]), split=np.array(["train"] * 4 + ["val", "test"]))
    )(raw)


CASES = [
    Case(
        "The paths of the pictures are not below a declared folder",
        pictures(picture()),
        read(root=None),
        ("images.root",),
    ),
    Case("The folder of pictures is not there", without_folder, read(), ("images.root", "pictures")),
    Case(
        "The folder of pictures is a file",
        pictures(picture()),
        read(root="table.parquet"),
        ("images.root", "table.parquet"),
    ),
    Case("A row has no picture", pictures(name=None), read(), ("p1",)),
    Case("The last row of the table holds totals", totals, read(), ("Total: 5",), remedy="Remove the row."),
    Case("A picture is not there", pictures(), read(), ("p1", "'bad.jpg'")),
    Case("Folders are separated by backslashes", in_folders, read(), ("p1", "bad.jpg", "'/'")),
    Case(
        "A path leads out of the folder with ..",
        pictures(name="../../elsewhere/secret.png"),
        read(),
        ("p1", "..", "images.root"),
    ),
    Case("A path is absolute", pictures(name="/etc/hostname"), read(), ("p1", "/etc/hostname", "images.root")),
    Case("A link leads out of the folder", linked, read(), ("p1", "'link.png'", "images.root")),
    Case(
        "Pictures are given by their URLs",
        pictures(name="https://example.org/photos/bad.jpg"),
        read(),
        ("p1", "https://example.org/photos/bad.jpg", "images.root"),
    ),
    Case(
        "Pictures are given as text in base64",
        pictures(name=b64encode(picture("BMP", (80, 60))).decode()),
        read(),
        ("p1", "'Qk1", "4,096"),
    ),
    Case("A name is longer than names can be", pictures(name="bad" * 100 + ".jpg"), read(), ("p1", "bad.jpg")),
    Case("A path names a folder", folder, read(), ("p1", "'bad'")),
    Case("A file is empty", pictures(b""), read(), ("p1",)),
    Case("A JPEG is cut off", pictures(picture("JPEG", (80, 60))[:2000]), read(), ("p1", "JPEG")),
    Case("A PNG is cut off", pictures(picture(size=(80, 60))[:2000], "bad.png"), read(), ("p1", "PNG")),
    Case("A byte of a PNG is wrong", pictures(damaged(), "bad.png"), read(), ("p1", "PNG")),
    Case("A picture says that it is huge", pictures(huge(), "bad.png"), read(), ("p1", "images.max_pixels")),
    Case(
        "A file is larger than allowed",
        pictures(picture("BMP", (80, 60)), "bad.bmp"),
        read(max_bytes=10_000),
        ("p1", "images.max_bytes"),
    ),
    Case("A picture is a Git LFS pointer", pictures(LFS), read(), ("p1", "git lfs pull")),
    Case(
        "A picture is a web page", pictures(b"<!DOCTYPE html>\n<html><body>Sorry</body></html>"), read(), ("p1", "HTML")
    ),
    Case(
        "A picture from a phone is HEIC",
        pictures(b"\0\0\0\x24ftypheic\0\0\0\0mif1heic" + bytes(100)),
        read(),
        ("p1", "HEIC"),
        remedy="Export the pictures as JPEG or PNG.",
    ),
    Case(
        "A picture is a drawing",
        pictures(b'<svg xmlns="http://www.w3.org/2000/svg"/>', "bad.svg"),
        read(),
        ("p1", "SVG"),
        remedy="Draw it as PNG.",
    ),
    Case(
        "A picture is a PDF",
        pictures(b"%PDF-1.7\n" + bytes(50), "bad.pdf"),
        read(),
        ("p1", "PDF"),
        remedy="Export its pages as PNG.",
    ),
    Case(
        "A picture is a video",
        pictures(b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41" + bytes(50)),
        read(),
        ("p1",),
        remedy="Export frames as JPEG or PNG.",
    ),
    Case(
        "A picture is what macOS adds to archives",
        pictures(b"\0\5\x16\7\0\2\0\0Mac OS X        " + bytes(50), "._bad.jpg"),
        read(),
        ("p1", "macOS"),
    ),
    Case(
        "A picture has floating-point pixels",
        pictures(tiff(np.float32), "bad.tif"),
        read(),
        ("p1", "floating-point"),
        remedy="Export it with 8 or 16 bits.",
    ),
    Case(
        "A picture has 32-bit pixels",
        pictures(tiff(np.int32), "bad.tif"),
        read(),
        ("p1", "32-bit"),
        remedy="Export it with 8 or 16 bits.",
    ),
    Case(
        "A box lies outside its picture",
        box_outside,
        ingest("table.parquet", ingestion={"box_columns": ["left", "top", "width", "height"]}),
        ("p1", "(50, 4)"),
        remedy="Boxes are in pixels of the upright picture; correct the row.",
    ),
    Case(
        "Too many pictures cannot be used",
        pictures(LFS),
        read(max_bad_fraction=0.01),
        ("p1", "images.max_bad_fraction"),
    ),
    Case("No picture can be used", all_broken, read(), ("p0", "6 of 6")),
]
