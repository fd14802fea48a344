"""Anthropic's stream events become hub chunks.

Each block is told by its index from the event that starts it; deltas are taken by their own
type, so that a newer event, block or delta is skipped without harm. Usage is cumulative and
merged over the events that carry it. The stream is whole only with `message_stop` and a stop
reason; everything else is an interruption.

What does not live here: what blocks and totals mean (`response.py`), calls (`calls.py`),
framing (`wire/sse.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import orjson

from compatgw.dialects import failure
from compatgw.dialects.anthropic import thoughts
from compatgw.dialects.anthropic.calls import Calls
from compatgw.dialects.anthropic.response import (
    TIERS,
    annotations_of,
    broken,
    finish_of,
    identity,
    refusal_of,
    text_at,
    usage_of,
)
from compatgw.dialects.chunks import ChunkWriter
from compatgw.dialects.fence import Fence
from compatgw.errors import StreamInterrupted, UpstreamFailure
from compatgw.wire.sse import EventTooLarge, SSEReader

if TYPE_CHECKING:
    from compatgw.dialects.base import Context, Piece
    from compatgw.wire.chat import Delta
    from compatgw.wire.sse import SSEEvent


class _Thought:
    """A thinking block on its way: where it stands, whether it was written of, its signature so far."""

    __slots__ = ("index", "signature", "written")

    def __init__(self) -> None:
        self.index: int | None = None
        self.signature = ""
        self.written = False


class _Text:
    """A text block on its way: where its text begins, and what it cites."""

    __slots__ = ("citations", "start")

    def __init__(self, start: int) -> None:
        self.start = start
        self.citations: list[Any] = []


class AnthropicStream:
    """The decoder of one stream (see `dialects/base.py`).

    Args:
        context: Of the call; its memo comes from `request.encode`.
    """

    __slots__ = (
        "_annotations", "_blocks", "_calls", "_context", "_details", "_done", "_fence", "_held", "_length", "_reader",
        "_started", "_stop", "_stopped", "_tier", "_usage", "_writer",
    )  # fmt: skip

    def __init__(self, context: Context) -> None:
        self._context = context
        self._reader = SSEReader()
        self._writer = ChunkWriter(context)
        self._calls = Calls(context, self._writer, self._say)
        self._fence = Fence() if context.memo.get("json_object") else None
        # Where a tool stands for the answer, text is only the answer when that tool was not called.
        self._held: list[str] | None = [] if context.memo.get("json_tool") else None
        self._blocks: dict[Any, _Thought | _Text] = {}
        self._details = 0
        self._annotations = 0
        self._length = 0
        self._usage: dict[str, Any] = {}
        self._tier: str | None = None
        self._started = False
        self._stopped: str | None = None
        self._stop: Any = None
        self._done = False

    @property
    def done(self) -> bool:
        """True once `message_stop` was read."""
        return self._done

    def feed(self, data: bytes) -> list[Piece]:
        """Chunks that `data` completes.

        Raises:
            UpstreamFailure: The stream carries an error, or bytes that are not the protocol.
        """
        if self._done:
            return []
        try:
            events = self._reader.feed(data)
        except EventTooLarge as error:
            raise broken(str(error), self._context.target) from None
        for event in events:
            self._read(event)
        return self._take()

    def finish(self) -> list[Piece]:
        """The last chunks.

        Raises:
            StreamInterrupted: There was no `message_stop`.
        """
        if not self._done:
            for event in self._reader.finish():
                try:
                    self._read(event)
                except UpstreamFailure as found:
                    if found.upstream_status is not None:  # a whole event that reports a failure
                        raise
                    break  # half an event: the cut, not the protocol, is at fault
        if not self._done:
            raise self._interrupted("closed the stream before the answer was complete")
        return self._take()

    def _take(self) -> list[Piece]:
        pieces = self._writer.take()
        if self._tier is not None:
            for piece in pieces:
                piece.chunk["service_tier"] = self._tier
        return pieces

    def _interrupted(self, what: str) -> StreamInterrupted:
        target = self._context.target
        return StreamInterrupted(
            f"{target.provider} (model '{target.model}') {what}. What arrived so far is not the whole answer; send "
            "the request again."
        )

    def _read(self, event: SSEEvent) -> None:
        if self._done or event.data.strip() in (b"", b"[DONE]"):
            return
        try:
            data = orjson.loads(event.data)
        except orjson.JSONDecodeError:
            raise broken("an event is not JSON", self._context.target) from None
        if not isinstance(data, dict):
            raise broken("an event is not an object", self._context.target)
        index = data.get("index")
        key = index if isinstance(index, int) else None
        match data.get("type") or event.name:
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
                raise failure.from_value(data, self._context.target)
            case _ if data.get("error"):
                raise failure.from_value(data, self._context.target)
            # What has no case is skipped: pings, and events younger than this file.

    # --- the message -------------------------------------------------------------------------

    def _message_start(self, message: Any) -> None:
        if self._started and (self._length or self._calls.made):
            # What was shown cannot be taken back, and two half answers are no answer.
            raise self._interrupted("began another answer in the middle of one")
        self._started = True
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
            raise self._interrupted("ended the answer without saying why")
        for key in list(self._blocks):
            self._close(key)
        self._calls.close_all()
        if self._held and not self._calls.answered:
            held, self._held = self._held, None
            self._say("".join(held))
        if self._fence is not None:
            self._writer.text(self._fence.finish())
        if said := refusal_of(self._stop):
            self._writer.refusal(said)
        legacy = bool(self._context.memo.get("legacy"))
        self._writer.finish(finish_of(self._stopped, called=self._calls.made, legacy=legacy))
        if usage := usage_of(self._usage or None):
            self._writer.usage(usage)
        self._writer.end()
        self._done = True

    # --- blocks ------------------------------------------------------------------------------

    def _start(self, key: int | None, block: dict[str, Any]) -> None:
        self._close(key)
        kind = block.get("type")
        if kind == "tool_use":
            self._calls.open(key, block)
        elif kind == "text":
            self._blocks[key] = _Text(self._length)
            self._text(text_at(block, "text"))
            citations = block.get("citations")
            self._cite(key, *(citations if isinstance(citations, list) else ()))
        elif kind == "thinking":
            thought = self._blocks[key] = _Thought()
            thought.signature = text_at(block, "signature")
            self._think(thought, text_at(block, "thinking"))
        elif kind == "redacted_thinking" and text_at(block, "data"):
            self._detail(thoughts.detail({"type": kind, "data": text_at(block, "data")}, self._details, self._target))
            self._details += 1

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

    def _close(self, key: int | None) -> None:
        self._calls.close(key)
        block = self._blocks.pop(key, None)
        if isinstance(block, _Thought) and block.signature:
            self._write_thought(block, {"signature": block.signature})
        elif isinstance(block, _Text):
            marks = [
                {"index": self._annotations + place, **mark}  # clients join entries by their index
                for place, mark in enumerate(annotations_of(block.citations, block.start, self._length))
            ]
            if marks:
                self._annotations += len(marks)
                self._writer.extend(cast("Delta", {"annotations": marks}))

    # --- text and thinking -------------------------------------------------------------------

    def _text(self, text: str) -> None:
        if self._held is None:
            self._say(text)
        elif not self._calls.answered:
            self._held.append(text)

    def _say(self, text: str) -> None:
        self._length += len(text)
        self._writer.text(text if self._fence is None else self._fence.feed(text))

    def _cite(self, key: int | None, *citations: Any) -> None:
        block = self._blocks.get(key)
        if isinstance(block, _Text):
            block.citations += citations

    @property
    def _target(self) -> Any:
        return self._context.target

    def _thought(self, key: int | None) -> _Thought:
        block = self._blocks.get(key)
        if not isinstance(block, _Thought):  # a delta whose block was not announced
            block = self._blocks[key] = _Thought()
        return block

    def _think(self, thought: _Thought, text: str) -> None:
        if text and not self._context.memo.get("hidden"):
            self._write_thought(thought, {"text": text})

    def _write_thought(self, thought: _Thought, piece: dict[str, Any]) -> None:
        """A piece of a thinking block, plainly and as an entry of `reasoning_details`."""
        if thought.index is None:
            thought.index = self._details
            self._details += 1
        entry: dict[str, Any] = {"index": thought.index, "type": "reasoning.text", **piece}
        if not thought.written:  # SDKs join the strings of an entry: what stays the same comes once
            thought.written = True
            entry |= {"format": thoughts.FORMAT, "id": thoughts.origin(self._context.target)}
        self._detail(entry, piece.get("text"))

    def _detail(self, entry: dict[str, Any], text: str | None = None) -> None:
        delta: dict[str, Any] = {"reasoning_content": text, "reasoning": text} if text else {}
        self._writer.extend(cast("Delta", {**delta, "reasoning_details": [entry]}))
