"""Reasoning on its way through Responses: out as `encrypted_content`, back in as the hub's members.

What an upstream wants to see again (signatures, sealed blocks, thought signatures of calls) has no place
of its own in this protocol. It travels in `encrypted_content` of a reasoning item: a mark, and JSON in
base64. It is no secret, only opaque: whoever sends the item back, sends it unchanged.

What does not live here: items (`items.py`, `stream.py`), whose signatures an upstream takes (`dialects/`).
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

import orjson

from compatgw.wire.responses import SEAL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FORMAT = "openai-responses-v1"
"""The `format` of entries that came from an upstream of this protocol."""

# Strings of an entry that arrive in pieces; all others are said once.
_JOINED = frozenset({"text", "summary", "data", "signature"})


def sealed(held: Mapping[str, Any]) -> str:
    """What is held of a turn, as `encrypted_content`.

    Args:
        held: `details` (entries of `reasoning_details`), `calls` (extra content by call id), `extra` (of the message).
    """
    return SEAL + base64.urlsafe_b64encode(orjson.dumps(dict(held))).decode().rstrip("=")


def opened(text: str) -> dict[str, Any] | None:
    """What `sealed` made `text` of; None when it is another's, or was changed."""
    if not text.startswith(SEAL):
        return None
    data = text[len(SEAL) :]
    try:
        value = orjson.loads(base64.b64decode(data + "=" * (-len(data) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):
        return None
    return value if isinstance(value, dict) else None


def entries(item: Mapping[str, Any]) -> dict[str, Any]:
    """What a reasoning item brings back: `text`, and `details`, `calls`, `extra` as for `sealed`."""
    texts = [part["text"] for part in (item.get("summary") or item.get("content") or ())]
    found: dict[str, Any] = {"text": "\n\n".join(texts), "details": [], "calls": {}, "extra": {}}
    secret = item.get("encrypted_content")
    if not secret:
        return found
    if (held := opened(secret)) is not None:
        details, calls, extra = held.get("details"), held.get("calls"), held.get("extra")
        found["details"] = [one for one in details if isinstance(one, dict)] if isinstance(details, list) else []
        found["calls"] = calls if isinstance(calls, dict) else {}
        found["extra"] = extra if isinstance(extra, dict) else {}
    elif not secret.startswith(SEAL):
        if found["text"]:
            found["details"].append({"type": "reasoning.summary", "summary": found["text"], "format": FORMAT})
        entry = {"type": "reasoning.encrypted", "data": secret, "format": FORMAT}
        found["details"].append({**entry, "id": item["id"]} if item.get("id") else entry)
    return found


class Details:
    """Puts entries of `reasoning_details` together as their pieces pass by."""

    __slots__ = ("_at", "_entries")

    def __init__(self) -> None:
        self._entries: list[dict[str, Any]] = []
        self._at: dict[int, int] = {}

    def __bool__(self) -> bool:
        return bool(self._entries)

    def add(self, pieces: Sequence[Any]) -> None:
        """Takes the pieces of one delta; those that share an `index` belong together."""
        for piece in pieces:
            if not isinstance(piece, dict):
                continue
            index = piece.get("index")
            place = self._at.get(index) if isinstance(index, int) else None
            if place is None:
                if isinstance(index, int):
                    self._at[index] = len(self._entries)
                self._entries.append(dict(piece))
                continue
            entry = self._entries[place]
            for name, value in piece.items():
                if name in _JOINED and isinstance(value, str) and isinstance(entry.get(name), str):
                    entry[name] += value
                elif value is not None or name not in entry:
                    entry[name] = value

    def take(self) -> list[dict[str, Any]]:
        """The entries so far; what follows begins anew."""
        found, self._entries, self._at = self._entries, [], {}
        return found
