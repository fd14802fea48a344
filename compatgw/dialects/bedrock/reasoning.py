"""Reasoning blocks on their way through OpenAI's format: out as `reasoning_details`, back in as blocks.

A block comes back only with its signature, unchanged and in order. Signatures are bound to the model and
the platform that made them, so each entry that leaves here carries a mark of its origin as `id`, and an
entry with the mark of another origin stays out of the request. Entries without a mark (from another
gateway) are taken on trust. Plain reasoning text has no signature and is never sent back.

What does not live here: whether and how much a model thinks (`thinking.py`).
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
# The same model under its dated name, its version and a region's name for it.
_VERSION = re.compile(r"([-@]\d{8}|-latest|-v\d+(:\d+)?|@default)+$")


def origin(target: Target) -> str:
    """The mark of entries that `target` made; tells nothing of it."""
    return _MARK + ids.digest(target.provider, _VERSION.sub("", target.model))[:16]


def detail(block: Mapping[str, Any], index: int, target: Target) -> dict[str, Any]:
    """A `reasoningContent` of an answer as an entry of `reasoning_details`."""
    entry: dict[str, Any] = {"index": index}
    if "data" in block:
        entry |= {"type": "reasoning.encrypted", "data": block["data"]}
    else:
        entry |= {"type": "reasoning.text", "text": block["text"]}
        if block.get("signature"):
            entry["signature"] = block["signature"]
    return {**entry, "format": FORMAT, "id": origin(target)}


def native(block: Mapping[str, Any]) -> dict[str, Any]:
    """The same as one of `thinking_blocks`, in Anthropic's own shape."""
    if "data" in block:
        return {"type": "redacted_thinking", "data": block["data"]}
    return {"type": "thinking", "thinking": block["text"], "signature": block["signature"]}


def replayed(message: Mapping[str, Any], target: Target) -> list[dict[str, Any]]:
    """The blocks that an earlier assistant message brings back, in order."""
    details = message.get("reasoning_details")
    if isinstance(details, list) and details:
        entries = _joined(details, origin(target))
        return [found for entry in entries if (found := _from_entry(entry)) is not None]
    blocks = message.get("thinking_blocks")
    if isinstance(blocks, list):
        return [found for block in blocks if (found := thought(block)) is not None]
    return []


def thought(block: Any) -> dict[str, Any] | None:
    """A thinking block in Anthropic's shape as one of Bedrock's, None when nothing vouches for it."""
    if not isinstance(block, dict):
        return None
    if block.get("type") == "thinking":
        return _signed(block.get("thinking"), block.get("signature"))
    return _redacted(block.get("data")) if block.get("type") == "redacted_thinking" else None


def _from_entry(entry: Mapping[str, Any]) -> dict[str, Any] | None:
    if entry.get("type") == "reasoning.text":
        return _signed(entry.get("text") or "", entry.get("signature"))
    return _redacted(entry.get("data")) if entry.get("type") == "reasoning.encrypted" else None


def _signed(text: Any, signature: Any) -> dict[str, Any] | None:
    if not isinstance(text, str) or not isinstance(signature, str) or not signature:
        return None
    return {"reasoningContent": {"reasoningText": {"text": text, "signature": signature}}}


def _redacted(data: Any) -> dict[str, Any] | None:
    return {"reasoningContent": {"redactedContent": data}} if isinstance(data, str) and data else None


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
