"""What is kept of an answer outside of this process: a head and a body that prove whole when they come back.

    cgw1 KIND \n  16 bytes of digest  HEAD \n BODY

The head is JSON on one line; the body is bytes as they are. Whatever is not exactly that is not ours:
another version's form, another program's value under our name, bytes that were cut or changed.

What does not live here: what is kept and where (`flow/cache.py`, `flow/idempotency.py`).
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.wire.chat import JSON

# Goes up whenever what stands in a head or a body changes its meaning: older entries are then no longer ours.
_FORM = "cgw1"
_DIGEST = 16


class Kept(NamedTuple):
    """What was packed: a JSON object, and bytes."""

    head: dict[str, JSON]
    body: bytes


def pack(kind: str, head: Mapping[str, JSON], body: bytes) -> bytes:
    """`head` and `body` as bytes to be kept.

    Args:
        kind: What it is, one word; only `unpack` with the same word reads it.

    Raises:
        ValueError: The head cannot be written as JSON.
    """
    try:
        line = orjson.dumps(dict(head))
    except orjson.JSONEncodeError as error:
        raise ValueError(f"What is to be kept is not JSON: {error}.") from None
    inside = b"%b\n%b" % (line, body)
    return b"%b%b%b" % (_opening(kind), _digest(kind, inside), inside)


def unpack(kind: str, data: bytes) -> Kept | None:
    """What `pack` made of that kind; None for anything else, whatever it is."""
    opening = _opening(kind)
    if not data.startswith(opening):
        return None
    inside = data[len(opening) + _DIGEST :]
    if data[len(opening) : len(opening) + _DIGEST] != _digest(kind, inside):
        return None
    line, _, body = inside.partition(b"\n")
    return Kept(orjson.loads(line), body)


def _opening(kind: str) -> bytes:
    return f"{_FORM} {kind}\n".encode()


def _digest(kind: str, inside: bytes) -> bytes:
    return blake2b(inside, digest_size=_DIGEST, person=f"{_FORM} {kind}".encode()[:16]).digest()
