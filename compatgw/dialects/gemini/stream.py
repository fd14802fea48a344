"""Gemini's streams become hub chunks.

Every event is a whole response that holds only what is new. The end of the stream is its end:
there is no last event, so the finish reason is given out when the upstream closes, after what
may still have come behind it (sources, signatures, totals). Usage is cumulative: the last one
counts. A failure may come as an event, or as bare JSON over many lines, which no reader of
server-sent events can see: from a line on that begins with a bracket, everything is JSON.

What does not live here: what the parts mean (`candidate.py`), framing (`wire/sse.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

import orjson

from compatgw.dialects.chunks import ChunkWriter
from compatgw.dialects.events import broken, interrupted
from compatgw.dialects.gemini import models, response, signatures
from compatgw.dialects.gemini.candidate import Call, CandidateReader, Event, Image, Sound, Text, Thought
from compatgw.wire.sse import EventTooLarge, SSEReader

if TYPE_CHECKING:
    from compatgw.dialects.base import Context, Piece
    from compatgw.wire.chat import Delta

# One event holds a whole image, which may be large.
LIMIT = 64 * 1024 * 1024
_BARE = re.compile(rb"[\r\n][\[{]")


class _Choice:
    """One choice on its way: its reader, and how many entries its lists have."""

    __slots__ = ("calls", "images", "reader", "spoken")

    def __init__(self, reader: CandidateReader) -> None:
        self.reader = reader
        self.calls = 0
        self.images = 0
        self.spoken = False


class GeminiStream:
    """The decoder of one stream (see `dialects/base.py`).

    Args:
        context: Of the call; its memo comes from `request.encode`.
    """

    __slots__ = (
        "_bare", "_choices", "_context", "_done", "_fresh", "_id", "_reader", "_size", "_traits", "_usage", "_writer",
    )  # fmt: skip

    def __init__(self, context: Context) -> None:
        self._context = context
        self._traits = models.traits(context.target)
        self._reader = SSEReader(LIMIT)
        self._writer = ChunkWriter(context)
        self._choices: dict[int, _Choice] = {}
        self._id: str | None = None
        self._usage: Any = None
        self._fresh = True  # the next byte begins a line
        self._bare: list[bytes] | None = None  # JSON outside of any event
        self._size = 0
        self._done = False

    @property
    def done(self) -> bool:
        """True after `[DONE]`, which some proxies add; Gemini's own streams just end."""
        return self._done

    def feed(self, data: bytes) -> list[Piece]:
        """Chunks that `data` completes.

        Raises:
            UpstreamFailure: The stream carries an error, or bytes that are not the protocol.
        """
        if self._done or not data:
            return []
        try:
            events = self._reader.feed(self._before_bare(data))
        except EventTooLarge as error:
            raise broken(str(error), self._context.target) from None
        for event in events:
            self._event(event.data)
        return self._writer.take()

    def finish(self) -> list[Piece]:
        """The last chunks.

        Raises:
            StreamInterrupted: A candidate has no finish reason, or there is none.
            UpstreamFailure: What came last was an error.
        """
        if not self._done:
            for event in self._reader.finish():
                self._last(event.data)
            if self._bare is not None:
                self._last(b"".join(self._bare))
        for index, choice in self._choices.items():
            self._end(index, choice)
        if (total := response.usage(self._usage)) is not None:
            self._writer.usage(total)
        self._writer.end()
        pieces = self._writer.take()
        if tier := response.service_tier(self._usage):
            for piece in pieces:
                piece.chunk["service_tier"] = tier
        return pieces

    # --- bytes -------------------------------------------------------------------------------

    def _before_bare(self, data: bytes) -> bytes:
        """What of `data` belongs to events; the rest, from a line that begins with a bracket, is kept."""
        if self._bare is None:
            if self._fresh and data[:1] in (b"{", b"["):
                place = 0
            else:
                match = _BARE.search(data)
                place = match.start() + 1 if match else -1
            if place < 0:
                self._fresh = data[-1:] in (b"\n", b"\r")
                return data
            self._bare = []
        else:
            place = 0
        self._bare.append(data[place:])
        self._size += len(data) - place
        if self._size > LIMIT:
            raise broken(f"more than {LIMIT} bytes of JSON outside of any event", self._context.target)
        return data[:place]

    def _last(self, data: bytes) -> None:
        """What the end of the stream has cut off, or completed."""
        try:
            value = orjson.loads(data)
        except orjson.JSONDecodeError:
            return  # the cut is at fault, which the missing finish reason will tell
        # A growing list is what the endpoint sends when it was not asked for events.
        for item in value if isinstance(value, list) else [value]:
            self._response(response.opened(item, self._context))

    def _event(self, data: bytes) -> None:
        if self._done or not data.strip():
            return
        if data.strip() == b"[DONE]":
            self._done = True
            return
        try:
            value = orjson.loads(data)
        except orjson.JSONDecodeError:
            raise broken("an event is not JSON", self._context.target) from None
        self._response(response.opened(value, self._context))

    # --- responses ---------------------------------------------------------------------------

    def _response(self, value: dict[str, Any]) -> None:
        if self._id is None or not self._choices:
            self._identify(response.identity(value))
        if value.get("usageMetadata"):
            self._usage = value["usageMetadata"]
        for index, candidate in response.candidates(value):
            choice = self._choices.get(index)
            if choice is None:
                reader = CandidateReader(index, self._context, self._traits)
                choice = self._choices[index] = _Choice(reader)
                self._writer.start(index)
            entries = response.logprobs(candidate.get("logprobsResult"))
            logprobs = {"content": entries, "refusal": None} if entries else None
            for event in choice.reader.read(candidate, self._id):
                if isinstance(event, Text):
                    self._writer.text(event.text, index, logprobs)
                    logprobs = None
                else:
                    self._tell(index, choice, event)
            if logprobs:
                self._writer.text("", index, logprobs)

    def _identify(self, found: response.Identity) -> None:
        self._id = self._id or found.id
        self._writer.identify(id=f"chatcmpl-{found.id}" if found.id else None, model=found.model, created=found.created)

    def _tell(self, index: int, choice: _Choice, event: Event) -> None:
        match event:
            case Text():
                self._writer.text(event.text, index)
            case Thought():
                self._writer.reasoning(event.text, index)
            case Call():
                self._call(index, choice, event)
            case Image():
                self._writer.extend({"images": [response.image(event, choice.images)]}, index)
                choice.images += 1
            case Sound():
                head = {} if choice.spoken else {"id": response.audio_id(self._context), "transcript": ""}
                choice.spoken = True
                self._writer.extend({"audio": {**head, "data": event.data}}, index)

    def _call(self, index: int, choice: _Choice, call: Call) -> None:
        # Calls are whole: one delta says all of one, in any of the shapes that a call can have.
        if self._context.memo.get("legacy"):
            self._writer.extend({"function_call": {"name": call.name, "arguments": call.arguments}}, index)
        else:
            delta = {"tool_calls": [{"index": choice.calls, **response.tool_call(call)}]}
            self._writer.extend(cast("Delta", delta), index)
        if call.signature is not None:
            key = ("call", choice.calls)
            self._writer.encrypted(call.signature, index, key=key, format=signatures.FORMAT, id=call.id)
        choice.calls += 1

    def _end(self, index: int, choice: _Choice) -> None:
        """What is known of a choice only now, and its finish reason."""
        reader = choice.reader
        for event in reader.finish(self._id):
            self._tell(index, choice, event)
        if reader.ended is None:
            raise interrupted(self._context.target)
        reason = reader.reason()
        if reader.signature is not None:
            self._writer.encrypted(reader.signature, index, key="text", format=signatures.FORMAT)
        if marks := reader.annotations():
            # Clients merge lists over chunks by the `index` of each entry.
            self._writer.extend({"annotations": [{"index": n, **mark} for n, mark in enumerate(marks)]}, index)
        if choice.spoken:
            self._writer.extend({"audio": {"expires_at": self._context.created}}, index)
        if extra := reader.extra():
            self._writer.extend({"extra_content": extra}, index)
        self._writer.finish(reason, index)
