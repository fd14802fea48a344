"""Events of `converse-stream` become hub chunks.

Each block is told by its index; a text block has no event that begins it. Deltas are taken by the member
that they have, so that a newer event, block or delta is skipped without harm. A failure within a stream
is a message of type `exception` or `error`. The stream is whole only with `messageStop` and the
`metadata` behind it; everything else is an interruption.

What does not live here: what blocks and totals mean (`response.py`), calls (`blocks/calls.py`), what all such
streams do alike (`blocks/stream.py`), framing (`wire/eventstream.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from compatgw.dialects.bedrock.response import (
    annotations_of,
    failed,
    image_of,
    malformed,
    ours,
    reason_of,
    tier_of,
    usage_of,
)
from compatgw.dialects.blocks.answers import text_at, text_under
from compatgw.dialects.blocks.stream import BlockStream, Text
from compatgw.dialects.events import broken, interrupted, parsed
from compatgw.wire.eventstream import BadMessage, EventStreamReader

if TYPE_CHECKING:
    from compatgw.dialects.base import Context, Piece
    from compatgw.wire.chat import Delta
    from compatgw.wire.eventstream import Message


class _Image:
    """A picture on its way."""

    __slots__ = ("data", "format")

    def __init__(self, format: str) -> None:
        self.format = format
        self.data: list[str] = []


class ConverseStream(BlockStream):
    """The decoder of one stream (see `dialects/base.py`).

    Args:
        context: Of the call; its memo comes from `request.encode`.
    """

    __slots__ = ("_images", "_reader")

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._reader = EventStreamReader()
        self._images = 0

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
            raise interrupted(self._target)
        return self._take()

    def _read(self, message: Message) -> None:
        headers = message.headers
        kind = headers.get(":message-type", "event")
        if kind == "error":
            raise failed(500, headers.get(":error-message", ""), headers.get(":error-code", ""), self._target)
        data = parsed(message.payload or b"{}", self._target)
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
        self._begin()
        self._writer.start()

    def _message_stop(self, word: Any) -> None:
        if (found := malformed(word, self._target)) is not None:
            raise found
        self._stopped = word if isinstance(word, str) and word else self._stopped

    def _metadata(self, data: dict[str, Any]) -> None:
        if self._stopped is None:
            raise interrupted(self._target, "ended the answer without saying why")
        self._tier = tier_of(data)
        self._end(reason_of(self._stopped), usage_of(data.get("usage")))

    # --- blocks ------------------------------------------------------------------------------

    def _start(self, key: int | None, start: dict[str, Any]) -> None:
        self._close(key)
        if (use := ours(start.get("toolUse"))) is not None:
            self._calls.open(key, text_at(use, "toolUseId"), text_at(use, "name"))
        elif isinstance(image := start.get("image"), dict):
            self._blocks[key] = _Image(text_at(image, "format"))

    def _delta(self, key: int | None, delta: dict[str, Any]) -> None:
        if "text" in delta:
            self._text_block(key)
            self._text(text_at(delta, "text"))
        elif isinstance(use := delta.get("toolUse"), dict):
            self._calls.add(key, text_at(use, "input"))
        elif isinstance(found := delta.get("reasoningContent"), dict):
            self._reason(key, found)
        elif isinstance(citation := delta.get("citation"), dict):
            self._text_block(key).citations.append(citation)
        elif isinstance(image := delta.get("image"), dict) and isinstance(block := self._blocks.get(key), _Image):
            block.data.append(text_under(image, "source", "bytes"))

    def _ended(self, block: Text | _Image) -> None:
        if isinstance(block, Text):
            self._cited(annotations_of(block.citations, block.start, self._length))
            return
        picture = {"format": block.format, "source": {"bytes": "".join(block.data)}}
        if (found := image_of(picture, self._images)) is not None:
            self._images += 1
            self._writer.extend(cast("Delta", {"images": [found]}))

    def _text_block(self, key: int | None) -> Text:
        block = self._blocks.get(key)
        if not isinstance(block, Text):
            block = self._blocks[key] = Text(self._length)
        return block

    def _reason(self, key: int | None, delta: dict[str, Any]) -> None:
        thought = self._thought(key)
        thought.data += text_at(delta, "redactedContent")
        # The last one counts, and it is only known to be the last when the block ends.
        thought.signature = text_at(delta, "signature") or thought.signature
        self._think(thought, text_at(delta, "text"))
