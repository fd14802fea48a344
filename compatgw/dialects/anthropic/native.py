"""Requests that came in this very protocol: sent on as they came, and their answers told as they come.

Changed are only the model, a length over the model's limit, members that the gateway took out before,
thinking that this gateway told in another vendor's stead, which no upstream of this protocol vouches for, and
a budget for thinking where such calls wait for the model.
Beside the bytes that pass by, the decoders of the hub read usage, errors and the honest end.

What does not live here: requests in the hub's words (`request.py`), who asks (`surfaces/messages/`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

import orjson

from compatgw.dialects.anthropic import models, response
from compatgw.dialects.anthropic.response import decode
from compatgw.dialects.anthropic.stream import AnthropicStream
from compatgw.dialects.base import Answer, Codec, Leftovers, Outgoing, Piece, Result
from compatgw.dialects.events import broken
from compatgw.errors import InvalidRequest, UpstreamFailure
from compatgw.wire.messages import UNCOUNTED, VERSION, is_sealed
from compatgw.wire.sse import EventTooLarge, SSEReader

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.dialects.base import Context, Target
    from compatgw.wire.chat import ChatChunk
    from compatgw.wire.native import Native
    from compatgw.wire.sse import SSEEvent

PATH = "/messages"
COUNT_PATH = "/messages/count_tokens"
_LEAST = 1024
# The path that the API's sentence begins with.
_BLAMED = re.compile(r"([a-z_]+(?:\.[a-z0-9_]+)*):? ")
_PLACES = re.compile(r"\.(\d+)")
_VERSION = "anthropic-version"
_THOUGHT = ("thinking", "redacted_thinking")


def encode(native: Native, target: Target) -> Outgoing:
    """The client's own request for this target.

    Raises:
        InvalidRequest: It nests deeper than can be written.
        UnsupportedParameter: A budget for thinking cannot be sent, and the policy is `reject`.
    """
    left = Leftovers(target)
    body = {**native.body, "model": target.model, "messages": _vouched(native.body["messages"], left)}
    _clamp(body, target, left)
    _unbudgeted(body, left)
    return _outgoing(PATH, body, native, left)


def encode_count(native: Native, target: Target) -> Outgoing:
    """The client's own request for a count of tokens.

    Raises:
        InvalidRequest: As for `encode`.
    """
    left = Leftovers(target)
    body = {name: value for name, value in native.body.items() if name not in UNCOUNTED}
    body |= {"model": target.model, "messages": _vouched(native.body["messages"], left)}
    _unbudgeted(body, left)
    return _outgoing(COUNT_PATH, body, native, left)


def _outgoing(path: str, body: Mapping[str, Any], native: Native, left: Leftovers) -> Outgoing:
    headers = native.headers
    if all(name != _VERSION for name, _ in headers):
        headers = ((_VERSION, VERSION), *headers)
    try:
        written = orjson.dumps(body)
    except orjson.JSONEncodeError:
        raise InvalidRequest("messages: something nests too deep to be sent", param="messages") from None
    return Outgoing(path, written, headers, tuple(left.dropped), tuple(left.clamped))


def _clamp(body: dict[str, Any], target: Target, left: Leftovers) -> None:
    most, asked = models.traits(target).max_output, body.get("max_tokens")
    if most is None or asked is None or asked <= most:
        return
    body["max_tokens"] = most
    left.clamp("max_tokens", most)
    thinking = body.get("thinking")
    budget = thinking.get("budget_tokens") if isinstance(thinking, dict) else None
    if isinstance(thinking, dict) and isinstance(budget, int) and budget >= most > _LEAST:
        body["thinking"] = {**thinking, "budget_tokens": most - 1}
        left.clamp("thinking.budget_tokens", most - 1)


def _vouched(messages: list[Any], left: Leftovers) -> list[Any]:
    """The messages without thinking that has no signature of this protocol; the same list where there is none."""
    changed: list[Any] | None = None
    for index, message in enumerate(messages):
        content = message.get("content")
        if message.get("role") != "assistant" or not isinstance(content, list) or all(map(_vouches, content)):
            if changed is not None:
                changed.append(message)
            continue
        if changed is None:
            changed = messages[:index]
            left.dropped.append("messages.thinking")  # no caller's wish, so no policy refuses it
        if kept := [block for block in content if _vouches(block)]:
            changed.append({**message, "content": kept})
    return messages if changed is None else changed


def _unbudgeted(body: dict[str, Any], left: Leftovers) -> None:
    """Leaves a budget for thinking out where the calls that wait came without thought: the API refuses the two."""
    thinking = body.get("thinking")
    if isinstance(thinking, dict) and thinking.get("type") == "enabled" and _unthought(body["messages"]):
        left.hint("thinking", thinking)
        del body["thinking"]


def _unthought(messages: list[Any]) -> bool:
    """The last calls are answered, and the turn that they are of does not begin with thought."""
    answered, turn = False, list[Any]()
    for message in reversed(messages):
        content = message.get("content")
        blocks = content if isinstance(content, list) else [{"type": "text"}] if content else []
        if message.get("role") == "assistant":
            turn = [*blocks, *turn]
        elif turn:
            break
        else:
            answered = answered or any(block.get("type") == "tool_result" for block in blocks)
    return answered and bool(turn) and turn[0].get("type") not in _THOUGHT


def unsigned(native: Native) -> Native:
    """`native` without any thinking: for an upstream that refused a signature, which another platform may have made."""
    messages: list[Any] = []
    for message in native.body["messages"]:
        content = message.get("content")
        if message.get("role") == "assistant" and isinstance(content, list):
            kept = [block for block in content if block.get("type") not in _THOUGHT]
            if kept:
                messages.append({**message, "content": kept})
        else:
            messages.append(message)
    return native._replace(body={**native.body, "messages": messages})


def _vouches(block: Any) -> bool:
    kind = block.get("type")
    if kind == "thinking":
        return bool(block.get("signature")) and not is_sealed(block["signature"])
    return kind != "redacted_thinking" or not is_sealed(block.get("data"))


# --- answers ---------------------------------------------------------------------------------


def decode_native(body: bytes, context: Context) -> Answer:
    """The answer as it came, and as a completion.

    Raises:
        UpstreamFailure: Not a message, or an error in the place of one.
    """
    return decode(body, context)._replace(native=body)


def decode_count(body: bytes, context: Context) -> Result:
    """The count.

    Raises:
        UpstreamFailure: There is none.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise broken("it is not JSON", context.target) from None
    tokens = value.get("input_tokens") if isinstance(value, dict) else None
    if not isinstance(tokens, int) or isinstance(tokens, bool):
        raise broken("it holds no count of tokens", context.target)
    return Result(value)


def error(status: int, headers: Mapping[str, str], body: bytes, target: Target) -> UpstreamFailure:
    """A refusal; what it blames is named as the client knows it."""
    found = response.error(status, headers, body, target)
    blamed = _BLAMED.match(found.message)
    if found.param is not None or (blamed is not None and "." in blamed[1]):
        found.param = _PLACES.sub(r"[\1]", blamed[1]) if blamed is not None else found.param
    return found


class NativeStream:
    """The decoder of one stream; each of the upstream's events is one frame for the client.

    Args:
        context: Of the call.
    """

    __slots__ = ("_context", "_failed", "_inner", "_reader")

    def __init__(self, context: Context) -> None:
        self._context = context
        self._reader = SSEReader()
        self._inner = AnthropicStream(context)
        self._failed: UpstreamFailure | None = None

    @property
    def done(self) -> bool:
        """True once `message_stop` was read."""
        return self._inner.done

    def feed(self, data: bytes) -> list[Piece]:
        """Chunks and frames that `data` completes.

        Raises:
            UpstreamFailure: The stream carries an error, or bytes that are not the protocol; when frames came
                before it, with the next call.
        """
        if self._failed is not None:
            raise self._failed
        if self.done:
            return []
        try:
            events = self._reader.feed(data)
        except EventTooLarge as failure:
            raise broken(str(failure), self._context.target) from None
        return self._told(events)

    def finish(self) -> list[Piece]:
        """The last chunks.

        Raises:
            StreamInterrupted: There was no `message_stop`.
        """
        if self._failed is not None:
            raise self._failed
        if self.done:
            return self._inner.finish()
        rest = self._reader.pending
        out = self._told(self._reader.finish()) if _is_whole(rest) else []
        if self._failed is not None:
            raise self._failed
        return out + self._inner.finish()

    def _told(self, events: list[SSEEvent]) -> list[Piece]:
        out: list[Piece] = []
        try:
            for event in events:
                if self.done:
                    break
                frame = _framed(event)
                chunks = self._inner.feed(_bare(event) or frame)
                first = chunks[0].chunk if chunks else self._nothing()
                out.append(Piece(first, None, frame))
                out += [Piece(piece.chunk, None, b"") for piece in chunks[1:]]
        except UpstreamFailure as failure:
            if not out:
                raise
            # What was said before the error is the client's, however the bytes were cut.
            self._failed = failure
        return out

    def _nothing(self) -> ChatChunk:
        context = self._context
        return {
            "id": context.id,
            "object": "chat.completion.chunk",
            "created": context.created,
            "model": context.target.model,
            "choices": [],
        }


def _framed(event: SSEEvent) -> bytes:
    name = event.name
    if not name:
        try:
            value = orjson.loads(event.data)
        except orjson.JSONDecodeError:
            value = None  # said by whoever reads the frame
        kind = value.get("type") if isinstance(value, dict) else None
        name = kind if isinstance(kind, str) else "message"
    lines = b"\n".join(b"data: " + line for line in event.data.split(b"\n"))
    return b"event: %s\n%s\n\n" % (name.encode(), lines)


def _bare(event: SSEEvent) -> bytes:
    """The event without its name, which is read faster, where its data say the same; b"" elsewhere."""
    return b"data: %s\n\n" % event.data if event.data.startswith(b'{"type"') and b"\n" not in event.data else b""


def _is_whole(rest: bytes) -> bool:
    """True where only the blank line behind an event is missing: half an event is no event."""
    data = rest.replace(b"\r\n", b"\n").rpartition(b"data:")[2].strip()
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    return True


MESSAGES = Codec(encode=encode, decode=decode_native, stream=NativeStream, error=error, n=False, bare=unsigned)
COUNT_TOKENS: Codec[Native, Any] = cast("Any", Codec(encode=encode_count, decode=decode_count, error=error, n=False))
