"""Anthropic's stream events become hub chunks.

Each block is told by its index from the event that starts it; deltas are taken by their own
type, so that a newer event, block or delta is skipped without harm. Usage is cumulative and
merged over the events that carry it. The stream is whole only with `message_stop` and a stop
reason; everything else is an interruption.

What does not live here: what blocks and totals mean (`response.py`), calls (`blocks/calls.py`), what
all such streams do alike (`blocks/stream.py`), reading events (`events.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compatgw.dialects import failure
from compatgw.dialects.anthropic.response import (
    TIERS,
    annotations_of,
    identity,
    reason_of,
    refusal_of,
    usage_of,
)
from compatgw.dialects.blocks.answers import text_at
from compatgw.dialects.blocks.stream import BlockStream, Text
from compatgw.dialects.events import Events, interrupted
from compatgw.wire.sse import SSEReader

if TYPE_CHECKING:
    from compatgw.dialects.base import Context


class AnthropicStream(BlockStream, Events):
    """The decoder of one stream (see `dialects/base.py`).

    Args:
        context: Of the call; its memo comes from `request.encode`.
    """

    __slots__ = ("_reader", "_stop", "_usage")

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._reader = SSEReader()
        self._usage: dict[str, Any] = {}
        self._stop: Any = None

    def _event(self, kind: Any, data: dict[str, Any]) -> None:
        index = data.get("index")
        key = index if isinstance(index, int) else None
        match kind:
            case "content_block_delta":
                if isinstance(delta := data.get("delta"), dict):
                    self._delta(key, delta)
            case "content_block_start":
                if isinstance(block := data.get("content_block"), dict):
                    self._start(key, block)
            case "content_block_stop":
                self._close(key)
            case "message_start":
                self._message_start(data.get("message"))
            case "message_delta":
                self._message_delta(data)
            case "message_stop":
                self._message_stop()
            case "error":
                raise failure.from_value(data, self._target)
            case _ if data.get("error"):
                raise failure.from_value(data, self._target)
            # What has no case is skipped: pings, and events younger than this file.

    # --- the message -------------------------------------------------------------------------

    def _message_start(self, message: Any) -> None:
        self._begin()
        self._blocks.clear()
        self._writer.identify(id=identity(message), model=text_at(message, "model"))
        self._writer.start()
        if not isinstance(message, dict):
            return
        self._count(message.get("usage"))
        # An answer that was whole before it was streamed, such as one call after another out of code
        # that the vendor runs, comes with this event alone.
        content = message.get("content")
        for place, block in enumerate(content if isinstance(content, list) else ()):
            if isinstance(block, dict):
                self._start(place, block)
                self._close(place)
        self._stopped = text_at(message, "stop_reason") or self._stopped

    def _count(self, usage: Any) -> None:
        if isinstance(usage, dict):
            self._usage.update({name: value for name, value in usage.items() if value is not None})
            self._tier = TIERS.get(text_at(usage, "service_tier"), self._tier)

    def _message_delta(self, data: dict[str, Any]) -> None:
        self._count(data.get("usage"))
        delta = data.get("delta")
        self._stopped = text_at(delta, "stop_reason") or self._stopped
        if isinstance(delta, dict) and delta.get("stop_details"):
            self._stop = delta["stop_details"]

    def _message_stop(self) -> None:
        if self._stopped is None:
            raise interrupted(self._target, "ended the answer without saying why")
        self._end(reason_of(self._stopped), usage_of(self._usage or None), refusal_of(self._stop))

    # --- blocks ------------------------------------------------------------------------------

    def _start(self, key: int | None, block: dict[str, Any]) -> None:
        self._close(key)
        kind = block.get("type")
        if kind == "tool_use":
            self._calls.open(key, text_at(block, "id"), text_at(block, "name"), block.get("input"))
        elif kind == "text":
            self._blocks[key] = Text(self._length)
            self._text(text_at(block, "text"))
            citations = block.get("citations")
            self._cite(key, *(citations if isinstance(citations, list) else ()))
        elif kind == "thinking":
            thought = self._thought(key)
            thought.signature = text_at(block, "signature")
            self._think(thought, text_at(block, "thinking"))
        elif kind == "redacted_thinking" and (data := text_at(block, "data")):
            self._sealed(data)

    def _delta(self, key: int | None, delta: dict[str, Any]) -> None:
        match delta.get("type"):
            case "text_delta":
                self._text(text_at(delta, "text"))
            case "input_json_delta":
                self._calls.add(key, text_at(delta, "partial_json"))  # the vendor's own tools have no call here
            case "thinking_delta":
                self._think(self._thought(key), text_at(delta, "thinking"))
            case "signature_delta":
                # The last one counts, and it is only known to be the last when the block ends.
                thought = self._thought(key)
                thought.signature = text_at(delta, "signature") or thought.signature
            case "citations_delta":
                self._cite(key, delta.get("citation"))

    def _ended(self, block: Text) -> None:
        self._cited(annotations_of(block.citations, block.start, self._length))

    def _cite(self, key: int | None, *citations: Any) -> None:
        block = self._blocks.get(key)
        if isinstance(block, Text):
            block.citations += citations
