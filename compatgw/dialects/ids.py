"""Tool call ids and names across vendors: deterministic, so history, cache and retries agree.

What does not live here: which upstream wants which form (quirks, dialects).
"""

from __future__ import annotations

import hashlib
import re

_PORTABLE = re.compile(r"[a-zA-Z0-9_-]+")
_UNPORTABLE = re.compile(r"[^a-zA-Z0-9_-]")
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def digest(*parts: str) -> str:
    """64 hexadecimal digits over `parts`, each told apart from its neighbour."""
    return hashlib.sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def portable(value: str, limit: int = 64) -> str:
    """`value` if it is letters, digits, `_` and `-` within `limit`, else a stable stand-in with a hash."""
    if value and len(value) <= limit and _PORTABLE.fullmatch(value):
        return value
    tail = digest(value)[:10]
    return f"{_UNPORTABLE.sub('_', value)[: limit - 11]}_{tail}"


def base62(value: str, length: int) -> str:
    """`value` if it is exactly `length` letters or digits, else a stable stand-in of that form."""
    if len(value) == length and value.isascii() and value.isalnum():
        return value
    number = int(digest(value), 16)
    out = []
    for _ in range(length):
        number, rest = divmod(number, 62)
        out.append(_BASE62[rest])
    return "".join(out)


def minted(*parts: str) -> str:
    """A tool call id made from `parts`, for upstreams that give none."""
    return f"call_{digest(*parts)[:24]}"
