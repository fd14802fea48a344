"""Messages of an AWS event stream, written: lengths, headers, payload, two checksums.

What does not live here: which events there are (`answers.py`), reading such streams.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_STRING = 7


def message(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One message; all its headers are strings."""
    written = b"".join(
        struct.pack(">B", len(name)) + name.encode() + struct.pack(">BH", _STRING, len(value.encode())) + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack(">II", 16 + len(written) + len(payload), len(written))
    data = prelude + struct.pack(">I", zlib.crc32(prelude)) + written + payload
    return data + struct.pack(">I", zlib.crc32(data))
