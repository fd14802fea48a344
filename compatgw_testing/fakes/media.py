"""Base64, data URLs and what files start with: facts that several vendors check.

What does not live here: which media a vendor takes.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import NamedTuple

_STARTS = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"%PDF", "application/pdf"),
)


class DataUrl(NamedTuple):
    """A base64 data URL, taken apart."""

    media_type: str
    data: bytes

    @classmethod
    def of(cls, url: str) -> DataUrl | None:
        """The parts of `url`; None if it is no base64 data URL or its base64 is broken."""
        match = re.fullmatch(r"data:([\w.+-]+/[\w.+-]+)(?:;[\w-]+=[^;,]+)*;base64,(.*)", url, re.DOTALL)
        data = decoded(match[2]) if match else None
        return cls(match[1].lower(), data) if match and data is not None else None


def decoded(text: str, *, url_safe: bool = False) -> bytes | None:
    """The bytes of base64 `text`; None if it is broken. `url_safe` also takes that alphabet and no padding."""
    if url_safe:
        text = text.replace("-", "+").replace("_", "/").rstrip("=")
        text += "=" * (-len(text) % 4)
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def media_type_of(data: bytes) -> str | None:
    """What `data` starts like; None if that says nothing."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((name for start, name in _STARTS if data.startswith(start)), None)
