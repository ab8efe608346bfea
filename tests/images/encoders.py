"""Writers of the pictures that Pillow can read but not write, from arrays of the stored values."""

import struct
import zlib

import numpy as np


def packed(values, depth):
    """Rows of unsigned integers of `depth` bits each, the first in the highest bits."""
    bits = (values[..., None] >> np.arange(depth - 1, -1, -1)) & 1
    return [np.packbits(row).tobytes() for row in bits.reshape(len(values), -1).astype(np.uint8)]


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(values, depth, colour, before_data=b"", interlaced=False):
    """A PNG of (height, width[, channels]) stored values; `colour` is its colour type."""
    height, width = values.shape[:2]
    passes = (
        ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
        if interlaced
        else ((0, 0, 1, 1),)
    )
    data = b"".join(
        b"\0" + row
        for top, left, down, right in passes
        for row in packed(values[top::down, left::right].reshape(len(values[top::down]), -1), depth)
    )
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    end = png_chunk(b"IDAT", zlib.compress(data)) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + before_data + end


def tiff(data, shape, bits, photometric, order="<", tags=()):
    """A TIFF of one uncompressed strip; `tags` are further ones: number -> (type, values)."""
    height, width = shape
    fields = {
        256: (4, [width]),
        257: (4, [height]),
        258: (3, bits),
        259: (3, [1]),
        262: (3, [photometric]),
        273: (4, [0]),
        277: (3, [len(bits)]),
        278: (4, [height]),
        279: (4, [len(data)]),
        **dict(tags),
    }
    after = 8 + 2 + 12 * len(fields) + 4
    long = b""
    encoded = {}
    for number, (kind, values) in sorted(fields.items()):
        value = struct.pack(order + {2: "B", 3: "H", 4: "I"}[kind] * len(values), *values)
        if len(value) > 4:
            value, long = struct.pack(order + "I", after + len(long)), long + value
        encoded[number] = (kind, len(values), value.ljust(4, b"\0"))
    encoded[273] = (4, 1, struct.pack(order + "I", after + len(long)))
    directory = b"".join(struct.pack(order + "HHI", n, k, count) + value for n, (k, count, value) in encoded.items())
    start = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)
    return start + struct.pack(order + "H", len(fields)) + directory + bytes(4) + long + data


def gif(indices, palette, offset=(0, 0), canvas=None, transparent=None, interlaced=False, local=False):
    """A GIF of one frame of (height, width) indices into at least four colours, on a canvas."""
    height, width = indices.shape
    depth = int(np.log2(len(palette)))
    table, colours = 0x80 | depth - 1, np.asarray(palette, np.uint8).tobytes()
    canvas = canvas or (width, height)
    parts = [b"GIF89a", struct.pack("<HHBBB", *canvas, 0 if local else table, 0, 0), b"" if local else colours]
    if transparent is not None:
        parts.append(b"\x21\xf9\x04" + struct.pack("<BHB", 1, 0, transparent) + b"\0")
    flags = (0x40 if interlaced else 0) | (table if local else 0)
    parts += [b"," + struct.pack("<HHHHB", *offset, width, height, flags), colours if local else b""]
    rows = [*range(0, height, 8), *range(4, height, 8), *range(2, height, 4), *range(1, height, 2)]
    data = lzw(indices[rows if interlaced else range(height)].reshape(-1), depth)
    blocks = [bytes([len(data[at : at + 255])]) + data[at : at + 255] for at in range(0, len(data), 255)]
    return b"".join([*parts, bytes([depth]), *blocks, b"\0;"])


def lzw(values, depth):
    """Codes of constant width: the table is cleared before it can grow."""
    codes = [
        code for number, value in enumerate(values) for code in ([1 << depth] if number % 2 == 0 else []) + [value]
    ]
    bits = np.asarray([*codes, (1 << depth) + 1])[:, None] >> np.arange(depth + 1) & 1
    return np.packbits(bits.astype(np.uint8).reshape(-1), bitorder="little").tobytes()


def bmp(rows, shape, bits, compression=0, palette=b"", masks=b""):
    """A BMP of rows of bytes as they are stored; a negative height means from top to bottom."""
    height, width = shape
    data = b"".join(row + bytes(-len(row) % 4) for row in rows)
    size = 108 if masks else 40
    fields = (size, width, height, 1, bits, compression, len(data), 0, 0, len(palette) // 4, 0)
    header = struct.pack("<IiiHHIIiiII", *fields) + masks.ljust(size - 40, b"\0") + palette
    return b"BM" + struct.pack("<IHHI", 14 + len(header) + len(data), 0, 0, 14 + len(header)) + header + data
