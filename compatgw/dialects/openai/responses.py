"""The native codec of Responses: `POST /responses` at an upstream that has it, for clients that speak it, too.

The request goes on as it came, but for the model, what is the gateway's own, and what is another's: reasoning
and ids that this upstream did not write mean nothing to it. Answers and frames go back as they came; beside
them stands what they say as the hub has it, for limits, money, the cache, guardrails, and an honest end:
`response.completed` and `response.incomplete` are ends, anything else is an interruption.

What does not live here: the surface (`surfaces/responses/`), the items of an answer (`responses_output.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import orjson

from compatgw.dialects import assemble, failure
from compatgw.dialects.base import Answer, Codec, Context, Outgoing, Piece
from compatgw.dialects.bodies import where
from compatgw.dialects.chunks import ChunkWriter
from compatgw.dialects.events import interrupted
from compatgw.dialects.openai import responses_output as output
from compatgw.dialects.openai.whole import Whole
from compatgw.errors import UpstreamFailure
from compatgw.wire.responses import MARK, ORIGIN, SEAL
from compatgw.wire.sse import EventTooLarge, SSEReader

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.dialects.base import Quirks, Target
    from compatgw.wire.chat import ChatChunk
    from compatgw.wire.native import Native
    from compatgw.wire.sse import SSEEvent

Json = dict[str, Any]

PATH = "/responses"
# The gateway keeps conversations and works in the background itself.
_OURS = frozenset({"previous_response_id", "background"})
_ENDS = {"response.completed": "completed", "response.incomplete": "incomplete"}


def serves(quirks: Quirks) -> bool:
    """Whether an upstream has `/responses` at all."""
    return quirks.responses


# --- requests --------------------------------------------------------------------------------


def encode(request: Native, target: Target) -> Outgoing:
    """The request as the target takes it."""
    body: Json = {name: value for name, value in request.body.items() if name not in _OURS}
    body["model"] = target.model
    clamped: tuple[tuple[str, str], ...] = ()
    asked = body.get("max_output_tokens")
    if isinstance(asked, int) and target.max_output is not None and asked > target.max_output:
        body["max_output_tokens"] = target.max_output
        clamped = (("max_output_tokens", str(target.max_output)),)
    if isinstance(body.get("input"), list):
        body["input"] = [item for given in body["input"] if (item := _item(given, target)) is not None]
    return Outgoing(PATH, orjson.dumps(body), request.headers, (), clamped)


def _item(item: Any, target: Target) -> Any:
    """An item as this upstream can read it; None for reasoning that it cannot."""
    if not isinstance(item, dict):
        return item
    foreign = item.get(ORIGIN, target.provider) != target.provider
    secret = item.get("encrypted_content")
    id = item.get("id")
    ours = isinstance(id, str) and id.partition("_")[2].startswith(MARK)
    if item.get("type") == "reasoning" and (foreign or ours or (isinstance(secret, str) and secret.startswith(SEAL))):
        return None
    gone = {ORIGIN, "id"} if foreign or ours else {ORIGIN}
    return item if gone.isdisjoint(item) else {name: value for name, value in item.items() if name not in gone}


# --- whole answers ---------------------------------------------------------------------------


def decode(body: bytes, context: Context) -> Answer:
    """The response that `body` holds.

    Raises:
        UpstreamFailure: Not JSON, an error or a failed response in spite of status 200, or one that is not done.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise UpstreamFailure(
            f"{where(context.target)} answered with something that is not JSON: {failure.extract(body)[0]}"
        ) from None
    if not isinstance(value, dict) or (not isinstance(value.get("output"), list) and not value.get("error")):
        raise UpstreamFailure(
            f"{where(context.target)} answered with JSON that is not a response: {failure.extract(body)[0]}"
        )
    return Answer(output.completion(_finished(value, context), context), native=body)


def _finished(response: Json, context: Context) -> Json:
    """`response`, which is done.

    Raises:
        UpstreamFailure: It is not, or it failed.
    """
    status = response.get("status")
    if response.get("error") or status in ("failed", "cancelled"):
        raise _failed(response, context)
    # Some servers leave the status out.
    if status not in ("completed", "incomplete", None):
        raise UpstreamFailure(
            f"{where(context.target)} answered with a response that is '{status}', not done. Send the request again."
        )
    return response


def _failed(value: Mapping[str, Any], context: Context) -> UpstreamFailure:
    error = value.get("error")
    if isinstance(error, (dict, str)) and error:
        return failure.from_value({"error": error}, context.target)
    # The flat form of an event.
    if value.get("message"):
        return failure.from_value({"error": dict(value)}, context.target, value.get("code"))
    return UpstreamFailure(f"{where(context.target)} gave up on its answer and gave no reason. Send the request again.")


class ResponsesStream:
    """Decodes one stream; see `StreamDecoder` for what holds of its chunks.

    Each event is a piece with its frame; what it says to the hub may be nothing.

    Args:
        context: The call that the stream belongs to.
    """

    __slots__ = ("_context", "_failed", "_items", "_reader", "_whole", "_writer", "done")

    def __init__(self, context: Context) -> None:
        self._context = context
        self._reader = SSEReader()
        self._writer = ChunkWriter(context)
        self._items = output.Items(self._writer)
        # The body itself when the answer turns out to be no stream at all.
        self._whole = Whole(context.target, self._reader)
        self._failed: UpstreamFailure | None = None
        self.done = False

    def feed(self, data: bytes) -> list[Piece]:
        """Pieces that `data` completes.

        Raises:
            UpstreamFailure: As for `StreamDecoder`; when pieces came before the error, with the next call.
        """
        if self._failed is not None:
            raise self._failed
        out: list[Piece] = []
        if self.done or self._whole.takes(data):
            return out
        try:
            for event in self._reader.feed(data):
                self._event(event, out)
                if self.done:
                    break
        except EventTooLarge as error:
            raise UpstreamFailure(
                f"{where(self._context.target)} sent something that is not a stream: {error}."
            ) from None
        except UpstreamFailure as error:
            if not out:
                raise
            # What was said before the error is the caller's, however the bytes were cut.
            self._failed = error
        return out

    def finish(self) -> list[Piece]:
        """The last pieces.

        Raises:
            StreamInterrupted: The response was not complete.
        """
        if self._failed is not None:
            raise self._failed
        out: list[Piece] = []
        if self.done:
            return out
        if body := self._whole.body:
            self.done = True
            return assemble.chunks(decode(body, self._context).completion)
        for event in self._reader.finish():
            # Without its blank line only an end counts: any other event may have been cut.
            if _kind(event) in _ENDS:
                self._event(event, out)
        if not self.done:
            raise interrupted(self._context.target)
        return out

    def _event(self, event: SSEEvent, out: list[Piece]) -> None:
        data = event.data.strip()
        if not data or data.startswith(b"[DONE]") or event.name == "ping":
            return
        try:
            value = orjson.loads(data)
        except orjson.JSONDecodeError:
            shown = failure.extract(data)[0]
            raise UpstreamFailure(f"{where(self._context.target)} sent an event that is not JSON: {shown}") from None
        if not isinstance(value, dict):
            raise UpstreamFailure(f"{where(self._context.target)} sent an event that is not an object.")
        kind = value.get("type") or event.name
        if kind == "error" or (not isinstance(value.get("type"), str) and value.get("error")):
            raise _failed(value, self._context)
        if kind == "response.failed" or kind == "response.cancelled":
            raise _failed(value.get("response") or value, self._context)
        if not isinstance(kind, str) or kind == "keepalive":
            return
        self._tell(kind, value)
        # A frame is what the client reads: one line of data, which JSON always fits in.
        if b"\n" in data or b"\r" in data:
            data = orjson.dumps(value)
        self._out(b"event: %b\ndata: %b\n\n" % (kind.encode("utf-8", "replace"), data), out)

    def _tell(self, kind: str, value: Json) -> None:
        response = value.get("response")
        if kind in _ENDS:
            if not isinstance(response, dict):
                raise UpstreamFailure(f"{where(self._context.target)} ended its answer without the response.")
            # The event is what says how it ended.
            self._items.end(_finished({**response, "status": _ENDS[kind]}, self._context))
            self.done = True
        elif isinstance(response, dict):
            self._items.begin(response)
        else:
            self._items.event(kind, value)

    def _out(self, frame: bytes, out: list[Piece]) -> None:
        pieces = self._writer.take()
        if not pieces:
            chunk: Json = {
                "id": self._writer.id, "object": "chat.completion.chunk", "created": self._writer.created,
                "model": self._writer.model, "choices": [],
            }  # fmt: skip
            pieces = [Piece(cast("ChatChunk", chunk))]
        # A frame goes with the last chunk that it gave: who has it has all that it says.
        out += pieces[:-1]
        out.append(Piece(pieces[-1].chunk, native=frame))


def _kind(event: SSEEvent) -> str:
    try:
        value = orjson.loads(event.data)
    except orjson.JSONDecodeError:
        return ""
    kind = (value.get("type") or event.name) if isinstance(value, dict) else None
    return kind if isinstance(kind, str) else ""


RESPONSES = Codec(encode=encode, decode=decode, stream=ResponsesStream, error=failure.from_body, serves=serves, n=False)
