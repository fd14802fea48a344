"""The grammar of Anthropic's Messages: what a message holds, and which events may follow which.

Written from the vendor's documents and checked strictly: what an SDK forgives is noted all the
same. What does not live here: requests and plain answers (`messages.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from compatgw_testing.matrix.asked import SeenCall, SeenError
from compatgw_testing.matrix.reading import check_call, check_texts, count, error, events, expect_type, parsed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compatgw_testing.matrix.asked import Seen
    from compatgw_testing.matrix.reading import Event, Json

_FINISHES = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_ERRORS = frozenset(
    {
        "invalid_request_error",
        "authentication_error",
        "billing_error",
        "permission_error",
        "not_found_error",
        "timeout_error",
        "conflict_error",
        "request_too_large",
        "rate_limit_error",
        "api_error",
        "overloaded_error",
    }
)
# The members of each kind of block, as a whole one and as one that begins.
_BLOCKS: dict[str, dict[str, type]] = {
    "text": {"text": str},
    "thinking": {"thinking": str, "signature": str},
    "redacted_thinking": {"data": str},
    "tool_use": {"id": str, "name": str, "input": dict},
}
_EMPTY: dict[str, Json] = {
    "text": {"text": ""},
    "thinking": {"thinking": "", "signature": ""},
    "redacted_thinking": {},
    "tool_use": {"input": {}},
}
# Which delta goes into which block, and in which of its members what is said stands.
_DELTAS = {
    "text_delta": ("text", "text"),
    "input_json_delta": ("tool_use", "partial_json"),
    "thinking_delta": ("thinking", "thinking"),
    "signature_delta": ("thinking", "signature"),
}
_CALL_ID = re.compile(r"[a-zA-Z0-9_-]+")


class Stream:
    """Reads one stream."""

    def __init__(self, seen: Seen) -> None:
        self.seen = seen
        self.blocks: list[Json] = []
        self.texts: list[str] = []
        self.open = False
        self.started = self.told = self.stopped = False
        self.usage: Json = {}

    def read(self) -> None:
        """All of it."""
        seen = self.seen
        expect_type(seen, "text/event-stream")
        for event in events(seen):
            self._event(event)
        said_in(self.blocks, seen)
        if seen.error is not None:
            seen.ended = "error"
        elif self.stopped:
            seen.ended = "whole"
            usage_of(self.usage, seen)
        self._calls()
        seen.kept = [{"role": "assistant", "content": self.blocks}]

    def _calls(self) -> None:
        seen = self.seen
        for block, text in zip(self.blocks, self.texts, strict=True):
            if block["type"] != "tool_use":
                continue
            call = SeenCall(id=str(block.get("id")), name=str(block.get("name")), arguments=text or "{}")
            seen.calls.append(call)
            check_call(call, seen)
            value = parsed(call.arguments)
            if isinstance(value, dict):
                block["input"] = value
            elif seen.ended == "whole" and seen.finish != "length":
                seen.problems.append(f"the input of {call.name} is no JSON object: {text[:200]!r}")

    def _event(self, event: Event) -> None:
        seen, data = self.seen, parsed(event.data)
        if not isinstance(data, dict):
            seen.problems.append(f"an event is no JSON object: {event.data[:100]!r}")
            return
        kind = data.get("type")
        if event.name != kind:
            seen.problems.append(f"the event {event.name!r} says that it is of type {kind!r}")
        if self.stopped or seen.error is not None:
            seen.problems.append(f"after the end came {kind!r}")
        elif kind == "error":
            seen.error = error_of(data, seen)
        elif kind == "message_start":
            self._start(data.get("message"))
        elif kind != "ping":
            self._after_start(str(kind), data)

    def _after_start(self, kind: str, data: Json) -> None:
        steps = {
            "content_block_start": self._opens,
            "content_block_delta": self._adds,
            "content_block_stop": self._closes,
            "message_delta": self._tells,
            "message_stop": self._stops,
        }
        if kind not in steps:
            self.seen.problems.append(f"there is no event {kind!r}")
            return
        if not self.started:
            self.seen.problems.append(f"{kind} came before message_start")
        if self.told and kind != "message_stop":
            self.seen.problems.append(f"{kind} came after message_delta")
        steps[kind](data)

    def _start(self, message: object) -> None:
        seen = self.seen
        if self.started:
            seen.problems.append("message_start came twice")
        self.started = True
        if not isinstance(message, dict):
            seen.problems.append(f"message_start has the message {message!r}")
            return
        check_head(message, seen)
        for name, empty in (("content", []), ("stop_reason", None), ("stop_sequence", None)):
            if message.get(name, "") != empty:
                seen.problems.append(f"message_start has {name} {message.get(name)!r}")
        self._count(message.get("usage"), ("input_tokens", "output_tokens"), "message_start")

    def _opens(self, data: Json) -> None:
        seen, block = self.seen, data.get("content_block")
        if self.open:
            seen.problems.append(f"block {len(self.blocks)} begins before the one before it ended")
        if data.get("index") != len(self.blocks):
            seen.problems.append(f"block {len(self.blocks)} has the index {data.get('index')!r}")
        if not isinstance(block, dict):
            seen.problems.append(f"content_block_start has the block {block!r}")
            block = {"type": "text", "text": ""}
        check_block(block, seen)
        for name, empty in _EMPTY.get(str(block.get("type")), {}).items():
            if block.get(name) != empty:
                seen.problems.append(f"a block begins with {name} {block.get(name)!r}")
        self.blocks.append(dict(block))
        self.texts.append("")
        self.open = True

    def _adds(self, data: Json) -> None:
        seen, delta = self.seen, data.get("delta") or {}
        if not self.open or data.get("index") != len(self.blocks) - 1:
            seen.problems.append(f"a delta is for block {data.get('index')!r}, which is not open")
            return
        block, kind = self.blocks[-1], delta.get("type")
        wanted, member = _DELTAS.get(str(kind), (None, ""))
        said = delta.get(member)
        if wanted != block.get("type") or not isinstance(said, str):
            seen.problems.append(f"a block of type {block.get('type')!r} gets the delta {delta!r}")
        elif kind == "input_json_delta":
            self.texts[-1] += said
        elif kind == "signature_delta":
            if block["signature"]:
                seen.problems.append("a block of thought is signed twice")
            block["signature"] = said
        else:
            if kind == "thinking_delta" and block["signature"]:
                seen.problems.append("thought came after its signature")
            block[member] += said

    def _closes(self, data: Json) -> None:
        if not self.open or data.get("index") != len(self.blocks) - 1:
            self.seen.problems.append(f"block {data.get('index')!r} ends, which is not open")
        self.open = False

    def _tells(self, data: Json) -> None:
        seen, delta = self.seen, data.get("delta")
        if self.open:
            seen.problems.append("message_delta came before the last block ended")
        self.told = True
        check_end(delta if isinstance(delta, dict) else {}, seen)
        self._count(data.get("usage"), ("output_tokens",), "message_delta")

    def _stops(self, _: Json) -> None:
        if not self.told:
            self.seen.problems.append("message_stop came before message_delta")
        self.stopped = True

    def _count(self, usage: object, required: Sequence[str], where: str) -> None:
        """Counts are totals: those that come later win."""
        if not isinstance(usage, dict) or any(count(usage.get(name)) is None for name in required):
            self.seen.problems.append(f"{where} has the usage {usage!r}")
            return
        self.usage |= {name: value for name, value in usage.items() if value is not None}


def check_head(message: Json, seen: Seen) -> None:
    """What every message has."""
    for name, wanted in (("type", "message"), ("role", "assistant")):
        if message.get(name) != wanted:
            seen.problems.append(f"{name} is {message.get(name)!r}, not {wanted!r}")
    check_texts(message, ("id", "model"), seen)


def check_block(block: Json, seen: Seen) -> None:
    """A block of a known kind with the members of that kind."""
    kind = block.get("type")
    if kind not in _BLOCKS:
        seen.problems.append(f"a block has the type {kind!r}")
        return
    for name, wanted in _BLOCKS[kind].items():
        if not isinstance(block.get(name), wanted):
            seen.problems.append(f"a block of type {kind!r} has {name} {block.get(name)!r}")
    if kind == "tool_use" and not _CALL_ID.fullmatch(str(block.get("id"))):
        seen.problems.append(f"a call has the id {block.get('id')!r}, which could not be sent back")


def check_end(value: Json, seen: Seen) -> None:
    """Why it ended, in the scenarios' words."""
    reason, sequence = value.get("stop_reason"), value.get("stop_sequence", ())
    if reason not in _FINISHES:
        seen.problems.append(f"stop_reason is {reason!r}")
    if sequence == () or (isinstance(sequence, str) != (reason == "stop_sequence")):
        seen.problems.append(f"stop_reason is {reason!r} and stop_sequence {value.get('stop_sequence')!r}")
    seen.finish = _FINISHES.get(str(reason), str(reason))
    details = value.get("stop_details")
    if isinstance(details, dict) and isinstance(details.get("explanation"), str):
        seen.refusal = details["explanation"]


def said_in(blocks: Sequence[Json], seen: Seen) -> None:
    """Words and thought of these blocks."""
    for held, kind, member in (("text", "text", "text"), ("reasoning", "thinking", "thinking")):
        found = [str(one.get(member) or "") for one in blocks if one.get("type") == kind]
        if found:
            setattr(seen, held, "".join(found))


def usage_of(usage: Json, seen: Seen) -> None:
    """Counts in the scenarios' words: all that was read counts as input, what a cache gave and took as well."""
    counts = {name: count(usage.get(name)) for name in ("input_tokens", "output_tokens")}
    if None in counts.values():
        seen.problems.append(f"usage is {usage!r}")
        return
    cached = count(usage.get("cache_read_input_tokens")) or 0
    written = count(usage.get("cache_creation_input_tokens")) or 0
    details: Any = usage.get("output_tokens_details") or {}
    seen.usage = {
        "input": (counts["input_tokens"] or 0) + cached + written,
        "output": counts["output_tokens"] or 0,
        "cached": cached,
        "cache_write": written,
    }
    if (thought := count(details.get("thinking_tokens"))) is not None:
        seen.usage["reasoning"] = thought


def error_of(value: Json, seen: Seen) -> SeenError:
    """An error in Anthropic's envelope; the code is what its message says, for it has none."""
    if value.get("type") != "error":
        seen.problems.append(f"the envelope of the error has the type {value.get('type')!r}")
    found = error(value.get("error"), seen)
    if found.type not in _ERRORS:
        seen.problems.append(f"an error has the type {found.type!r}")
    if found.type == "invalid_request_error" and (found.message or "").startswith("prompt is too long"):
        found.code = "context_length_exceeded"
    else:
        found.code = None
    return found
