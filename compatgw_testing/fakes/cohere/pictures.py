"""Width, height and depth of pictures, as Cohere tells them.

What does not live here: which media are taken (`rules.py`, `embeddings.py`).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from compatgw_testing.fakes.media import media_type_of

if TYPE_CHECKING:
    from compatgw_testing.fakes.answer import Json

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def size_of(data: bytes) -> Json:
    """Width, height, format and bits by the pixel; 0 where the data does not say."""
    kind = media_type_of(data)
    width = height = depth = 0
    if kind == "image/png" and len(data) >= 26:
        width, height, bits, colours = struct.unpack(">IIBB", data[16:26])
        depth = bits * _CHANNELS.get(colours, 0)
    elif kind == "image/gif" and len(data) >= 11:
        width, height, flags = struct.unpack("<HHB", data[6:11])
        depth = (flags & 7) + 1
    elif kind == "image/jpeg":
        width, height, depth = _jpeg(data)
    return {
        "width": width,
        "height": height,
        "format": (kind or "").removeprefix("image/"),
        "bit_depth": depth,
    }


def _jpeg(data: bytes) -> tuple[int, int, int]:
    """From the first frame header; every segment before it says how long it is."""
    at = 2
    while at + 10 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            bits, height, width, parts = struct.unpack(">BHHB", data[at + 4 : at + 10])
            return width, height, bits * parts
        at += 2 + max(2, length)
    return 0, 0, 0
