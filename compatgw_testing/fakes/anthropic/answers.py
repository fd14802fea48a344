"""Anthropic's messages, plain and as stream events.

What does not live here: which requests are answered (`rules.py`).
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from compatgw_testing.fakes.answer import Chat, Frame, Json, Problem, Said, fragments
from compatgw_testing.fakes.anthropic.models import limits_of
from compatgw_testing.fakes.anthropic.reading import read_messages
from compatgw_testing.script import dump

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from compatgw_testing.fakes.anthropic.turns import Thoughts
    from compatgw_testing.journal import Call
    from compatgw_testing.sample import Ids
    from compatgw_testing.script import ToolCall

_STOP = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
    "refusal": "refusal",
}


class AnthropicChat(Chat):
    """One request for a message."""

    def __init__(self, call: Call, ids: Ids, thoughts: Thoughts, envelope: Callable[[Problem], Json]) -> None:
        body: Json = call.body
        super().__init__(call, ids, read_messages(body))
        self.model = str(body.get("model"))
        self._display = (body.get("thinking") or {}).get("display")
        self._stops: list[str] = body.get("stop_sequences") or []
        self._thoughts = thoughts
        self._envelope = envelope

    def tool_id(self, index: int, name: str) -> str:
        """The id of the call at `index`."""
        return f"toolu_01{self.ids.alnum(f'tool{index}', 22)}"

    def plain(self, said: Said) -> Json:
        """The body of a message."""
        return {**self._message(said, self._blocks(said)), **self._stop(said), "usage": self._usage(said)}

    def _message(self, said: Said, content: list[Json]) -> Json:
        return {
            "model": self.model,
            "id": f"msg_01{self.ids.alnum('id', 22)}",
            "type": "message",
            "role": "assistant",
            "content": content,
        }

    def _stop(self, said: Said) -> Json:
        reason = _STOP.get(said.finish, said.finish)
        hit = next(iter(self._stops), None) if reason == "stop_sequence" else None
        stop: Json = {"stop_reason": reason, "stop_sequence": hit}
        if said.refusal is not None:
            explanation = "".join(said.refusal)
            stop["stop_details"] = {"type": "refusal", "category": "general_harms", "explanation": explanation}
        return stop

    def _usage(self, said: Said, *, started: bool = False) -> Json:
        used = said.usage
        usage: Json = {
            "input_tokens": used.input - used.cached - used.cache_write,
            "cache_creation_input_tokens": used.cache_write,
            "cache_read_input_tokens": used.cached,
            "cache_creation": {"ephemeral_5m_input_tokens": used.cache_write, "ephemeral_1h_input_tokens": 0},
            "output_tokens": 1 if started else used.output,
            "service_tier": "standard",
        }
        if used.reasoning and not started:
            usage["output_tokens_details"] = {"thinking_tokens": used.reasoning}
        return usage

    def _blocks(self, said: Said) -> list[Json]:
        blocks: list[Json] = []
        if said.reasoning:
            blocks.append(self._thought(said))
        if said.text:
            blocks.append({"type": "text", "text": "".join(said.text)})
        blocks += [{"type": "tool_use", "id": one.id, "name": one.name, "input": _input(one)} for one in said.calls]
        return blocks

    def _thought(self, said: Said) -> Json:
        """The thought as a block, its signature issued."""
        text, model = "".join(said.reasoning), self.model
        if said.redacted:
            data = self._sealed("redacted" + text)
            self._thoughts.issue(data, "", model)
            return {"type": "redacted_thinking", "data": data}
        signature = self._sealed(text)
        self._thoughts.issue(signature, text, model)
        shown = limits_of(model).shows_thought
        display = self._display or ("summarized" if shown else "omitted")
        return {"type": "thinking", "thinking": "" if display == "omitted" else text, "signature": signature}

    def _sealed(self, text: str) -> str:
        return base64.b64encode(bytes.fromhex(self.ids.hex(f"signature{text}", 128))).decode()

    # Streamed.

    def frames(self, said: Said) -> Iterator[Frame]:
        """The events of a stream."""
        unfinished = {"stop_reason": None, "stop_sequence": None, "usage": self._usage(said, started=True)}
        yield _frame("message_start", {"message": {**self._message(said, []), **unfinished}})
        blocks = self._blocks(said)
        for index, block in enumerate(blocks):
            yield _frame("content_block_start", {"index": index, "content_block": _opened(block)})
            if index == 0:
                yield _frame("ping", {})
            for delta in self._deltas(block, said):
                yield _frame("content_block_delta", {"index": index, "delta": delta})
            yield _frame("content_block_stop", {"index": index})
        if not blocks:
            yield _frame("ping", {})
        usage = self._usage(said)
        del usage["cache_creation"], usage["service_tier"]  # said at the start
        yield _frame("message_delta", {"delta": self._stop(said), "usage": usage}, end=True)
        yield _frame("message_stop", {}, end=True)

    def _deltas(self, block: Json, said: Said) -> Iterator[Json]:
        if block["type"] == "text":
            for piece in said.text or ():
                yield {"type": "text_delta", "text": piece}
        elif block["type"] == "thinking":
            for piece in said.reasoning if block["thinking"] else ():
                yield {"type": "thinking_delta", "thinking": piece}
            yield {"type": "signature_delta", "signature": block["signature"]}
        elif block["type"] == "tool_use":
            yield {"type": "input_json_delta", "partial_json": ""}
            text = next(one.text for one in said.calls if one.id == block["id"])
            for piece in fragments(text) if text != "{}" else ():
                yield {"type": "input_json_delta", "partial_json": piece}

    def error_frames(self, problem: Problem) -> Iterator[Frame]:
        """The error event, after which the vendor closes."""
        yield Frame(f"event: error\ndata: {dump(self._envelope(problem))}\n\n".encode(), end=True)

    def garbage(self) -> bytes:
        """A delta that breaks off in the middle of its JSON."""
        return b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"del\n\n'


def _input(call: ToolCall) -> Any:
    """The arguments as an object; what is no object cannot be said in a plain message."""
    try:
        value = json.loads(call.text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _opened(block: Json) -> Json:
    """A block as it stands when it starts."""
    empty: Json = {"text": "", "thinking": "", "signature": "", "input": {}}
    return {name: empty.get(name, value) for name, value in block.items()}


def _frame(name: str, data: Json, *, end: bool = False) -> Frame:
    return Frame(f"event: {name}\ndata: {dump({'type': name, **data})}\n\n".encode(), end)
