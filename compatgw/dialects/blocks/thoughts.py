"""Thinking blocks on their way through OpenAI's format: out as `reasoning_details`, back in as blocks.

A block comes back only with its signature, unchanged and in order; its text may be empty.
Signatures are bound to the model and the platform that made them, so each entry that leaves
here carries a mark of its origin as `id`, and an entry with the mark of another origin stays
out of the request. Entries without a mark (from another gateway) are taken on trust. Plain
reasoning text has no signature and is never sent back.

Blocks are in the shape of `thinking_blocks`, which is Anthropic's own: `{"type": "thinking", "thinking", "signature"}`
and `{"type": "redacted_thinking", "data"}`.

What does not live here: whether and how much a model thinks (`thinking.py`), other shapes of a block (the dialects).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from compatgw.dialects import ids

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.dialects.base import Target

FORMAT = "anthropic-claude-v1"
_MARK = "claude-thought-"
# The same model under its alias, its dated name, its version and a host's name for it.
_VERSION = re.compile(r"([-@]\d{8}|-latest|-v\d+(:\d+)?|@default)+$")


def origin(target: Target) -> str:
    """The mark of entries that `target` made; tells nothing of it."""
    return _MARK + ids.digest(target.provider, _VERSION.sub("", target.model))[:16]


def detail(block: Mapping[str, Any], index: int, target: Target) -> dict[str, Any]:
    """A block of an answer as an entry of `reasoning_details`."""
    entry: dict[str, Any] = {"index": index}
    if block["type"] == "thinking":
        entry |= {"type": "reasoning.text", "text": block["thinking"]}
        if block.get("signature"):
            entry["signature"] = block["signature"]
    else:
        entry |= {"type": "reasoning.encrypted", "data": block["data"]}
    return {**entry, "format": FORMAT, "id": origin(target)}


def replayed(message: Mapping[str, Any], target: Target) -> list[dict[str, Any]]:
    """The blocks that an earlier assistant message brings back, in order."""
    details = message.get("reasoning_details")
    if isinstance(details, list) and details:
        return [found for entry in _joined(details, origin(target)) if (found := _block(entry)) is not None]
    blocks = message.get("thinking_blocks")
    if isinstance(blocks, list):
        return [found for block in blocks if (found := vouched(block)) is not None]
    return []


def vouched(block: Any) -> dict[str, Any] | None:
    """The block without what else a client put into it, None when it has no signature to vouch for it."""
    if not isinstance(block, dict):
        return None
    if block.get("type") == "thinking":
        text, signature = block.get("thinking"), block.get("signature")
        if isinstance(text, str) and isinstance(signature, str) and signature:
            return {"type": "thinking", "thinking": text, "signature": signature}
    elif block.get("type") == "redacted_thinking":
        data = block.get("data")
        if isinstance(data, str) and data:
            return {"type": "redacted_thinking", "data": data}
    return None


def _joined(details: list[Any], mine: str) -> list[dict[str, Any]]:
    """Entries of our format and origin; pieces of a stream that a client kept apart are put together."""
    out: list[dict[str, Any]] = []
    places: dict[int, dict[str, Any]] = {}
    for piece in details:
        if not isinstance(piece, dict):
            continue
        index = piece.get("index")
        entry = places.get(index) if isinstance(index, int) else None
        # Whole entries of several turns may share an index: only a piece without `format` goes on with one.
        if entry is None or piece.get("format"):
            entry = dict(piece)
            out.append(entry)
            if isinstance(index, int):
                places[index] = entry
            continue
        for name, value in piece.items():
            if name in ("text", "data") and isinstance(value, str):
                entry[name] = str(entry.get(name) or "") + value
            elif name not in ("type", "index") and value is not None:
                entry[name] = value
    return [entry for entry in out if entry.get("format") == FORMAT and _at_home(entry.get("id"), mine)]


def _at_home(mark: Any, mine: str) -> bool:
    return not isinstance(mark, str) or not mark.startswith(_MARK) or mark == mine


def _block(entry: Mapping[str, Any]) -> dict[str, Any] | None:
    if entry.get("type") == "reasoning.text":
        return vouched({"type": "thinking", "thinking": entry.get("text") or "", "signature": entry.get("signature")})
    if entry.get("type") == "reasoning.encrypted":
        return vouched({"type": "redacted_thinking", "data": entry.get("data")})
    return None
