"""Small real pictures of any size, made from a text: PNG, JPEG and WebP.

What does not live here: who asks for them (`openai/images.py`, `gemini/imagen.py`).
"""

from __future__ import annotations

import hashlib
import struct
import zlib


def png(text: str, width: int, height: int) -> bytes:
    """A picture of eight by eight fields in two colours, both from `text`."""
    digest = hashlib.sha256(text.encode()).digest()
    fields = int.from_bytes(digest[:8], "big")
    rows = []
    for row in range(8):
        bits = "".join("1" if fields >> (row * 8 + column * 8 // width) & 1 else "0" for column in range(width))
        rows.append(b"\0" + int(bits.ljust(-(-width // 8) * 8, "0"), 2).to_bytes(-(-width // 8), "big"))
    pixels = b"".join(rows[line * 8 // height] for line in range(height))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 3, 0, 0, 0)),
            _chunk(b"PLTE", digest[8:14]),
            _chunk(b"IDAT", zlib.compress(pixels, 9)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def jpeg(text: str, width: int, height: int) -> bytes:
    """A picture in one grey, which is from `text`."""
    grey = hashlib.sha256(text.encode()).digest()[0] & 0x7F
    segments = (
        (0xE0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0"),
        (0xDB, b"\0" + b"\x08" * 64),
        (0xC0, struct.pack(">BHHBBBB", 8, height, width, 1, 1, 0x11, 0)),
        # Two codes for the first coefficient: `0` says as before, `10` that seven bits follow. One for the rest: end.
        (0xC4, b"\x00" + bytes([1, 1, *([0] * 14)]) + b"\0\x07"),
        (0xC4, b"\x10" + bytes([1, *([0] * 15)]) + b"\0"),
        (0xDA, b"\x01\x01\x00\x00\x3f\x00"),
    )
    head = b"".join(struct.pack(">BBH", 0xFF, kind, len(data) + 2) + data for kind, data in segments)
    # The seven bits are the level of the first block, taken from the upper half; all others are as it is.
    bits = "10" + f"{64 | grey & 0x3F:07b}" + "0" + "00" * (-(-width // 8) * -(-height // 8) - 1)
    bits = bits.ljust(-(-len(bits) // 8) * 8, "1")
    data = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    return b"\xff\xd8" + head + data + b"\xff\xd9"


def webp(text: str, width: int, height: int) -> bytes:
    """A picture in one colour, which is from `text`; lossless."""
    red, green, blue = hashlib.sha256(text.encode()).digest()[:3]
    # (value, bits) from the lowest bit: sizes, no alpha, version, no transforms, no cache, one group; then five
    # codes of one symbol each, so that pixels take no bits at all.
    fields = [(width - 1, 14), (height - 1, 14), (0, 1), (0, 3), (0, 1), (0, 1), (0, 1)]
    for value in (green, red, blue, 255):
        fields += [(1, 1), (0, 1), (1, 1), (value, 8)]
    fields += [(1, 1), (0, 1), (0, 1), (0, 1)]
    number = at = 0
    for value, size in fields:
        number |= value << at
        at += size
    data = b"\x2f" + number.to_bytes(-(-at // 8), "little")
    body = b"WEBPVP8L" + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
    return b"RIFF" + struct.pack("<I", len(body)) + body
