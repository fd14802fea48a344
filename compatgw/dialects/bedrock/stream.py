"""Events of `converse-stream` become hub chunks.

Each block is told by its index; a text block has no event that begins it. Deltas are taken by the member
that they have, so that a newer event, block or delta is skipped without harm. A failure within a stream
is a message of type `exception` or `error`. The stream is whole only with `messageStop` and the
`metadata` behind it; everything else is an interruption.

What does not live here: what blocks and totals mean (`response.py`), calls (`calls.py`), framing
(`wire/eventstream.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import orjson

from compatgw.dialects.bedrock import reasoning
from compatgw.dialects.bedrock.calls import Calls
from compatgw.dialects.bedrock.response import (
    annotations_of,
    broken,
    failed,
    finish_of,
    identity,
    image_of,
    malformed,
    ours,
    text_at,
    tier_of,
    usage_of,
)
from compatgw.dialects.chunks import ChunkWriter
from compatgw.dialects.fence import Fence
from compatgw.errors import StreamInterrupted
from compatgw.wire.eventstream import BadMessage, EventStreamReader

if TYPE_CHECKING:
    from compatgw.dialects.base import Context, Piece, Target
    from compatgw.wire.chat import Delta
    from compatgw.wire.eventstream import Message


class _Thought:
    """A reasoning block on its way: where it stands, whether it was written of, its signature so far."""

    __slots__ = ("data", "index", "signature", "written")

    def __init__(self) -> None:
        self.index: int | None = None
        self.signature = ""
        self.data = ""
        self.written = False


class _Text:
    """A text block on its way: where its text begins, and what it cites."""

    __slots__ = ("citations", "start")

    def __init__(self, start: int) -> None:
        self.start = start
        self.citations: list[Any] = []


class _Image:
    """A picture on its way."""

    __slots__ = ("data", "format")

    def __init__(self, format: str) -> None:
        self.format = format
        self.data: list[str] = []


class ConverseStream:
    """The decoder of one stream (see `dialects/base.py`).

    Args:
        context: Of the call; its memo comes from `request.encode`.
    """

    __slots__ = (
        "_annotations", "_blocks", "_calls", "_context", "_details", "_done", "_fence", "_held", "_images", "_length",
        "_reader", "_started", "_stopped", "_tier", "_writer",
    )  # fmt: skip

    def __init__(self, context: Context) -> None:
        self._context = context
        self._reader = EventStreamReader()
        self._writer = ChunkWriter(context)
        self._calls = Calls(context, self._writer, self._say)
        self._fence = Fence() if context.memo.get("json_object") else None
        # Where a tool stands for the answer, text is only the answer when that tool was not called.
        self._held: list[str] | None = [] if context.memo.get("json_tool") else None
        self._blocks: dict[int | None, _Thought | _Text | _Image] = {}
        self._details = 0
        self._annotations = 0
        self._images = 0
        self._length = 0
        self._tier: str | None = None
        self._started = False
        self._stopped: str | None = None
        self._done = False

    @property
    def done(self) -> bool:
        """True once `metadata` was read behind `messageStop`."""
        return self._done

    def feed(self, data: bytes) -> list[Piece]:
        """Chunks that `data` completes.

        Raises:
            UpstreamFailure: The stream carries an error, or bytes that are not the protocol.
        """
        if self._done:
            return []
        try:
            messages = self._reader.feed(data)
        except BadMessage as error:
            raise broken(str(error), self._target) from None
        for message in messages:
            if not self._done:
                self._read(message)
        return self._take()

    def finish(self) -> list[Piece]:
        """The last chunks.

        Raises:
            StreamInterrupted: There was no `messageStop`, or no `metadata` behind it.
        """
        if not self._done:
            raise self._interrupted("closed the stream before the answer was complete")
        return self._take()

    def _take(self) -> list[Piece]:
        pieces = self._writer.take()
        if self._tier is not None:
            for piece in pieces:
                piece.chunk["service_tier"] = self._tier
        return pieces

    @property
    def _target(self) -> Target:
        return self._context.target

    def _interrupted(self, what: str) -> StreamInterrupted:
        return StreamInterrupted(
            f"{self._target.provider} (model '{self._target.model}') {what}. What arrived so far is not the whole "
            "answer; send the request again."
        )

    def _read(self, message: Message) -> None:
        headers = message.headers
        kind = headers.get(":message-type", "event")
        if kind == "error":
            raise failed(500, headers.get(":error-message", ""), headers.get(":error-code", ""), self._target)
        try:
            data = orjson.loads(message.payload or b"{}")
        except orjson.JSONDecodeError:
            raise broken("an event is not JSON", self._target) from None
        if not isinstance(data, dict):
            raise broken("an event is not an object", self._target)
        if kind == "exception":
            said = text_at(data, "message") or text_at(data, "Message") or text_at(data, "originalMessage")
            raise failed(500, said, headers.get(":exception-type", ""), self._target)
        index = data.get("contentBlockIndex")
        key = index if isinstance(index, int) else None
        match headers.get(":event-type"):
            case "contentBlockDelta":
                if isinstance(delta := data.get("delta"), dict):
                    self._delta(key, delta)
            case "contentBlockStart":
                if isinstance(start := data.get("start"), dict):
                    self._start(key, start)
            case "contentBlockStop":
                self._close(key)
            case "messageStart":
                self._message_start()
            case "messageStop":
                self._message_stop(data.get("stopReason"))
            case "metadata":
                self._metadata(data)
            # What has no case is skipped: events younger than this file.

    # --- the message -------------------------------------------------------------------------

    def _message_start(self) -> None:
        if self._started and (self._length or self._calls.made):
            # What was shown cannot be taken back, and two half answers are no answer.
            raise self._interrupted("began another answer in the middle of one")
        self._started = True
        self._writer.identify(id=identity(self._context))
        self._writer.start()

    def _message_stop(self, word: Any) -> None:
        if (found := malformed(word, self._target)) is not None:
            raise found
        self._stopped = word if isinstance(word, str) and word else self._stopped

    def _metadata(self, data: dict[str, Any]) -> None:
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
        legacy = bool(self._context.memo.get("legacy"))
        self._tier = tier_of(data)
        self._writer.finish(finish_of(self._stopped, called=self._calls.made, legacy=legacy))
        if usage := usage_of(data.get("usage")):
            self._writer.usage(usage)
        self._writer.end()
        self._done = True

    # --- blocks ------------------------------------------------------------------------------

    def _start(self, key: int | None, start: dict[str, Any]) -> None:
        self._close(key)
        if (use := ours(start.get("toolUse"))) is not None:
            self._calls.open(key, use)
        elif isinstance(image := start.get("image"), dict):
            self._blocks[key] = _Image(text_at(image, "format"))

    def _delta(self, key: int | None, delta: dict[str, Any]) -> None:
        if "text" in delta:
            self._text(key, text_at(delta, "text"))
        elif isinstance(use := delta.get("toolUse"), dict):
            self._calls.add(key, text_at(use, "input"))
        elif isinstance(found := delta.get("reasoningContent"), dict):
            self._reason(key, found)
        elif isinstance(citation := delta.get("citation"), dict):
            self._text_block(key).citations.append(citation)
        elif isinstance(image := delta.get("image"), dict) and isinstance(block := self._blocks.get(key), _Image):
            block.data.append(text_at(image, "source", "bytes"))

    def _close(self, key: int | None) -> None:
        self._calls.close(key)
        block = self._blocks.pop(key, None)
        if isinstance(block, _Thought):
            if block.data:
                entry = reasoning.detail({"data": block.data}, self._details, self._target)
                self._details += 1
                self._detail(entry)
            elif block.signature:
                self._write_thought(block, {"signature": block.signature})
        elif isinstance(block, _Text):
            self._cite(block)
        elif isinstance(block, _Image):
            picture = {"format": block.format, "source": {"bytes": "".join(block.data)}}
            if (found := image_of(picture, self._images)) is not None:
                self._images += 1
                self._writer.extend(cast("Delta", {"images": [found]}))

    # --- text and reasoning ------------------------------------------------------------------

    def _text_block(self, key: int | None) -> _Text:
        block = self._blocks.get(key)
        if not isinstance(block, _Text):
            block = self._blocks[key] = _Text(self._length)
        return block

    def _text(self, key: int | None, text: str) -> None:
        self._text_block(key)
        if self._held is None:
            self._say(text)
        elif not self._calls.answered:
            self._held.append(text)

    def _say(self, text: str) -> None:
        self._length += len(text)
        self._writer.text(text if self._fence is None else self._fence.feed(text))

    def _cite(self, block: _Text) -> None:
        marks = [
            {"index": self._annotations + place, **mark}  # clients join entries by their index
            for place, mark in enumerate(annotations_of(block.citations, block.start, self._length))
        ]
        if marks:
            self._annotations += len(marks)
            self._writer.extend(cast("Delta", {"annotations": marks}))

    def _reason(self, key: int | None, delta: dict[str, Any]) -> None:
        block = self._blocks.get(key)
        if not isinstance(block, _Thought):
            block = self._blocks[key] = _Thought()
        block.data += text_at(delta, "redactedContent")
        # The last one counts, and it is only known to be the last when the block ends.
        block.signature = text_at(delta, "signature") or block.signature
        text = text_at(delta, "text")
        if text and not self._context.memo.get("hidden"):
            self._write_thought(block, {"text": text})

    def _write_thought(self, thought: _Thought, piece: dict[str, Any]) -> None:
        """A piece of a reasoning block, plainly and as an entry of `reasoning_details`."""
        if thought.index is None:
            thought.index = self._details
            self._details += 1
        entry: dict[str, Any] = {"index": thought.index, "type": "reasoning.text", **piece}
        if not thought.written:  # SDKs join the strings of an entry: what stays the same comes once
            thought.written = True
            entry |= {"format": reasoning.FORMAT, "id": reasoning.origin(self._target)}
        self._detail(entry, piece.get("text"))

    def _detail(self, entry: dict[str, Any], text: str | None = None) -> None:
        delta: dict[str, Any] = {"reasoning_content": text, "reasoning": text} if text else {}
        self._writer.extend(cast("Delta", {**delta, "reasoning_details": [entry]}))
