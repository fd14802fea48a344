"""A hub completion told as a message, and the parts of telling that streams share.

What does not live here: the order of stream events (`stream.py`), requests (`request.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from compatgw.wire.messages import CLAUDE, portable_id, sealed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from compatgw.surfaces.base import Parsed, View

    Block = dict[str, Any]

_STOPS = {"stop": "end_turn", "length": "max_tokens", "content_filter": "refusal"}
# Where OpenAI-like servers say which of the caller's stop strings they met.
_MET = ("stop_reason", "matched_stop")
_TIERS = {"default": "standard", "priority": "priority"}
_PROOFS = ("signature", "data")


class Teller:
    """What every answer to one request is told by.

    Args:
        parsed: The request.
        view: Of the gateway.

    Attributes:
        thoughts: How much of the thinking is shown: `all`, `sealed` or `none`.
    """

    __slots__ = ("_id", "_model", "_names", "_stops", "thoughts")

    def __init__(self, parsed: Parsed, view: View) -> None:
        self._names: Mapping[str, str] = parsed.asked.get("names", {})
        self._stops: Sequence[str] = parsed.asked.get("stops", ())
        self._model: str | None = parsed.request["model"] if view.echo else None
        self._id = view.id
        self.thoughts: str = parsed.asked.get("thoughts", "all")

    def head(self, answer: Mapping[str, Any]) -> Block:
        """The members of a message that are known when it begins; `answer` is a completion or a chunk."""
        id = str(answer.get("id") or "").removeprefix("chatcmpl-") or self._id
        return {
            "id": id if id.startswith("msg_") else f"msg_{id}",
            "type": "message",
            "role": "assistant",
            "model": self._model or answer.get("model") or "",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
        }

    def name(self, given: str) -> str:
        """The caller's own name of a tool."""
        return self._names.get(given, given)

    def stop(self, choice: Mapping[str, Any], *, called: bool, refused: str) -> Block:
        """Why the answer ended.

        Args:
            choice: The last of its choice.
            called: It holds calls.
            refused: What was said of a refusal.
        """
        reason = choice.get("finish_reason")
        met = next((choice[name] for name in _MET if choice.get(name) in self._stops), None)
        if refused and reason != "length":
            word = "refusal"
        elif called and reason not in ("length", "content_filter"):
            word = "tool_use"
        elif met is not None and reason == "stop":
            word = "stop_sequence"
        else:
            word = _STOPS.get(str(reason), "end_turn")
        out: Block = {"stop_reason": word, "stop_sequence": met if word == "stop_sequence" else None}
        if word == "refusal" and refused:
            out["stop_details"] = {"type": "refusal", "category": None, "explanation": refused}
        return out

    def echoed(self, message: bytes) -> bytes:
        """A message of an upstream's own, under the model's name that was asked for."""
        if self._model is None:
            return message
        return orjson.dumps({**orjson.loads(message), "model": self._model})

    def echoed_start(self, frame: bytes) -> bytes:
        """The same for a frame of a stream."""
        head, mark, data = frame.partition(b"\ndata: ")
        if self._model is None or head != b"event: message_start" or not mark:
            return frame
        value = orjson.loads(data)
        value["message"] = {**value["message"], "model": self._model}
        return head + mark + orjson.dumps(value) + b"\n\n"


def usage_of(usage: Any, tier: Any = None) -> Block:
    """Totals as this protocol counts: what came from the cache and what went to it stand beside the rest."""
    usage = usage if isinstance(usage, dict) else {}
    before, after = usage.get("prompt_tokens_details") or {}, usage.get("completion_tokens_details") or {}
    read, written = before.get("cached_tokens") or 0, before.get("cache_write_tokens") or 0
    out: Block = {
        "input_tokens": max(0, (usage.get("prompt_tokens") or 0) - read - written),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "output_tokens": usage.get("completion_tokens") or 0,
    }
    if thought := after.get("reasoning_tokens"):
        out["output_tokens_details"] = {"thinking_tokens": thought}
    for name in ("cache_creation", "server_tool_use", "cost"):
        if usage.get(name) is not None:
            out[name] = usage[name]
    if isinstance(tier, str) and tier in _TIERS:
        out["service_tier"] = _TIERS[tier]
    return out


def message(completion: Mapping[str, Any], teller: Teller) -> Block:
    """The message that a completion is."""
    choice = completion["choices"][0]
    said: Mapping[str, Any] = choice["message"]
    calls = [_call(call, teller) for call in said.get("tool_calls") or ()]
    text, refused = _text(said.get("content")), said.get("refusal") or ""
    if refused and not text and choice.get("finish_reason") != "content_filter":
        text = refused
    blocks = _thoughts(said, teller)
    if text or not calls:
        blocks.append({"type": "text", "text": text})
    blocks += calls
    if kept := keepsake(said.get("reasoning_details") or (), teller, called=bool(calls)):
        blocks.append(kept)
    return {
        **teller.head(completion),
        "content": blocks,
        **teller.stop(choice, called=bool(calls), refused=refused),
        "usage": usage_of(completion.get("usage"), completion.get("service_tier")),
    }


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    return content or ""


def _call(call: Mapping[str, Any], teller: Teller) -> Block:
    function = call.get("function") or {}
    id, name = portable_id(str(call.get("id") or "")), teller.name(str(function.get("name") or ""))
    return {"type": "tool_use", "id": id, "name": name, "input": arguments(function.get("arguments") or "")}


def arguments(text: str) -> dict[str, Any]:
    """Arguments as the object that they have to be; whatever else they are stays visible under `_raw`."""
    if not text.strip():
        return {}
    try:
        value = orjson.loads(text)
        if isinstance(value, str):  # encoded twice
            value = orjson.loads(value)
    except orjson.JSONDecodeError:
        return {"_raw": text}
    return value if isinstance(value, dict) else {} if value is None else {"_raw": value}


# --- thinking --------------------------------------------------------------------------------


def _thoughts(said: Mapping[str, Any], teller: Teller) -> list[Block]:
    """Thinking blocks: those of this protocol as they were, else one of what another vendor's model thought."""
    if teller.thoughts == "none":
        return []
    own = [entry for entry in said.get("reasoning_details") or () if entry.get("format") == CLAUDE]
    if own:
        return [block for entry in own if (block := own_block(entry, teller)) is not None]
    text = said.get("reasoning_content") or said.get("reasoning") or ""
    return [thought(text, "", teller)] if text else []


def own_block(entry: Mapping[str, Any], teller: Teller) -> Block | None:
    """An entry of this protocol's own as the block that it was, None for one that holds nothing."""
    if entry.get("type") == "reasoning.encrypted":
        return {"type": "redacted_thinking", "data": entry["data"]} if entry.get("data") else None
    text, signature = entry.get("text") or "", entry.get("signature") or ""
    return thought(text, signature, teller) if text or signature else None


def thought(text: str, signature: str, teller: Teller) -> Block:
    """A thinking block; a text that is not to be read goes into a signature, where it has none."""
    if teller.thoughts == "sealed":
        signature = signature or sealed([{"type": "reasoning.text", "text": text}])
        text = ""
    return {"type": "thinking", "thinking": text, "signature": signature}


def keepsake(details: Iterable[Mapping[str, Any]], teller: Teller, *, called: bool) -> Block | None:
    """A block that carries what other vendors want back: signatures, and reasoning that only they can read.

    Without calls nobody insists on it, so who asked for no thinking gets none.
    """
    if teller.thoughts == "none" and not called:
        return None
    entries = [
        {name: value for name, value in entry.items() if name != "index"}
        for entry in details
        if entry.get("format") != CLAUDE and any(entry.get(name) for name in _PROOFS)
    ]
    return {"type": "redacted_thinking", "data": sealed(entries)} if entries else None
