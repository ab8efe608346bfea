"""Archives of pictures."""

import io
import stat
import tarfile
import warnings
import zipfile

from tests.broken.case import Case, ingest, picture, rows, table

GOOD = {"good.png": picture()}


def zipped(files, method=zipfile.ZIP_DEFLATED):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive, warnings.catch_warnings(action="ignore"):  # of a name twice
        for name, content in files:
            archive.writestr(name, content)
    return packed.getvalue()


def tarred(files, compression=""):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=f"w:{compression}") as archive:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def archive(content, reference="bad.png", name="pictures.zip"):
    """Return what writes an archive, and six rows, of which the second refers to this member."""

    def make(raw):
        table(rows(file=["good.png", reference, *["good.png"] * 4]))(raw)
        (raw / name).write_bytes(content)

    return make


def read(root="pictures.zip", **images):
    return ingest("table.parquet", images={"root": root, **images})


def encrypted():
    """The second member says that it is encrypted, in its own header and in the list of members."""
    content = bytearray(zipped([*GOOD.items(), ("bad.png", picture())]))
    content[content.index(b"PK\3\4", 4) + 6] |= 1
    content[content.rindex(b"PK\1\2") + 8] |= 1
    return bytes(content)


def link():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive_:
        archive_.writestr("good.png", picture())
        info = zipfile.ZipInfo("bad.png")
        info.create_system = 3
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive_.writestr(info, "../elsewhere/secret.png")
    return packed.getvalue()


def rarely_compressed():
    packed = io.BytesIO(zipped(GOOD.items()))
    with zipfile.ZipFile(packed, "a", zipfile.ZIP_LZMA) as archive_:
        archive_.writestr("bad.png", picture())
    return packed.getvalue()


def wrong_byte():
    content = bytearray(zipped([*GOOD.items(), ("bad.png", picture())], zipfile.ZIP_STORED))
    content[content.rindex(b"IDAT") + 20] ^= 0xFF
    return bytes(content)


def misnamed():
    content = zipped([*GOOD.items(), ("bäd.png", picture())])
    return content.replace("bäd.png".encode(), b"b\xe4\xe4d.png", 1)


def extended(**headers):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive_:
        member = tarfile.TarInfo("bad.png")
        member.pax_headers = headers
        archive_.addfile(member)
    return packed.getvalue()


def headers_alone():
    content = extended(comment="x")
    return content[:1024] * 900 + content[1024:]


def of_negative_size():
    return extended(size="-1000")


CASES = [
    Case("The archive is none", archive(b"no archive at all"), read(), ("images.root", "pictures.zip")),
    Case(
        "The download of an archive broke off",
        archive(zipped([*GOOD.items()])[:-40]),
        read(),
        ("images.root", "pictures.zip"),
    ),
    Case(
        "The download of a tar archive broke off",
        archive(tarred([*GOOD.items(), ("bad.png", picture())])[:1600], name="pictures.tar"),
        read("pictures.tar"),
        ("images.root", "pictures.tar"),
    ),
    Case(
        "The download of a compressed tar archive broke off",
        archive(tarred([*GOOD.items()], "gz")[:-40], name="pictures.tar.gz"),
        read("pictures.tar.gz"),
        ("images.root", "pictures.tar.gz"),
    ),
    Case(
        "It is an archive of another kind",
        archive(b"7z\xbc\xaf\x27\x1c\0\4", name="pictures.7z"),
        read("pictures.7z"),
        ("images.root", "pictures.7z"),
        remedy="Pack the pictures as .zip or .tar, or unpack them.",
    ),
    Case(
        "The paths lack the folder inside the archive",
        archive(zipped([("photos/good.png", picture()), ("photos/bad.png", picture())])),
        read(),
        ("p1", "bad.png", "photos/good.png"),
    ),
    Case(
        "A name is written with other capitals",
        archive(zipped([*GOOD.items(), ("bad.jpg", picture("JPEG"))]), "BAD.JPG"),
        read(),
        ("p1", "'BAD.JPG'", "pictures.zip"),
        remedy="Write names as the archive or the folder has them.",
    ),
    Case("A member is encrypted", archive(encrypted()), read(), ("p1", "'bad.png'", "pictures.zip")),
    Case(
        "A member is there twice",
        archive(zipped([*GOOD.items(), ("bad.png", picture()), ("bad.png", picture("JPEG"))])),
        read(),
        ("p1", "'bad.png'", "pictures.zip"),
    ),
    Case("A member is a link", archive(link()), read(), ("p1", "'bad.png'", "pictures.zip")),
    Case(
        "A member would be unpacked outside",
        archive(zipped([*GOOD.items(), ("../../elsewhere/evil.png", picture())]), "../../elsewhere/evil.png"),
        read(),
        ("p1", "evil.png", "images.root"),
    ),
    Case(
        "A member is compressed in a rare way",
        archive(rarely_compressed()),
        read(),
        ("p1", "'bad.png'", "pictures.zip"),
        remedy="Pack the pictures again, deflated, as most programs do.",
    ),
    Case("A byte of a member is wrong", archive(wrong_byte()), read(), ("p1", "'bad.png'", "pictures.zip")),
    Case(
        "A member unpacks to more than allowed",
        archive(zipped([*GOOD.items(), ("bad.png", bytes(5_000_000))])),
        read(max_bytes=1_000_000),
        ("p1", "images.max_bytes"),
    ),
    Case(
        "A compressed archive unpacks to more than allowed",
        archive(tarred([*GOOD.items(), ("bad.png", bytes(5_000_000))], "gz"), name="pictures.tar.gz"),
        read("pictures.tar.gz", max_archive_bytes=1_000_000),
        ("pictures.tar.gz", "images.max_archive_bytes"),
    ),
    Case(
        "A member's own header writes its name in another way than the list of members",
        archive(misnamed(), "bäd.png"),
        read(),
        ("p1", "'bäd.png'", "pictures.zip"),
        remedy="Pack the pictures again.",
    ),
    Case(
        "The headers of a tar archive follow one another without end",
        archive(headers_alone(), name="pictures.tar"),
        read("pictures.tar"),
        ("images.root", "pictures.tar"),
    ),
    Case(
        "A header of a tar archive leads back to its beginning",
        archive(of_negative_size(), name="pictures.tar"),
        read("pictures.tar"),
        ("images.root", "pictures.tar", "'bad.png'"),
    ),
]
